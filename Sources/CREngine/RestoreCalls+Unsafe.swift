internal import CRImage
internal import LinuxKit

/// System calls of the engine itself that take structures: each copies its arguments into memory that lives through the
/// call.
enum RestoreCalls {
    private static func with(_ bytes: [UInt8], _ body: (UInt64) -> Int64) -> (answer: Int64, bytes: [UInt8]) {
        var copy = bytes
        // SAFETY: the address is valid, and `copy` does not move, for as long as `body` runs.
        let answer = copy.withUnsafeMutableBytes { body(UInt64(UInt(bitPattern: $0.baseAddress))) }
        return (answer, copy)
    }

    private static func word(_ value: Int32) -> UInt64 { UInt64(bitPattern: Int64(value)) }

    private static func check(
        _ call: SystemCall, _ object: @autoclosure () -> String, _ answer: Int64
    ) throws(LinuxError) -> UInt64 {
        if let errno = Kernel.errno(of: answer) { throw .call(call.name, object: object(), errno) }
        return UInt64(bitPattern: answer)
    }

    /// fcntl(2) with a number.
    @discardableResult
    static func control(
        _ fd: Int32, _ command: UInt64, _ argument: UInt64, _ object: @autoclosure () -> String
    ) throws(LinuxError) -> UInt64 {
        try check(.fcntl, object(), Kernel.attempt(.fcntl, word(fd), command, argument))
    }

    /// F_SETOWN_EX. The kernel notes who sets it, and signals only whom that user may signal.
    static func setOwner(
        of fd: Int32, kind: UInt32, id: Int32, as users: (user: UInt32, effective: UInt32)
    ) throws(LinuxError) {
        let pair = [UInt64(kind) | UInt64(UInt32(bitPattern: id)) << 32].littleEndianBytes
        // The saved user ID stays the engine's, so that it can come back.
        let changes = users.user != 0 || users.effective != 0
        if changes {
            _ = try check(
                .setresuid, "fd \(fd)",
                Kernel.attempt(.setresuid, UInt64(users.user), UInt64(users.effective), UInt64.max))
        }
        let (answer, _) = with(pair) { Kernel.attempt(.fcntl, word(fd), 15, $0) }
        if changes { _ = try check(.setresuid, "fd \(fd)", Kernel.attempt(.setresuid, 0, 0, 0)) }
        _ = try check(.fcntl, "fd \(fd)", answer)
    }

    static func truncate(_ fd: Int32, _ size: UInt64) throws(LinuxError) {
        _ = try check(.ftruncate, "fd \(fd)", Kernel.attempt(.ftruncate, word(fd), size))
    }

    static func seek(_ fd: Int32, to offset: UInt64, _ object: @autoclosure () -> String) throws(LinuxError) {
        _ = try check(.lseek, object(), Kernel.attempt(.lseek, word(fd), offset, 0))
    }

    /// mkdir(2), whatever the umask.
    static func makeFolder(_ path: String, mode: UInt64 = 0o700) throws(LinuxError) {
        let (answer, _) = with(Array(path.utf8) + [0]) { Kernel.attempt(.mkdir, $0, mode) }
        _ = try check(.mkdir, path, answer)
        let (change, _) = with(Array(path.utf8) + [0]) { Kernel.attempt(.chmod, $0, mode) }
        _ = try check(.chmod, path, change)
    }

    /// Owner of what stands at a path, which is no symbolic link's target.
    static func setOwner(ofName path: String, _ uid: UInt32, _ gid: UInt32) throws(LinuxError) {
        let (answer, _) = with(Array(path.utf8) + [0]) { Kernel.attempt(.lchown, $0, UInt64(uid), UInt64(gid)) }
        _ = try check(.lchown, path, answer)
    }

    static func setMode(ofName path: String, _ mode: UInt32) throws(LinuxError) {
        let (answer, _) = with(Array(path.utf8) + [0]) { Kernel.attempt(.chmod, $0, UInt64(mode)) }
        _ = try check(.chmod, path, answer)
    }

    /// Removes an empty folder; one that is not empty stays.
    static func removeFolder(_ path: String) { _ = with(Array(path.utf8) + [0]) { Kernel.attempt(.rmdir, $0) } }

    /// rename(2), which replaces what stands at the new path.
    static func rename(_ path: String, to new: String) throws(LinuxError) {
        let (answer, _) = with(Array(path.utf8) + [0]) { old in
            with(Array(new.utf8) + [0]) { Kernel.attempt(.rename, old, $0) }.answer
        }
        _ = try check(.rename, new, answer)
    }

    /// Opens a path with raw flags, as open(2) takes them; always close-on-exec.
    static func open(_ path: String, rawFlags: UInt64, mode: UInt32 = 0o600) throws(LinuxError) -> Int32 {
        let (answer, _) = with(Array(Namespaces.reachable(path).utf8) + [0]) {
            Kernel.attempt(.openat, word(-100), $0, rawFlags | 0o2000000, UInt64(mode))
        }
        return Int32(try check(.openat, path, answer))
    }

    static func eventfd(count: UInt64, isSemaphore: Bool) throws(LinuxError) -> Int32 {
        let first = min(count, 0xffff_fffe)
        let fd = Int32(
            try check(.eventfd2, "eventfd", Kernel.attempt(.eventfd2, first, 0o2000000 | (isSemaphore ? 1 : 0))))
        // The call takes 32 bits; the rest is added by writing.
        if count > first { try Files.write(fd, [count - first].littleEndianBytes) }
        return fd
    }

    static func epoll() throws(LinuxError) -> Int32 {
        Int32(try check(.epoll_create1, "epoll", Kernel.attempt(.epoll_create1, 0o2000000)))
    }

    static func signalfd(mask: UInt64) throws(LinuxError) -> Int32 {
        let (answer, _) = with([mask].littleEndianBytes) {
            Kernel.attempt(.signalfd4, UInt64.max, $0, 8, 0o2000000)
        }
        return Int32(try check(.signalfd4, "signalfd", answer))
    }

    static func timerfd(clock: Int32) throws(LinuxError) -> Int32 {
        Int32(try check(.timerfd_create, "timerfd", Kernel.attempt(.timerfd_create, word(clock), 0o2000000)))
    }

    /// Arms a timerfd with the time that it has left; 0 leaves it disarmed, its interval noted all the same.
    static func setTimer(_ fd: Int32, _ timer: TimerfdValue) throws(LinuxError) {
        var flags: UInt64 = 0
        var value = timer.valueNanoseconds
        if value != 0, timer.settimeFlags & 1 != 0 {
            // TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET
            flags = UInt64(timer.settimeFlags & 3)
            value =
                timer.absoluteNanoseconds != 0
                ? timer.absoluteNanoseconds
                : value &+ MonotonicClock.nanoseconds(of: UInt64(UInt32(bitPattern: timer.clock)))
        }
        let (answer, _) = with(timerWords(value: value, interval: timer.intervalNanoseconds).littleEndianBytes) {
            Kernel.attempt(.timerfd_settime, word(fd), flags, $0, 0)
        }
        _ = try check(.timerfd_settime, "fd \(fd)", answer)
    }

    /// `struct itimerspec`.
    static func timerWords(value: UInt64, interval: UInt64) -> [UInt64] {
        [interval / 1_000_000_000, interval % 1_000_000_000, value / 1_000_000_000, value % 1_000_000_000]
    }

    /// TFD_IOC_SET_TICKS, which kernels with CONFIG_CHECKPOINT_RESTORE have.
    static func setTicks(_ fd: Int32, _ ticks: UInt64) throws(LinuxError) {
        let (answer, _) = with([ticks].littleEndianBytes) { Kernel.attempt(.ioctl, word(fd), 0x4008_5400, $0) }
        _ = try check(.ioctl, "timerfd \(fd)", answer)
    }

    /// Shared anonymous memory, as a descriptor.
    static func sharedMemory(bytes: UInt64, hugePageShift: UInt32) throws(LinuxError) -> Int32 {
        let unit = UInt64(1) << UInt64(max(12, min(hugePageShift, 40)))
        let (sum, overflow) = bytes.addingReportingOverflow(unit - 1)
        guard !overflow, bytes > 0 else { throw .call("mmap", object: "shared memory", .invalid) }
        let count = sum / unit * unit
        // MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, MAP_HUGETLB and the size above it
        let flags: UInt64 = 0x4021 | (hugePageShift == 0 ? 0 : 0x40000 | UInt64(hugePageShift) << 26)
        let start = try check(.mmap, "shared memory", Kernel.attempt(.mmap, 0, count, 3, flags, UInt64.max, 0))
        defer { _ = Kernel.attempt(.munmap, start, count) }
        let range = String(start, radix: 16) + "-" + String(start + count, radix: 16)
        return try open("/proc/self/map_files/\(range)", rawFlags: 2)
    }

    /// Writes bytes to a file of huge pages, which write(2) does not reach.
    static func writeMapped(
        _ fd: Int32, at offset: UInt64, pageShift: UInt32, _ buffer: UnsafeRawBufferPointer
    ) throws(LinuxError) {
        let unit = UInt64(1) << UInt64(pageShift)
        let first = offset / unit * unit
        let count = (offset + UInt64(buffer.count) - first + unit - 1) / unit * unit
        // PROT_READ | PROT_WRITE, MAP_SHARED
        let start = try check(.mmap, "fd \(fd)", Kernel.attempt(.mmap, 0, count, 3, 1, word(fd), first))
        defer { _ = Kernel.attempt(.munmap, start, count) }
        // SAFETY: the mapping reaches from `first` to behind the last byte, and the caller has checked that against the
        // file's size.
        if let target = UnsafeMutableRawPointer(bitPattern: UInt(start + (offset - first))),
            let source = buffer.baseAddress
        {
            target.copyMemory(from: source, byteCount: buffer.count)
        }
    }

    static func changeMode(_ fd: Int32, _ mode: UInt32) throws(LinuxError) {
        _ = try check(.fchmod, "fd \(fd)", Kernel.attempt(.fchmod, word(fd), UInt64(mode & 0o7777)))
    }

    static func changeOwner(_ fd: Int32, _ uid: UInt32, _ gid: UInt32) throws(LinuxError) {
        _ = try check(.fchown, "fd \(fd)", Kernel.attempt(.fchown, word(fd), UInt64(uid), UInt64(gid)))
    }

    /// A pair of connected UNIX sockets for datagrams.
    static func socketPair() throws(LinuxError) -> (Int32, Int32) {
        // AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC
        let (answer, bytes) = with([0].littleEndianBytes) { Kernel.attempt(.socketpair, 1, 0o2000002, 0, $0) }
        _ = try check(.socketpair, "a new pair", answer)
        return (Int32(bitPattern: bytes.half(at: 0)), Int32(bitPattern: bytes.half(at: 4)))
    }

    /// Sends a descriptor through a UNIX socket.
    static func send(_ fd: Int32, through socket: Int32) throws(LinuxError) {
        var message = PassedDescriptor.message(at: 0, fd: fd)
        // SAFETY: the message's inner addresses point into the same bytes, which stay where they are during the call.
        let answer = message.withUnsafeMutableBytes { bytes -> Int64 in
            let start = UInt64(UInt(bitPattern: bytes.baseAddress))
            bytes.copyBytes(from: PassedDescriptor.message(at: start, fd: fd))
            return Kernel.attempt(.sendmsg, word(socket), start, 0)
        }
        _ = try check(.sendmsg, "fd \(fd)", answer)
    }

    static func unshare(_ namespaces: SpawnRequest.Namespaces) throws(LinuxError) {
        _ = try check(.unshare, "namespaces", Kernel.attempt(.unshare, namespaces.rawValue))
    }

    /// Writes all bytes at an offset of a file.
    static func write(_ fd: Int32, at offset: UInt64, _ buffer: UnsafeRawBufferPointer) throws(LinuxError) {
        var done = 0
        while done < buffer.count {
            // SAFETY: the piece lies inside the caller's buffer.
            let answer = Kernel.attempt(
                .pwrite64, word(fd), UInt64(UInt(bitPattern: buffer.baseAddress)) + UInt64(done),
                UInt64(buffer.count - done), offset + UInt64(done))
            if Kernel.errno(of: answer) == .interrupted { continue }
            let count = Int(try check(.pwrite64, "fd \(fd)", answer))
            guard count > 0 else { throw .call("pwrite64", object: "fd \(fd)", .inputOutput) }
            done += count
        }
    }

    /// Writes all bytes at an offset of a file.
    static func write(_ fd: Int32, at offset: UInt64, bytes: [UInt8]) throws(LinuxError) {
        var failure: LinuxError?
        bytes.withUnsafeBytes { buffer in
            do throws(LinuxError) { try write(fd, at: offset, buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Lets this process open as many files as its hard limit allows; children inherit the soft limit until theirs is set.
    ///
    /// - Parameter wanted: More than the hard limit takes CAP_SYS_RESOURCE.
    /// - Returns: How many it is.
    static func raiseFileLimit(to wanted: UInt64) -> UInt64 {
        guard let limits = try? Limits.all(of: Int32(Kernel.attempt(.getpid))), limits.count > 7 else { return wanted }
        let hard = limits[7].hard
        if hard < wanted {
            do throws(LinuxError) {
                try Limits.set(7, of: 0, to: ResourceLimit(soft: wanted, hard: wanted))
                return wanted
            } catch {
                // So be it.
            }
        }
        try? Limits.set(7, of: 0, to: ResourceLimit(soft: hard, hard: hard))
        return hard
    }
}

/// A message of one byte that carries one descriptor, as sendmsg(2) and recvmsg(2) want it.
enum PassedDescriptor {
    /// Where the descriptor stands in the message.
    static let offset = 112

    /// `struct msghdr` at 0, `struct iovec` at 64, the byte at 80, `struct cmsghdr` with the descriptor at 96.
    ///
    /// - Parameter address: Where the message will lie.
    static func message(at address: UInt64, fd: Int32) -> [UInt8] {
        [
            0, 0, address &+ 64, 1, address &+ 96, 24, 0, 0,
            address &+ 80, 1, 0, 0,
            // Length 20, SOL_SOCKET, SCM_RIGHTS.
            20, 1 | 1 << 32, UInt64(UInt32(bitPattern: fd)),
        ].littleEndianBytes
    }
}
