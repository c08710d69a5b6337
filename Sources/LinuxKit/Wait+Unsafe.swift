/// wait4(2).
public enum Wait {
    /// What happened to one child or traced task, if anything did: never blocks.
    ///
    /// - Parameter task: A TID; -1 for any.
    /// - Returns: `nil` when nothing happened yet.
    public static func poll(_ task: Int32) throws(LinuxError) -> (task: Int32, status: WaitStatus)? {
        try wait(task, options: 1)
    }

    /// Waits for one task.
    ///
    /// With SIGCHLD blocked this sleeps in `rt_sigtimedwait`, so that the deadline and the signals in `wakeups` end it;
    /// a SIGCHLD that belongs to another task only makes it look again.
    ///
    /// - Parameter wakeups: Blocked signals that end the wait; they stay pending.
    /// - Precondition: SIGCHLD is blocked in the calling thread.
    /// - Throws: `LinuxError.deadline`; `LinuxError.call` with `EINTR` after a wakeup signal.
    public static func wait(
        for task: Int32, deadline: Deadline, wakeups: UInt64 = 0
    ) throws(LinuxError) -> (task: Int32, status: WaitStatus) {
        let child = Signals.mask([Signals.child])
        // A traced task mostly stops within microseconds, on another processor: sleeping would cost more than looking.
        for _ in 0..<looks {
            if let found = try poll(task) { return found }
        }
        while true {
            if let found = try poll(task) { return found }
            if Signals.pending() & wakeups != 0 { throw .call("wait4", object: "task \(task)", .interrupted) }
            let remaining = deadline.remainingNanoseconds
            if remaining == 0 { throw .deadline("task \(task) to change state", seconds: deadline.seconds) }
            // A wakeup signal must stay pending for whoever handles it, so only SIGCHLD is taken out; the slice bounds
            // how late a wakeup is noticed.
            _ = Signals.take(child, timeoutNanoseconds: min(remaining, 100_000_000))
        }
    }

    /// How often to look before sleeping: not at all with one processor, where the task could not run meanwhile.
    private static let looks = WorkerThread.processors > 1 ? 100 : 0

    private static func wait(_ task: Int32, options: UInt64) throws(LinuxError) -> (task: Int32, status: WaitStatus)? {
        var status: Int32 = 0
        while true {
            // SAFETY: the kernel writes one int into `status`.
            let answer = withUnsafeMutablePointer(to: &status) {
                Kernel.attempt(
                    .wait4, Kernel.number(task), Kernel.number(UnsafeRawPointer($0)), options | 0x4000_0000)
            }
            if let errno = Kernel.errno(of: answer) {
                if errno == .interrupted { continue }
                throw .call("wait4", object: "task \(task)", errno)
            }
            return answer == 0 ? nil : (Int32(answer), WaitStatus(raw: status))
        }
    }
}
