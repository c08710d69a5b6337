/// Descriptors that name processes: pidfd_open(2), pidfd_getfd(2), pidfd_send_signal(2).
public enum Pidfd {
    /// A pidfd of a process, or (since kernel 6.9) of a thread; the caller closes it.
    public static func open(_ task: Int32) throws(LinuxError) -> Int32 {
        let answer = Kernel.attempt(.pidfd_open, Kernel.number(task), 0)
        guard let errno = Kernel.errno(of: answer) else { return Int32(answer) }
        // A thread that is not the first of its process gave EINVAL, then ENOENT. PIDFD_THREAD is O_EXCL.
        if errno == .invalid || errno == .noEntry {
            let thread = Kernel.attempt(.pidfd_open, Kernel.number(task), 0o200)
            if Kernel.errno(of: thread) == nil { return Int32(thread) }
        }
        throw .call("pidfd_open", object: "task \(task)", errno)
    }

    /// A duplicate of another process's descriptor: the same open file, offset and flags included.
    ///
    /// - Returns: A close-on-exec descriptor that the caller closes.
    public static func descriptor(_ pidfd: Int32, _ remote: Int32) throws(LinuxError) -> Int32 {
        Int32(try Kernel.call(.pidfd_getfd, Kernel.number(pidfd), Kernel.number(remote), 0, on: "fd \(remote)"))
    }

    /// Signals the process that the pidfd names, never one that took its PID later.
    public static func send(_ pidfd: Int32, _ signal: Int32) throws(LinuxError) {
        try Kernel.call(.pidfd_send_signal, Kernel.number(pidfd), Kernel.number(signal), 0, 0, on: "pidfd \(pidfd)")
    }
}

/// Which kernel objects two tasks share: kcmp(2).
public enum Kcmp {
    public enum Resource: UInt64, Sendable {
        case file = 0, memory = 1, files = 2, filesystem = 3, signalHandlers = 4, io = 5, semaphores = 6
    }

    /// Whether two tasks share a table.
    public static func same(_ resource: Resource, _ a: Int32, _ b: Int32) throws(LinuxError) -> Bool {
        try order(resource, a, 0, b, 0) == 0
    }

    /// Whether two descriptors are the same open file.
    public static func sameFile(_ a: Int32, _ aFd: Int32, _ b: Int32, _ bFd: Int32) throws(LinuxError) -> Bool {
        try order(.file, a, aFd, b, bFd) == 0
    }

    /// Whether an epoll instance watches this open file under the number `target`.
    ///
    /// - Parameter occurrence: Which of several files that were added under the same number, from 0.
    public static func watches(
        _ a: Int32, _ aFd: Int32, epollOf b: Int32, _ epollFd: Int32, target: Int32, occurrence: UInt32 = 0
    ) throws(LinuxError) -> Bool {
        var slot: (Int32, Int32, UInt32) = (epollFd, target, occurrence)
        // SAFETY: struct kcmp_epoll_slot, three 32-bit words, read by the kernel.
        let answer = withUnsafeMutablePointer(to: &slot) {
            Kernel.attempt(
                .kcmp, Kernel.number(a), Kernel.number(b), 7, Kernel.number(aFd), Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) {
            if errno == .noEntry { return false }
            throw .call("kcmp", object: "epoll fd \(epollFd) of task \(b)", errno)
        }
        return answer == 0
    }

    /// The kernel's own order of objects: 0 equal, 1 less, 2 greater, 3 different without order.
    public static func order(
        _ resource: Resource, _ a: Int32, _ aFd: Int32, _ b: Int32, _ bFd: Int32
    ) throws(LinuxError) -> Int {
        Int(
            try Kernel.call(
                .kcmp, Kernel.number(a), Kernel.number(b), resource.rawValue, Kernel.number(aFd), Kernel.number(bFd),
                on: "tasks \(a) and \(b)"))
    }
}
