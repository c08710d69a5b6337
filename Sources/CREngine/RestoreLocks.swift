internal import CRImage
internal import LinuxKit

/// File locks: each is taken by the process that had it.
///
/// - Precondition: All descriptor tables are complete. A POSIX lock goes with the first descriptor of its file that its
///   process closes, and a lease is refused while anybody else has the file open.
struct RestoreLocks {
    let contents: ImageContents
    let tree: RestoreTree
    let files: RestoreFiles

    func set() throws(EngineError) {
        var records: [UInt32: OpenFileRecord] = [:]
        for file in contents.openFiles { records[file.number] = file }
        for lock in contents.fileLocks {
            guard let stub = tree.processes[lock.process] ?? tree.threads[lock.process],
                let file = records[lock.openFile]
            else { continue }
            let name = files.describe(file)
            let failure = try set(lock, file, stub)
            guard let failure else { continue }
            if failure == .again || failure == .access {
                throw .busy(
                    "a lock on \(name) (fd \(lock.fd)) is held by somebody else", task: lock.process,
                    next: "end what holds it, see /proc/locks, and repeat")
            }
            throw .remote(call: "fcntl", task: lock.process, failure, doing: "lock \(name)")
        }
    }

    private func set(_ lock: FileLockRecord, _ file: OpenFileRecord, _ stub: RestoreStub) throws(EngineError) -> Errno?
    {
        let fd = RestoreStub.word(lock.fd)
        switch lock.kind {
        case .flock:
            // LOCK_SH, LOCK_EX; LOCK_NB
            return try stub.attempt(.flock, [fd, (lock.type == 0 ? 1 : 2) | 4])
        case .posix, .openFile:
            // struct flock: type, whence, start, length (0 to the end), PID.
            let length = lock.last == UInt64(Int64.max) ? 0 : lock.last - lock.first + 1
            let place = try stub.put(words: [UInt64(lock.type), lock.first, length, 0])
            return try stub.attempt(.fcntl, [fd, lock.kind == .posix ? 6 : 37, place])  // F_SETLK, F_OFD_SETLK
        case .lease: return try setLease(lock, file, stub)
        }
    }

    private func setLease(
        _ lock: FileLockRecord, _ file: OpenFileRecord, _ stub: RestoreStub
    ) throws(EngineError) -> Errno? {
        let fd = RestoreStub.word(lock.fd)
        // What a lease was before somebody began to break it does not show. A lease for reading is only had on a file that
        // is open for reading only.
        let type: UInt64 = lock.isBreaking ? (lock.type == 2 && file.flags & 3 == 0 ? 0 : 1) : UInt64(lock.type)
        if let failure = try stub.attempt(.fcntl, [fd, 1024, type]) { return failure }  // F_SETLEASE
        guard let own = files.openFiles[file.number] else { return nil }
        return try EngineError.wrap("break the lease again") { () throws(LinuxError) -> Errno? in
            // The lease made its process the owner, who would be signalled a second time. F_SETOWN
            try RestoreCalls.control(own, 8, 0, "the lease")
            guard lock.isBreaking else { return nil }
            // Open for writing, or for reading when the breaker wanted no more; O_NONBLOCK: nobody waits.
            do throws(LinuxError) {
                Files.close(try RestoreCalls.open("/proc/self/fd/\(own)", rawFlags: (lock.type == 2 ? 1 : 0) | 0o4000))
                return .invalid
            } catch {
                if error.errno == .again { return nil }
                throw error
            }
        }
    }
}
