/// Making, linking and removing names, and opening without following links.
extension Files {
    private static func withTwoPaths(_ a: String, _ b: String, _ body: (UInt64, UInt64) -> Int64) -> Int64 {
        withPath(a) { first in withPath(b) { second in body(first, second) } }
    }

    /// Gives the file that `source` leads to (a magic link of `/proc` too) another name.
    public static func link(_ source: String, to name: String) throws(LinuxError) {
        // AT_SYMLINK_FOLLOW
        let answer = withTwoPaths(source, name) {
            Kernel.attempt(.linkat, currentDirectory, $0, currentDirectory, $1, 0x400)
        }
        try path("linkat", name, answer)
    }

    /// rename(2): replaces `name` in one step.
    public static func rename(_ source: String, to name: String) throws(LinuxError) {
        try path("rename", name, withTwoPaths(source, name) { Kernel.attempt(.rename, $0, $1) })
    }

    /// symlink(2).
    public static func makeLink(_ name: String, to target: String) throws(LinuxError) {
        try path("symlink", name, withTwoPaths(target, name) { Kernel.attempt(.symlink, $0, $1) })
    }

    /// mknod(2): a FIFO, a socket's name or a device.
    ///
    /// - Parameters:
    ///   - mode: Type and permission bits.
    ///   - device: `major << 32 | minor`.
    public static func makeNode(_ name: String, mode: UInt32, device: UInt64 = 0) throws(LinuxError) {
        let major = device >> 32
        let minor = device & 0xffff_ffff
        // The kernel's new_encode_dev.
        let number = (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)
        try path("mknod", name, withPath(name) { Kernel.attempt(.mknod, $0, UInt64(mode), number) })
    }

    /// rmdir(2).
    public static func removeFolder(_ name: String) throws(LinuxError) {
        try path("rmdir", name, withPath(name) { Kernel.attempt(.rmdir, $0) })
    }

    /// Opens a path that is known to be free of symbolic links, and refuses any link on the way, those of `/proc` too.
    ///
    /// Kernels before 5.6 have no openat2(2); there links are followed.
    ///
    /// - Parameter rawFlags: As open(2) takes them; close-on-exec is added. With O_PATH only those that it allows count.
    public static func openPlain(_ path: String, rawFlags: UInt64, mode: UInt32 = 0) throws(LinuxError) -> Int32 {
        var flags = rawFlags | 0o2000000
        // O_PATH goes with O_DIRECTORY, O_NOFOLLOW and O_CLOEXEC only.
        if flags & 0o10000000 != 0 { flags &= 0o12600000 }
        // struct open_how: flags, mode (for O_CREAT only), RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS
        var how: (UInt64, UInt64, UInt64) = (flags, flags & 0o100 != 0 ? UInt64(mode) : 0, 0x6)
        // SAFETY: three words that live through the call, which only reads them.
        var answer = withUnsafeMutablePointer(to: &how) { how in
            withPath(path) {
                Kernel.attempt(.openat2, currentDirectory, $0, Kernel.number(UnsafeRawPointer(how)), 24)
            }
        }
        if Kernel.errno(of: answer) == .notImplemented {
            answer = withPath(path) { Kernel.attempt(.openat, currentDirectory, $0, flags, UInt64(mode)) }
        }
        try self.path("open", path, answer)
        return Int32(answer)
    }

    /// statx(2) of what stands at a path that is free of symbolic links; the last component may be one.
    public static func plainStatus(of path: String) throws(LinuxError) -> FileStatus {
        // O_PATH | O_NOFOLLOW
        let fd = try openPlain(path, rawFlags: 0o10400000)
        defer { close(fd) }
        return try status(of: fd)
    }

    /// Where the symbolic link that `fd` (O_PATH | O_NOFOLLOW) names leads.
    public static func target(of fd: Int32) throws(LinuxError) -> String {
        var bytes = [UInt8](repeating: 0, count: 4096)
        // SAFETY: the kernel writes at most `count` bytes.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withPath("") {
                Kernel.attempt(
                    .readlinkat, Kernel.number(fd), $0, Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            }
        }
        try path("readlinkat", "fd \(fd)", answer)
        return String(decoding: bytes[..<Int(answer)], as: UTF8.self)
    }

    /// Opens an inode by its handle, as fdinfo prints it, and nothing but its name (O_PATH).
    ///
    /// - Parameter mount: A descriptor of anything on the same file system.
    public static func open(handle: [UInt8], type: Int32, on mount: Int32) throws(LinuxError) -> Int32 {
        // struct file_handle: length, type, bytes.
        var bytes: [UInt8] = []
        for word in [UInt32(handle.count), UInt32(bitPattern: type)] {
            for shift in stride(from: UInt32(0), to: 32, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> shift))
            }
        }
        bytes += handle
        // SAFETY: the kernel reads `count` bytes of the handle, which live through the call.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(
                .open_by_handle_at, Kernel.number(mount), Kernel.number($0.baseAddress), 0o12000000)
        }
        try path("open_by_handle_at", "fd \(mount)", answer)
        return Int32(answer)
    }

    /// Sets when an open file was last read and changed.
    public static func setTimes(
        of fd: Int32, accessedNanoseconds: Int64, modifiedNanoseconds: Int64
    ) throws(LinuxError) {
        func pair(_ time: Int64) -> (Int64, Int64) {
            let rest = ((time % 1_000_000_000) + 1_000_000_000) % 1_000_000_000
            return ((time - rest) / 1_000_000_000, rest)
        }
        let (accessed, modified) = (pair(accessedNanoseconds), pair(modifiedNanoseconds))
        var times = (accessed.0, accessed.1, modified.0, modified.1)
        // SAFETY: two struct timespec, which the kernel reads.
        let answer = withUnsafeMutablePointer(to: &times) {
            Kernel.attempt(.utimensat, Kernel.number(fd), 0, Kernel.number(UnsafeRawPointer($0)), 0)
        }
        try path("utimensat", "fd \(fd)", answer)
    }

    /// Bytes that wait to be read (FIONREAD).
    public static func waitingBytes(_ fd: Int32) throws(LinuxError) -> Int {
        var count: Int32 = 0
        // SAFETY: FIONREAD writes one int.
        let answer = withUnsafeMutablePointer(to: &count) {
            Kernel.attempt(.ioctl, Kernel.number(fd), 0x541b, Kernel.number(UnsafeRawPointer($0)))
        }
        try path("ioctl(FIONREAD)", "fd \(fd)", answer)
        return Int(count)
    }

    /// User and effective user ID of whoever set the owner of an open file (F_GETOWNER_UIDS).
    ///
    /// - Returns: `nil` where the kernel does not tell (no CONFIG_CHECKPOINT_RESTORE).
    public static func ownerUsers(of fd: Int32) -> (user: UInt32, effective: UInt32)? {
        var pair: (UInt32, UInt32) = (0, 0)
        // SAFETY: the kernel writes two words.
        let answer = withUnsafeMutablePointer(to: &pair) {
            Kernel.attempt(.fcntl, Kernel.number(fd), 17, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil ? (pair.0, pair.1) : nil
    }
}

extension Pidfd {
    /// How the process of a pidfd ended, as wait4(2) says it; `nil` when it runs or the kernel (before 6.15) forgot.
    public static func exitStatus(_ pidfd: Int32) -> Int32? {
        // struct pidfd_info, first version: 64 bytes, the mask first, the exit code last. PIDFD_INFO_EXIT is 8.
        var words = [UInt32](repeating: 0, count: 16)
        words[0] = 8
        // SAFETY: PIDFD_GET_INFO of that size reads and writes 64 bytes.
        let answer = words.withUnsafeMutableBytes {
            Kernel.attempt(.ioctl, Kernel.number(pidfd), 0xc040_ff0b, Kernel.number($0.baseAddress))
        }
        return Kernel.errno(of: answer) == nil && words[0] & 8 != 0 ? Int32(bitPattern: words[15]) : nil
    }
}

/// inotify(7), and what else restore needs.
extension Files {
    /// inotify_init1(2), close-on-exec.
    public static func inotify() throws(LinuxError) -> Int32 {
        Int32(try Kernel.call(.inotify_init1, 0o2000000, on: "a new instance"))
    }

    /// inotify_add_watch(2); a magic link of `/proc` is followed.
    public static func addWatch(to fd: Int32, _ name: String, mask: UInt32) throws(LinuxError) -> Int32 {
        let answer = withPath(name) { Kernel.attempt(.inotify_add_watch, Kernel.number(fd), $0, UInt64(mask)) }
        try path("inotify_add_watch", name, answer)
        return Int32(answer)
    }

    /// inotify_rm_watch(2).
    public static func removeWatch(from fd: Int32, _ watch: Int32) {
        _ = Kernel.attempt(.inotify_rm_watch, Kernel.number(fd), Kernel.number(watch))
    }

    /// Which number the next watch gets (INOTIFY_IOC_SETNEXTWD); kernels without CONFIG_CHECKPOINT_RESTORE do not know it.
    public static func setNextWatch(of fd: Int32, _ watch: Int32) {
        _ = Kernel.attempt(.ioctl, Kernel.number(fd), 0x4004_4900, Kernel.number(watch))
    }

    /// Reads and drops what waits in a descriptor.
    public static func drain(_ fd: Int32) throws(LinuxError) {
        var bytes = [UInt8](repeating: 0, count: 4096)
        while try waitingBytes(fd) > 0 {
            var failure: LinuxError?
            bytes.withUnsafeMutableBytes { buffer in
                do throws(LinuxError) { _ = try read(fd, into: buffer) } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }

    /// Whether this process has no descriptor of a number.
    public static func isFree(_ fd: Int32) -> Bool {
        Kernel.errno(of: Kernel.attempt(.fcntl, Kernel.number(fd), 1)) == .badDescriptor  // F_GETFD
    }

    /// Whether an epoll instance watches a file under the number that it has here.
    ///
    /// - Returns: `nil` when the kernel says something else.
    public static func isWatched(_ fd: Int32, by epoll: Int32) -> Bool? {
        // struct epoll_event is packed: EPOLLIN and 64 bits of data. Adding it twice is refused and changes nothing.
        var event: (UInt32, UInt32, UInt32) = (1, 0, 0)
        // SAFETY: the kernel reads 12 bytes.
        let answer = withUnsafeMutablePointer(to: &event) {
            Kernel.attempt(
                .epoll_ctl, Kernel.number(epoll), 1, Kernel.number(fd), Kernel.number(UnsafeRawPointer($0)))
        }
        guard let errno = Kernel.errno(of: answer) else {
            _ = Kernel.attempt(.epoll_ctl, Kernel.number(epoll), 2, Kernel.number(fd), 0)
            return false
        }
        return errno == .exists ? true : nil
    }

    /// How an epoll instance polls network devices, `struct epoll_params` (EPIOCGPARAMS); 0 for the default, and before 6.9.
    public static func pollParameters(of epoll: Int32) -> UInt64 {
        var word: UInt64 = 0
        // SAFETY: the kernel writes eight bytes.
        let answer = withUnsafeMutablePointer(to: &word) {
            Kernel.attempt(.ioctl, Kernel.number(epoll), 0x8008_8a02, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil ? word : 0
    }

    /// EPIOCSPARAMS.
    public static func setPollParameters(of epoll: Int32, _ word: UInt64) throws(LinuxError) {
        // SAFETY: the kernel reads eight bytes.
        let answer = withUnsafePointer(to: word) {
            Kernel.attempt(.ioctl, Kernel.number(epoll), 0x4008_8a01, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl", object: "epoll", errno) }
    }

    /// Changes the owner of what an O_PATH descriptor names, a symbolic link itself too.
    public static func changeOwner(ofPath fd: Int32, _ uid: UInt32, _ gid: UInt32) throws(LinuxError) {
        // AT_EMPTY_PATH
        let answer = withPath("") {
            Kernel.attempt(.fchownat, Kernel.number(fd), $0, UInt64(uid), UInt64(gid), 0x1000)
        }
        try path("fchownat", "fd \(fd)", answer)
    }

    /// chmod(2); links are followed.
    public static func changeMode(_ name: String, _ mode: UInt32) throws(LinuxError) {
        try path("chmod", name, withPath(name) { Kernel.attempt(.chmod, $0, UInt64(mode)) })
    }
}
