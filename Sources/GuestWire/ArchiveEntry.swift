import CRModel

/// One file of a carried archive: what a dump leaves behind on the source host and a restore needs on the destination.
public struct ArchiveEntry: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable {
        case file, directory, symbolicLink, fifo, socket, character, block
        /// Another name of an earlier file; `target` is that one's path.
        case hardLink
    }

    public var kind: Kind
    /// Relative, `/` between names, no `.`, `..` or empty names.
    public var path: String
    /// Permission bits.
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32
    /// Since 1970.
    public var modifiedNanoseconds: Int64
    /// Length of the content that follows; only files have one.
    public var sizeBytes: UInt64
    /// Target of a symbolic or hard link; empty otherwise.
    public var target: String
    /// `major << 32 | minor` of a device node; 0 otherwise.
    public var device: UInt64

    public init(
        kind: Kind, path: String, mode: UInt32, uid: UInt32 = 0, gid: UInt32 = 0, modifiedNanoseconds: Int64 = 0,
        sizeBytes: UInt64 = 0, target: String = "", device: UInt64 = 0
    ) {
        self.kind = kind
        self.path = path
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.modifiedNanoseconds = modifiedNanoseconds
        self.sizeBytes = sizeBytes
        self.target = target
        self.device = device
    }

    /// Whether the path stays inside the folder that the archive is unpacked into.
    public static func isSafe(_ path: String) -> Bool {
        if path.isEmpty || path.utf8.contains(0) { return false }
        return path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && $0 != "." && $0 != ".."
        }
    }
}

/// The bytes around the content of an archive's files.
///
/// Layout: `CRLARC01`; per entry the header's length (4 bytes, little-endian), its CRC-32 (4), the header as JSON, then
/// the file's bytes; at the end a length of 0 and the number of entries (4). The image inside carries its own checksum,
/// frames carry theirs on the way, and the lab's store hashes the whole.
public enum Archive {
    public static let magic: [UInt8] = Array("CRLARC01".utf8)
    /// Bound of one header; paths and link targets are at most 4 KiB each.
    public static let maximumHeaderBytes: UInt32 = 64 << 10

    /// The header of an entry; its content follows.
    public static func header(of entry: ArchiveEntry) throws(WireError) -> [UInt8] {
        guard ArchiveEntry.isSafe(entry.path) else { throw .archive(offset: 0, why: "unusable path '\(entry.path)'") }
        let text: String
        do { text = try JSONCoder.text(of: entry) } catch { throw .archive(offset: 0, why: "\(error)") }
        let json = Array(text.utf8)
        guard json.count <= Int(maximumHeaderBytes) else {
            throw .archive(offset: 0, why: "a header of \(json.count) bytes")
        }
        return word(UInt32(json.count)) + word(CRC32(json).value) + json
    }

    /// The end of an archive with so many entries.
    public static func end(entries: Int) -> [UInt8] {
        word(0) + word(UInt32(truncatingIfNeeded: entries))
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
}
