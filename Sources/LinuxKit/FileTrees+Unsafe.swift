/// Names relative to an open folder, extended attributes, mounts: what carrying a whole file system needs.
extension Files {
    private static func failure(_ call: SystemCall, _ object: String, _ answer: Int64) throws(LinuxError) {
        if let errno = Kernel.errno(of: answer) { throw .call(call.name, object: object, errno) }
    }

    /// chroot(2); failure is harmless for the callers, who go back to where they were.
    static func changeRoot(to path: String) { _ = withPath(path) { Kernel.attempt(.chroot, $0) } }

    /// openat(2).
    public static func open(
        at folder: Int32, _ name: String, _ flags: OpenFlags, mode: UInt32 = 0o600
    ) throws(LinuxError) -> Int32 {
        let answer = withName(name) {
            Kernel.attempt(.openat, Kernel.number(folder), $0, flags.union(.closeOnExec).rawValue, UInt64(mode))
        }
        try failure(.openat, name, answer)
        return Int32(answer)
    }

    private static func withName(_ name: String, _ body: (UInt64) -> Int64) -> Int64 {
        // SAFETY: the bytes live through the call that `body` makes.
        name.withCString { body(Kernel.number(UnsafeRawPointer($0))) }
    }

    /// Names in an open folder, without `.` and `..`.
    ///
    /// - Parameter fd: Readable; its offset moves.
    public static func names(in fd: Int32, object: String) throws(LinuxError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var chunk = [UInt8](repeating: 0, count: 32768)
        while true {
            // SAFETY: the kernel writes at most `count` bytes into `chunk`.
            let answer = chunk.withUnsafeMutableBytes {
                Kernel.attempt(.getdents64, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64($0.count))
            }
            try failure(.getdents64, object, answer)
            if answer == 0 { return names }
            var offset = 0
            while offset + 19 <= Int(answer) {
                let length = Int(chunk[offset + 16]) | Int(chunk[offset + 17]) << 8
                guard length > 19, offset + length <= Int(answer) else {
                    throw .malformed(object, why: "directory record of \(length) bytes")
                }
                let name = Array(chunk[(offset + 19)..<(offset + length)].prefix { $0 != 0 })
                if name != [0x2e], name != [0x2e, 0x2e] { names.append(name) }
                offset += length
            }
        }
    }

    /// statx(2) relative to a folder, symbolic links not followed; an empty name is the folder itself.
    public static func status(at folder: Int32, _ name: String) throws(LinuxError) -> FileStatus {
        if name.isEmpty { return try status(of: folder) }
        let fd = try open(at: folder, name, [.pathOnly, .noFollow])
        defer { close(fd) }
        return try status(of: fd)
    }

    /// readlinkat(2).
    public static func link(at folder: Int32, _ name: String) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        // SAFETY: the kernel writes at most `count` bytes.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withName(name) {
                Kernel.attempt(
                    .readlinkat, Kernel.number(folder), $0, Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            }
        }
        try failure(.readlinkat, name, answer)
        return Array(bytes[..<Int(answer)])
    }

    /// mkdirat(2).
    public static func makeFolder(at folder: Int32, _ name: String, mode: UInt32) throws(LinuxError) {
        try failure(
            .mkdirat, name, withName(name) { Kernel.attempt(.mkdirat, Kernel.number(folder), $0, UInt64(mode)) })
    }

    /// mknodat(2).
    ///
    /// - Parameter device: `major << 32 | minor`.
    public static func makeNode(at folder: Int32, _ name: String, mode: UInt32, device: UInt64) throws(LinuxError) {
        let major = device >> 32
        let minor = device & 0xffff_ffff
        // The kernel's new_decode_dev().
        let packed = (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xff) << 12
        try failure(
            .mknodat, name, withName(name) { Kernel.attempt(.mknodat, Kernel.number(folder), $0, UInt64(mode), packed) }
        )
    }

    /// symlinkat(2).
    public static func makeLink(at folder: Int32, _ name: String, to target: [UInt8]) throws(LinuxError) {
        let bytes = target + [0]
        // SAFETY: the terminated bytes live through the call.
        let answer = bytes.withUnsafeBytes { target in
            withName(name) { Kernel.attempt(.symlinkat, Kernel.number(target.baseAddress), Kernel.number(folder), $0) }
        }
        try failure(.symlinkat, name, answer)
    }

    /// linkat(2) between two names below one folder.
    public static func makeHardLink(at folder: Int32, _ name: String, to existing: String) throws(LinuxError) {
        let answer = withName(existing) { old in
            withName(name) { Kernel.attempt(.linkat, Kernel.number(folder), old, Kernel.number(folder), $0, 0) }
        }
        try failure(.linkat, name, answer)
    }

    /// unlinkat(2).
    public static func unlink(at folder: Int32, _ name: String, isFolder: Bool = false) throws(LinuxError) {
        try failure(
            .unlinkat, name,
            withName(name) { Kernel.attempt(.unlinkat, Kernel.number(folder), $0, isFolder ? 0x200 : 0) })
    }

    /// fchownat(2); an empty name is the folder itself.
    public static func changeOwner(at folder: Int32, _ name: String, uid: UInt32, gid: UInt32) throws(LinuxError) {
        // AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH
        try failure(
            .fchownat, name,
            withName(name) {
                Kernel.attempt(.fchownat, Kernel.number(folder), $0, UInt64(uid), UInt64(gid), 0x1100)
            })
    }

    /// fchmodat(2) of what is no symbolic link.
    public static func changeMode(at folder: Int32, _ name: String, _ mode: UInt32) throws(LinuxError) {
        try failure(
            .fchmodat, name,
            withName(name.isEmpty ? "." : name) {
                Kernel.attempt(.fchmodat, Kernel.number(folder), $0, UInt64(mode & 0o7777))
            })
    }

    /// utimensat(2), access and modification alike.
    public static func changeTime(at folder: Int32, _ name: String, nanoseconds: Int64) throws(LinuxError) {
        let second = Int64(1_000_000_000)
        var part = nanoseconds % second
        if part < 0 { part += second }
        let words = [(nanoseconds - part) / second, part, (nanoseconds - part) / second, part]
        // SAFETY: two struct timespec.
        let answer = words.withUnsafeBytes { times in
            withName(name.isEmpty ? "." : name) {
                Kernel.attempt(.utimensat, Kernel.number(folder), $0, Kernel.number(times.baseAddress), 0x100)
            }
        }
        try failure(.utimensat, name, answer)
    }

    /// All extended attributes of what `/proc/self/fd/FD` names; empty where the file system has none.
    public static func attributes(of fd: Int32) throws(LinuxError) -> [(name: String, value: [UInt8])] {
        let path = "/proc/self/fd/\(fd)"
        var list = [UInt8](repeating: 0, count: 65536)
        // SAFETY: the kernel writes at most `count` bytes.
        let answer = list.withUnsafeMutableBytes { buffer in
            // llistxattr would look at the magic link itself.
            withPath(path) {
                Kernel.attempt(.listxattr, $0, Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            }
        }
        if Kernel.errno(of: answer) == .notSupported { return [] }
        try failure(.listxattr, path, answer)
        var result: [(name: String, value: [UInt8])] = []
        for name in list[..<Int(answer)].split(separator: 0) {
            let text = String(decoding: name, as: UTF8.self)
            var value = [UInt8](repeating: 0, count: 65536)
            let count = value.withUnsafeMutableBytes { buffer in
                withPath(path) { path in
                    withName(text) {
                        Kernel.attempt(.getxattr, path, $0, Kernel.number(buffer.baseAddress), UInt64(buffer.count))
                    }
                }
            }
            try failure(.getxattr, text, count)
            result.append((text, Array(value[..<Int(count)])))
        }
        return result
    }

    /// setxattr(2) of what `/proc/self/fd/FD` names.
    public static func setAttribute(of fd: Int32, _ name: String, _ value: [UInt8]) throws(LinuxError) {
        // SAFETY: both buffers live through the call.
        let answer = value.withUnsafeBytes { value in
            withPath("/proc/self/fd/\(fd)") { path in
                withName(name) {
                    Kernel.attempt(.setxattr, path, $0, Kernel.number(value.baseAddress), UInt64(value.count), 0)
                }
            }
        }
        try failure(.setxattr, name, answer)
    }

    /// open_tree(2) with OPEN_TREE_CLONE: one mount without those upon it, attached nowhere.
    public static func cloneMount(_ path: String) throws(LinuxError) -> Int32 {
        // OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
        let answer = withPath(path) { Kernel.attempt(.open_tree, currentDirectory, $0, 0o2000001) }
        try failure(.open_tree, path, answer)
        return Int32(answer)
    }

    /// umount2(2) with MNT_DETACH, which leaves symbolic links alone.
    public static func unmount(_ path: String) throws(LinuxError) {
        // MNT_DETACH | UMOUNT_NOFOLLOW
        try failure(.umount2, path, withPath(path) { Kernel.attempt(.umount2, $0, 10) })
    }

    /// mount(2) that changes how events propagate.
    public static func changePropagation(_ path: String, _ flags: UInt64) throws(LinuxError) {
        try failure(.mount, path, withPath(path) { Kernel.attempt(.mount, 0, $0, 0, flags, 0) })
    }

    /// Writes to a file that must exist, with one write(2), as files of the kernel want it.
    public static func write(_ bytes: [UInt8], toExisting path: String) throws(LinuxError) {
        let fd = try open(path, .writeOnly)
        defer { close(fd) }
        try write(fd, bytes)
    }

    /// The ID of the mount that an open file is on: `mnt_id` of fdinfo.
    public static func mountID(of fd: Int32) throws(LinuxError) -> Int {
        try ProcParser.descriptorInfo(text(of: "/proc/self/fdinfo/\(fd)")).mountID
    }

    /// Sets the IDs for access to files (setfsuid(2), setfsgid(2)) of the calling thread.
    public static func actAs(uid: UInt32, gid: UInt32) {
        _ = Kernel.attempt(.setfsgid, UInt64(gid))
        _ = Kernel.attempt(.setfsuid, UInt64(uid))
    }
}

/// Mounts by descriptor.
extension Files {
    /// mount_setattr(2) of the mount that a descriptor is the root of.
    ///
    /// - Parameters:
    ///   - flags: MS_RDONLY and others as mount(2) takes them; `nil` leaves them as they are.
    ///   - propagation: MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves it.
    public static func setMount(_ fd: Int32, flags: UInt64? = nil, propagation: UInt64 = 0) throws(LinuxError) {
        var set: UInt64 = 0
        if let flags {
            // MOUNT_ATTR_RDONLY, NOSUID, NODEV, NOEXEC have the values of MS_…
            set = flags & 0xf
            if flags & 2048 != 0 { set |= 0x80 }
            if flags & 256 != 0 { set |= 0x20_0000 }
            if flags & 1024 != 0 { set |= 0x10 } else if flags & (1 << 21) == 0 { set |= 0x20 }
        }
        // Access times are one field, MOUNT_ATTR__ATIME.
        let clear: UInt64 = flags == nil ? 0 : 0xf | 0x70 | 0x80 | 0x20_0000
        let words: [UInt64] = [set, clear & ~(set & ~0x70), propagation, 0]
        // SAFETY: struct mount_attr is four words.
        let answer = words.withUnsafeBytes { attributes in
            withEmpty {
                Kernel.attempt(
                    .mount_setattr, Kernel.number(fd), $0, 0x1000, Kernel.number(attributes.baseAddress), 32)
            }
        }
        guard let errno = Kernel.errno(of: answer) else { return }
        guard errno == .notImplemented else { throw .call("mount_setattr", object: "mount fd \(fd)", errno) }
        // Before 5.12.
        let path = "/proc/self/fd/\(fd)"
        if propagation != 0 { try changePropagation(path, propagation) }
        // MS_REMOUNT | MS_BIND
        if let flags { try changePropagation(path, 32 | 4096 | flags) }
    }

    private static func withEmpty(_ body: (UInt64) -> Int64) -> Int64 {
        // SAFETY: the empty string lives through the call that `body` makes.
        "".withCString { body(Kernel.number(UnsafeRawPointer($0))) }
    }

    /// Attaches a mount that is attached nowhere: move_mount(2).
    public static func moveMount(_ fd: Int32, to path: String) throws(LinuxError) {
        // MOVE_MOUNT_F_EMPTY_PATH
        let answer = withEmpty { empty in
            withPath(path) { Kernel.attempt(.move_mount, Kernel.number(fd), empty, currentDirectory, $0, 4) }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("move_mount", object: path, errno) }
    }

    /// Takes a name away.
    public static func remove(_ path: String, isFolder: Bool) throws(LinuxError) {
        let answer = withPath(path) { Kernel.attempt(isFolder ? .rmdir : .unlink, $0) }
        if let errno = Kernel.errno(of: answer) { throw .call(isFolder ? "rmdir" : "unlink", object: path, errno) }
    }

    /// Lets one mount share the peer group and the master of another: MOVE_MOUNT_SET_GROUP (5.15).
    public static func shareMount(from: Int32, to: Int32) throws(LinuxError) {
        // MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        let answer = withEmpty {
            Kernel.attempt(.move_mount, Kernel.number(from), $0, Kernel.number(to), $0, 0x144)
        }
        if let errno = Kernel.errno(of: answer) { throw .call("move_mount", object: "mount fd \(to)", errno) }
    }

    /// Makes the file system of a mount read-only: fspick(2), fsconfig(2).
    public static func makeReadOnly(_ fd: Int32) throws(LinuxError) {
        // FSPICK_CLOEXEC | FSPICK_EMPTY_PATH
        let answer = withEmpty { Kernel.attempt(.fspick, Kernel.number(fd), $0, 9) }
        if let errno = Kernel.errno(of: answer) { throw .call("fspick", object: "mount fd \(fd)", errno) }
        let context = Int32(answer)
        defer { close(context) }
        // FSCONFIG_SET_FLAG, FSCONFIG_CMD_RECONFIGURE
        // SAFETY: the key lives through the call.
        let set = "ro".withCString {
            Kernel.attempt(.fsconfig, Kernel.number(context), 0, Kernel.number(UnsafeRawPointer($0)), 0, 0)
        }
        if let errno = Kernel.errno(of: set) { throw .call("fsconfig", object: "ro", errno) }
        try Kernel.call(.fsconfig, Kernel.number(context), 7, 0, 0, 0, on: "a read-only file system")
    }
}
