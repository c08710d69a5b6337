import CRModel
import Glibc
import GuestWire

/// A guest that was booted once and frozen just before its first request: where clones start.
///
/// `ram` is the guest's memory, which clones map copy-on-write; `state` is all the rest, as QEMU migrates it.
struct Template: Codable, Sendable, Equatable {
    static let format = 1

    var format: Int
    /// Everything that went into it, as text: the folder's name is only a part of its digest.
    var key: String
    /// What the guest said of itself.
    var ready: Ready
    var bootMilliseconds: Int
    var memory: FileMark
    var state: FileMark

    /// Where the parts of a template are.
    struct Place: Sendable, Equatable {
        var folder: String
        var memory: String { folder + "/ram" }
        var state: String { folder + "/state" }
        var manifest: String { folder + "/manifest.json" }
        var console: String { folder + "/console.log" }
    }
}

/// What tells a file from another one of the same path, and from itself after a change.
struct FileMark: Codable, Sendable, Equatable {
    var bytes: Int64
    var inode: UInt64
    var modifiedSeconds: Int64
    var modifiedNanoseconds: Int64
    /// Checksum of the content; 0 where only the rest is looked at.
    var check: UInt64 = 0

    /// - Returns: `nil` when there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        bytes = Int64(status.st_size)
        inode = UInt64(status.st_ino)
        modifiedSeconds = Int64(status.st_mtim.tv_sec)
        modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
    }

    /// The same with the content's checksum.
    ///
    /// - Returns: `nil` when the file cannot be read.
    init?(checking path: String) {
        self.init(path)
        guard let sum = Self.checksum(path) else { return nil }
        check = sum
    }

    /// Whether the file is still the one that was marked, without reading it.
    func stillMarks(_ path: String) -> Bool {
        guard var now = FileMark(path) else { return false }
        now.check = check
        return now == self
    }

    /// Of all bytes and their places; holes are skipped, so a guest's memory costs only what the guest has touched.
    private static func checksum(_ path: String) -> UInt64? {
        guard let fd = try? Descriptor.open(path, O_RDONLY) else { return nil }
        defer { Descriptor.close(fd) }
        // SEEK_DATA and SEEK_HOLE of lseek(2).
        let (seekData, seekHole): (Int32, Int32) = (3, 4)
        var sum: UInt64 = 1
        var offset: Int64 = 0
        while true {
            let start = lseek(fd, off_t(offset), seekData)
            if start < 0 { return errno == ENXIO ? sum : nil }
            let end = lseek(fd, start, seekHole)
            guard end > start, lseek(fd, start, SEEK_SET) == start else { return nil }
            var at = Int64(start)
            while at < Int64(end) {
                guard let bytes = Descriptor.read(fd, limit: Int(min(1 << 20, Int64(end) - at))), !bytes.isEmpty else {
                    return nil
                }
                sum = (sum ^ UInt64(PayloadCheck.value(bytes)) ^ UInt64(at) << 20) &* 0x9e37_79b9_7f4a_7c15
                sum ^= sum >> 31
                at += Int64(bytes.count)
            }
            offset = Int64(end)
        }
    }
}
