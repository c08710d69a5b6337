import LinuxKit

/// The system calls that only an init makes: mounts, modules, nodes, the clock, the end.
enum GuestSystem {
    struct MountFlags: OptionSet {
        let rawValue: UInt64
        static let readOnly = MountFlags(rawValue: 1)
        static let noSuid = MountFlags(rawValue: 2)
        static let noDev = MountFlags(rawValue: 4)
        static let noExec = MountFlags(rawValue: 8)
        static let bind = MountFlags(rawValue: 4096)
        static let move = MountFlags(rawValue: 8192)
        static let recursive = MountFlags(rawValue: 16384)
        static let privatePropagation = MountFlags(rawValue: 1 << 18)
    }

    /// mount(2).
    static func mount(
        _ source: String, on target: String, type: String, flags: MountFlags = [], data: String = ""
    ) throws(LinuxError) {
        // SAFETY: all four strings live through the call.
        let answer = source.withCString { source in
            target.withCString { target in
                type.withCString { type in
                    data.withCString { data in
                        Kernel.attempt(
                            .mount, number(source), number(target), number(type), flags.rawValue, number(data))
                    }
                }
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("mount", object: target, errno) }
    }

    /// umount2(2) with MNT_DETACH.
    static func detach(_ target: String) throws(LinuxError) {
        try path("umount2", target) { Kernel.attempt(.umount2, $0, 2) }
    }

    static func changeRoot(_ path: String) throws(LinuxError) {
        try self.path("chroot", path) { Kernel.attempt(.chroot, $0) }
    }

    static func changeDirectory(_ path: String) throws(LinuxError) {
        try self.path("chdir", path) { Kernel.attempt(.chdir, $0) }
    }

    /// pivot_root(2) to the working directory, with the old root stacked on top of it: detach `.` afterwards.
    static func pivotRootHere() throws(LinuxError) {
        try path("pivot_root", ".") { Kernel.attempt(.pivot_root, $0, $0) }
    }

    static func symbolicLink(_ target: String, at path: String) throws(LinuxError) {
        try self.path("symlink", path) { path in
            target.withCString { Kernel.attempt(.symlink, number($0), path) }
        }
    }

    static func hardLink(_ existing: String, at path: String) throws(LinuxError) {
        let here = UInt64(bitPattern: -100)
        try self.path("linkat", path) { path in
            existing.withCString { Kernel.attempt(.linkat, here, number($0), here, path, 0) }
        }
    }

    /// mknod(2); `mode` with its type bits.
    static func node(_ path: String, mode: UInt32, major: UInt64 = 0, minor: UInt64 = 0) throws(LinuxError) {
        // The kernel's user-space encoding of a device number: minor's high bits stand above major's.
        let device = (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xff) << 12
        try self.path("mknod", path) { Kernel.attempt(.mknod, $0, UInt64(mode), device) }
    }

    /// truncate(2).
    static func cut(_ path: String, to bytes: UInt64) throws(LinuxError) {
        try self.path("truncate", path) { Kernel.attempt(.truncate, $0, bytes) }
    }

    static func setMode(_ path: String, _ mode: UInt32) throws(LinuxError) {
        try self.path("chmod", path) { Kernel.attempt(.chmod, $0, UInt64(mode)) }
    }

    /// fchownat(2) without following a last symbolic link.
    static func setOwner(_ path: String, uid: UInt32, gid: UInt32) throws(LinuxError) {
        try self.path("fchownat", path) {
            Kernel.attempt(.fchownat, UInt64(bitPattern: -100), $0, UInt64(uid), UInt64(gid), 0x100)
        }
    }

    /// Sets the modification time, and the access time to the same, without following a last symbolic link.
    static func setModified(_ path: String, nanoseconds: Int64) throws(LinuxError) {
        let seconds = nanoseconds / 1_000_000_000
        let time = (seconds, nanoseconds - seconds * 1_000_000_000)
        let times = (time, time)
        // SAFETY: two timespecs on this frame.
        try self.path("utimensat", path) { path in
            withUnsafePointer(to: times) {
                Kernel.attempt(.utimensat, UInt64(bitPattern: -100), path, number($0), 0x100)
            }
        }
    }

    /// finit_module(2). A module that is already there is no error.
    static func loadModule(_ path: String) throws(LinuxError) {
        let fd = try Files.open(path, .readOnly)
        defer { Files.close(fd) }
        let answer = "".withCString { Kernel.attempt(.finit_module, UInt64(fd), number($0), 0) }
        if let errno = Kernel.errno(of: answer), errno != .exists {
            throw .call("finit_module", object: path, errno)
        }
    }

    static func setHostName(_ name: String) throws(LinuxError) {
        try path("sethostname", name) { Kernel.attempt(.sethostname, $0, UInt64(name.utf8.count)) }
    }

    /// Sets CLOCK_REALTIME.
    static func setClock(seconds: Int64, nanoseconds: Int64) throws(LinuxError) {
        let time = (seconds, nanoseconds)
        // SAFETY: one timespec on this frame.
        let answer = withUnsafePointer(to: time) { Kernel.attempt(.clock_settime, 0, number($0)) }
        if let errno = Kernel.errno(of: answer) { throw .call("clock_settime", object: "CLOCK_REALTIME", errno) }
    }

    /// Brings the loopback interface of this network namespace up.
    static func raiseLoopback() throws(LinuxError) {
        let fd = Int32(try Kernel.call(.socket, 2, 2 | 0o2000000, 0, on: "AF_INET"))
        defer { Files.close(fd) }
        // struct ifreq: 16 bytes of name, then the flags; 40 bytes in all.
        var request = [UInt8](repeating: 0, count: 40)
        request[0] = UInt8(ascii: "l")
        request[1] = UInt8(ascii: "o")
        request[16] = 0x41  // IFF_UP | IFF_RUNNING
        // SAFETY: the kernel reads 40 bytes.
        let answer = request.withUnsafeBytes { buffer in
            Kernel.attempt(.ioctl, UInt64(fd), 0x8914, UInt64(UInt(bitPattern: buffer.baseAddress)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl SIOCSIFFLAGS", object: "lo", errno) }
    }

    /// Puts bytes into the kernel's random number generator and counts them as entropy (RNDADDENTROPY).
    static func addEntropy(_ bytes: [UInt8]) throws(LinuxError) {
        let fd = try Files.open("/dev/urandom", .readWrite)
        defer { Files.close(fd) }
        // struct rand_pool_info: entropy in bits, length in bytes, the bytes.
        var request = [UInt32(bytes.count * 8), UInt32(bytes.count)]
        for index in stride(from: 0, to: bytes.count, by: 4) {
            request.append(bytes[index..<min(index + 4, bytes.count)].reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
        // SAFETY: the kernel reads 8 bytes and as many more as the second word says, all inside `request`.
        let answer = request.withUnsafeBytes { buffer in
            Kernel.attempt(.ioctl, UInt64(fd), 0x4008_5203, UInt64(UInt(bitPattern: buffer.baseAddress)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl RNDADDENTROPY", object: "/dev/urandom", errno) }
        // A generator that is seeded already takes the new bytes into its pool and goes on with the old key for up to a
        // minute: clones would draw the same numbers. RNDRESEEDCRNG makes it take the pool now. ENODATA: it was never
        // seeded, then the new bytes are its first seed.
        let reseeded = Kernel.attempt(.ioctl, UInt64(fd), 0x5207)
        if let errno = Kernel.errno(of: reseeded), errno != .noData {
            throw .call("ioctl RNDRESEEDCRNG", object: "/dev/urandom", errno)
        }
    }

    /// Ends the guest: QEMU runs with -no-reboot, so a reset is an exit.
    static func reset() {
        _ = Kernel.attempt(.reboot, 0xfee1_dead, 0x2812_1969, 0x0123_4567)
    }

    /// Makes the terminal behind a descriptor the controlling one of this session (TIOCSCTTY).
    static func takeTerminal(_ fd: Int32) throws(LinuxError) {
        let answer = Kernel.attempt(.ioctl, UInt64(fd), 0x540e, 0)
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl TIOCSCTTY", object: "fd \(fd)", errno) }
    }

    /// Unlocks the other end of a terminal pair and says its number (TIOCSPTLCK, TIOCGPTN), with its size set.
    static func openTerminal(rows: Int, columns: Int) throws(LinuxError) -> (main: Int32, other: String) {
        let fd = try Files.open("/dev/ptmx", [.readWrite, .init(rawValue: 0o400)])
        var unlock: Int32 = 0
        var number: UInt32 = 0
        var size = (UInt16(clamping: rows), UInt16(clamping: columns), UInt16(0), UInt16(0))
        // SAFETY: each ioctl reads or writes exactly the value on this frame.
        let answers = [
            withUnsafeMutablePointer(to: &unlock) {
                Kernel.attempt(.ioctl, UInt64(fd), 0x4004_5431, self.number(UnsafePointer($0)))
            },
            withUnsafeMutablePointer(to: &number) {
                Kernel.attempt(.ioctl, UInt64(fd), 0x8004_5430, self.number(UnsafePointer($0)))
            },
            withUnsafeMutablePointer(to: &size) {
                Kernel.attempt(.ioctl, UInt64(fd), 0x5414, self.number(UnsafePointer($0)))
            },
        ]
        for answer in answers {
            if let errno = Kernel.errno(of: answer) {
                Files.close(fd)
                throw .call("ioctl", object: "/dev/ptmx", errno)
            }
        }
        return (fd, "/dev/pts/\(number)")
    }

    /// lseek(2) to the end: for `/dev/kmsg`, messages from now on.
    static func seekToEnd(_ fd: Int32) throws(LinuxError) {
        try Kernel.call(.lseek, UInt64(fd), 0, 2, on: "fd \(fd)")
    }

    /// Sets or clears O_NONBLOCK.
    static func setNonBlocking(_ fd: Int32) throws(LinuxError) {
        let flags = try Kernel.call(.fcntl, UInt64(fd), 3, 0, on: "fd \(fd)")
        try Kernel.call(.fcntl, UInt64(fd), 4, flags | 0o4000, on: "fd \(fd)")
    }

    /// Has a pipe hold so much; a system that gives less leaves it as it is.
    static func setPipeBytes(_ fd: Int32, _ bytes: Int) {
        // F_SETPIPE_SZ
        _ = Kernel.attempt(.fcntl, UInt64(fd), 1031, UInt64(bytes))
    }

    /// One read(2) that does not wait.
    ///
    /// The limit stays below malloc's threshold for mappings of their own: a virtio-serial port gives at most 4 KiB per
    /// read, and a fresh mapping for each of those made the channel fifty times slower.
    ///
    /// - Returns: `nil` when there is nothing now; an empty array at the end.
    static func readSome(_ fd: Int32, limit: Int = 65536) throws(LinuxError) -> [UInt8]? {
        var errno: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            while true {
                // SAFETY: the kernel writes at most `limit` bytes, and exactly those are declared initialized.
                let answer = Kernel.attempt(
                    .read, UInt64(fd), UInt64(UInt(bitPattern: buffer.baseAddress)), UInt64(limit))
                errno = Kernel.errno(of: answer)
                if errno == .interrupted { continue }
                count = errno == nil ? Int(answer) : 0
                return
            }
        }
        guard let errno else { return bytes }
        if errno == .again { return nil }
        throw .call("read", object: "fd \(fd)", errno)
    }

    /// One write(2) that does not wait.
    ///
    /// - Returns: How many bytes were taken; 0 when none can be now.
    static func writeSome(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(LinuxError) -> Int {
        while true {
            // SAFETY: the kernel reads `count` bytes.
            let answer = bytes.withUnsafeBytes {
                Kernel.attempt(.write, UInt64(fd), UInt64(UInt(bitPattern: $0.baseAddress)), UInt64($0.count))
            }
            guard let errno = Kernel.errno(of: answer) else { return Int(answer) }
            if errno == .again { return 0 }
            if errno != .interrupted { throw .call("write", object: "fd \(fd)", errno) }
        }
    }

    /// Replaces this program: execve(2). Returns only by throwing.
    static func execute(_ path: String, arguments: [String], environment: [String]) throws(LinuxError) {
        var storage: [UInt8] = []
        var offsets: [Int] = []
        for text in [path] + arguments + environment {
            offsets.append(storage.count)
            storage.append(contentsOf: Array(text.utf8) + [0])
        }
        // SAFETY: the pointers are into `storage`, which lives and stays through the call.
        let answer = storage.withUnsafeBytes { storage in
            let base = number(storage.baseAddress?.assumingMemoryBound(to: UInt8.self))
            let pointers = offsets.map { base + UInt64($0) }
            let argv = pointers[1...arguments.count] + [0]
            let envp = pointers[(arguments.count + 1)...] + [0]
            return Array(argv).withUnsafeBufferPointer { argv in
                Array(envp).withUnsafeBufferPointer { envp in
                    Kernel.attempt(.execve, pointers[0], number(argv.baseAddress), number(envp.baseAddress))
                }
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("execve", object: path, errno) }
    }

    private static func path(
        _ call: String, _ path: String, _ body: (UInt64) -> Int64
    ) throws(LinuxError) {
        // SAFETY: the string lives through the call that `body` makes.
        let answer = path.withCString { body(number($0)) }
        if let errno = Kernel.errno(of: answer) { throw .call(call, object: path, errno) }
    }

    private static func number<Value>(_ pointer: UnsafePointer<Value>?) -> UInt64 {
        UInt64(UInt(bitPattern: pointer))
    }
}
