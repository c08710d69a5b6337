internal import Glibc

/// Files by descriptor. Every failure becomes a ``StoreError`` that names path, call and errno.
struct StoreFile: ~Copyable {
    let path: String
    private let descriptor: Int32

    /// Opens a file, never across `exec`: a guest's QEMU must not inherit the lock of a run.
    init(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(StoreError) {
        let descriptor = open(path, flags | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw Self.error("open", path) }
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Reads up to the buffer's size; 0 at the end of the file.
    func read(into buffer: inout [UInt8]) throws(StoreError) -> Int {
        while true {
            // SAFETY: the array owns the memory for the whole call and bounds the count.
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { return count }
            if errno != EINTR { throw Self.error("read", path) }
        }
    }

    func write(_ bytes: ArraySlice<UInt8>) throws(StoreError) {
        var rest = bytes
        while !rest.isEmpty {
            // SAFETY: the slice owns the memory for the whole call and bounds the count.
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.error("write", path)
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Takes the lock; `false` when somebody else holds it.
    func lock() throws(StoreError) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return false }
            if errno != EINTR { throw Self.error("flock", path) }
        }
        return true
    }

    /// Gives the lock back at once: a close alone would leave it to a child that is just being started and shares it.
    func unlock() { _ = flock(descriptor, LOCK_UN) }

    func truncate() throws(StoreError) {
        guard ftruncate(descriptor, 0) == 0 else { throw Self.error("ftruncate", path) }
    }

    // MARK: Paths

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func rename(_ old: String, _ new: String) throws(StoreError) {
        guard Glibc.rename(old, new) == 0 else { throw error("rename", old) }
    }

    /// Removes a file; it is no error that there is none.
    static func remove(_ path: String) throws(StoreError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw error("unlink", path) }
    }

    /// Creates a folder and those above it.
    static func makeFolder(_ path: String) throws(StoreError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty || made.hasSuffix("/") ? "" : "/") + part
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else { throw error("mkdir", made) }
        }
    }

    /// Names of a folder's entries, sorted.
    static func names(in folder: String) throws(StoreError) -> [String] {
        guard let stream = opendir(folder) else { throw error("opendir", folder) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            // SAFETY: the entry stays valid until the next readdir of this stream, and its name ends with a zero byte
            // inside of it.
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func size(_ path: String) throws(StoreError) -> UInt64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw error("stat", path) }
        return UInt64(max(0, status.st_size))
    }

    /// What changes when a file's content does; `nil` while it is so young that its times could be those of a later
    /// change, too: the kernel's clock for files goes in steps of up to 10 ms.
    static func identity(_ path: String) -> [Int]? {
        var status = stat()
        var now = timespec()
        guard stat(path, &status) == 0, clock_gettime(CLOCK_REALTIME, &now) == 0 else { return nil }
        let age = (now.tv_sec - status.st_ctim.tv_sec) * 1_000_000_000 + now.tv_nsec - status.st_ctim.tv_nsec
        guard age > 50_000_000 else { return nil }
        return [
            Int(truncatingIfNeeded: status.st_dev), Int(truncatingIfNeeded: status.st_ino), Int(status.st_size),
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }

    static func isCrossDevice(_ from: String, _ folder: String) throws(StoreError) -> Bool {
        var (left, right) = (stat(), stat())
        guard stat(from, &left) == 0 else { throw error("stat", from) }
        guard stat(folder, &right) == 0 else { throw error("stat", folder) }
        return left.st_dev != right.st_dev
    }

    static var processIdentifier: Int { Int(getpid()) }

    static var now: Int64 { Int64(time(nil)) }

    static func error(_ call: String, _ path: String) -> StoreError {
        let code = errno
        switch code {
        case ENOSPC, EDQUOT, EFBIG: return .noSpace(path: path)
        case ENOENT: return .notThere(path: path)
        case EACCES, EPERM, EROFS:
            return .notWritable(path: path, detail: "\(call): \(String(cString: strerror(code)))")
        default: return .failed(path: path, call: call, detail: String(cString: strerror(code)))
        }
    }
}
