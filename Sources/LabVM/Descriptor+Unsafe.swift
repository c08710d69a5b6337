import Glibc

/// Descriptors of this process, and the few calls that a guest's thread makes on them.
enum Descriptor {
    /// A connected pair of stream sockets, close-on-exec.
    static func socketPair() throws(VMError) -> (ours: Int32, theirs: Int32) {
        var pair: (Int32, Int32) = (-1, -1)
        // SAFETY: the call writes two ints.
        let answer = withUnsafeMutablePointer(to: &pair) {
            $0.withMemoryRebound(to: Int32.self, capacity: 2) {
                socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, $0)
            }
        }
        guard answer == 0 else { throw .launchFailed(path: "socketpair", why: errorText()) }
        return pair
    }

    /// A pipe, close-on-exec.
    static func pipe() throws(VMError) -> (read: Int32, write: Int32) {
        var pair: [Int32] = [-1, -1]
        // pipe2() is not importable; a program started by another thread in between would inherit the two, which is
        // why ChildProcess closes whatever it does not want.
        guard Glibc.pipe(&pair) == 0 else { throw .launchFailed(path: "pipe", why: errorText()) }
        for fd in pair { _ = fcntl(fd, F_SETFD, FD_CLOEXEC) }
        return (pair[0], pair[1])
    }

    static func setNonBlocking(_ fd: Int32) {
        _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
    }

    /// One read(2).
    ///
    /// - Returns: `nil` when nothing is there now; empty at the end and after an error.
    static func read(_ fd: Int32, limit: Int) -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            // SAFETY: at most `limit` bytes are written, and exactly those are declared initialized.
            var answer = Glibc.read(fd, buffer.baseAddress, limit)
            while answer < 0, errno == EINTR { answer = Glibc.read(fd, buffer.baseAddress, limit) }
            // An array cannot be negative, so "nothing now" is told by errno below.
            count = max(answer, 0)
            if answer >= 0 { errno = 0 }
        }
        if bytes.isEmpty, errno == EAGAIN { return nil }
        return bytes
    }

    /// One write(2), without SIGPIPE on a socket.
    ///
    /// - Returns: Bytes taken, 0 when none can be now, -1 when the other end is gone.
    static func write(_ fd: Int32, _ bytes: ArraySlice<UInt8>, socket: Bool) -> Int {
        bytes.withUnsafeBytes { buffer in
            while true {
                // SAFETY: `count` bytes are read from `buffer`.
                let answer =
                    socket
                    ? send(fd, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
                    : Glibc.write(fd, buffer.baseAddress, buffer.count)
                if answer >= 0 { return answer }
                if errno == EAGAIN { return 0 }
                if errno != EINTR { return -1 }
            }
        }
    }

    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(VMError) -> Int32 {
        let fd = Glibc.open(path, flags | O_CLOEXEC, mode)
        guard fd >= 0 else { throw .fileFailed(path: path, action: "open the file", why: errorText()) }
        return fd
    }

    static func close(_ fd: Int32) {
        if fd >= 0 { _ = Glibc.close(fd) }
    }

    /// Descriptors of this process that a started program would inherit.
    static func inheritable() -> [Int32] {
        names(in: "/proc/self/fd").compactMap { Int32($0) }.filter {
            let flags = fcntl($0, F_GETFD)
            return flags >= 0 && flags & FD_CLOEXEC == 0
        }
    }

    /// The names in a folder, without `.` and `..`; empty when it cannot be read.
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var found: [String] = []
        while let entry = readdir(folder) {
            // SAFETY: d_name is NUL-terminated, and lives until the next readdir.
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { found.append(name) }
        }
        return found
    }

    static func errorText() -> String { String(cString: strerror(errno)) }

    /// Seconds on the monotonic clock.
    static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Seconds and nanoseconds since 1970.
    static func wallClock() -> (seconds: Int64, nanoseconds: Int64) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return (Int64(time.tv_sec), Int64(time.tv_nsec))
    }

    /// The whole of a small text file; empty when it cannot be read.
    static func text(of path: String) -> String {
        let fd = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { return "" }
        defer { close(fd) }
        var bytes: [UInt8] = []
        while let more = read(fd, limit: 65536), !more.isEmpty { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }
}
