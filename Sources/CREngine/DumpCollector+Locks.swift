internal import CRImage
internal import LinuxKit

/// File locks, as fdinfo shows them: to every process that owns one through a descriptor of its own table.
extension DumpCollector {
    /// Notes the locks that one descriptor shows. Duplicates of a descriptor show the same locks again.
    func collectLocks(
        _ info: DescriptorInfo, process: Int32, table: UInt32, fd: Int32, openFile: UInt32, object: String
    ) throws(EngineError) {
        for line in info.locks {
            guard var record = FileLockLine(line)?.record else {
                throw refuse(process, object, "this kind of lock is not carried (\(line))")
            }
            // flock(2) and leases show the process that took them, which need not have the file any more.
            record.process = inner(owner(of: process))
            record.fd = fd
            record.openFile = openFile
            let key = LockKey(
                kind: record.kind, first: record.first, last: record.last, openFile: openFile,
                table: record.kind == .posix ? table : 0)
            let isTaker = FileLockLine(line)?.taker == owner(of: process)
            if let index = locks[key] {
                if isTaker { contents.fileLocks[index] = record }
                continue
            }
            locks[key] = contents.fileLocks.count
            contents.fileLocks.append(record)
        }
    }

    struct LockKey: Hashable {
        var kind: FileLockKind
        var first: UInt64
        var last: UInt64
        var openFile: UInt32
        var table: UInt32
    }
}

/// One line `lock:` of fdinfo.
struct FileLockLine {
    private(set) var record = FileLockRecord()
    /// PID of the process that took the lock.
    private(set) var taker: Int32

    /// `1: POSIX  ADVISORY  READ 30297 00:29:305 0 EOF`, `1: LEASE  BREAKING  UNLCK 30283 …`
    init?(_ line: String) {
        let words = line.split(separator: " ")
        guard words.count >= 8, let taker = Int32(words[4]), let first = UInt64(words[6]) else { return nil }
        self.taker = taker
        switch (words[1], words[2]) {
        case ("POSIX", "ADVISORY"): record.kind = .posix
        case ("FLOCK", "ADVISORY"): record.kind = .flock
        case ("OFDLCK", "ADVISORY"): record.kind = .openFile
        case ("LEASE", "ACTIVE"): record.kind = .lease
        case ("LEASE", "BREAKING"):
            record.kind = .lease
            record.isBreaking = true
        default: return nil
        }
        switch words[3] {
        case "READ": record.type = 0
        case "WRITE": record.type = 1
        case "UNLCK" where record.isBreaking: record.type = 2
        default: return nil
        }
        record.first = first
        if words[7] == "EOF" {
            record.last = UInt64(Int64.max)
        } else {
            guard let last = UInt64(words[7]) else { return nil }
            record.last = last
        }
    }
}
