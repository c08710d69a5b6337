/// Signals of this process and of others.
public enum Signals {
    public static let hangup: Int32 = 1
    public static let interrupt: Int32 = 2
    public static let trap: Int32 = 5
    public static let kill: Int32 = 9
    public static let pipe: Int32 = 13
    public static let alarm: Int32 = 14
    public static let terminate: Int32 = 15
    public static let child: Int32 = 17
    public static let cont: Int32 = 18
    public static let stop: Int32 = 19
    public static let terminalStop: Int32 = 20
    public static let fileSize: Int32 = 25
    public static let badCall: Int32 = 31

    /// A mask with these signals.
    public static func mask(_ signals: [Int32]) -> UInt64 {
        signals.reduce(0) { $0 | (1 << UInt64($1 - 1)) }
    }

    /// Blocks more signals in the calling thread.
    ///
    /// - Returns: The mask before, for ``setMask(_:)``.
    @discardableResult
    public static func block(_ signals: [Int32]) throws(LinuxError) -> UInt64 {
        try change(how: 0, mask(signals))
    }

    /// Sets the calling thread's mask.
    public static func setMask(_ mask: UInt64) throws(LinuxError) { _ = try change(how: 2, mask) }

    private static func change(how: UInt64, _ mask: UInt64) throws(LinuxError) -> UInt64 {
        var new = mask
        var old: UInt64 = 0
        // SAFETY: two 8-byte masks on this frame; the size is the last argument.
        let answer = withUnsafeMutablePointer(to: &new) { new in
            withUnsafeMutablePointer(to: &old) { old in
                Kernel.attempt(
                    .rt_sigprocmask, how, Kernel.number(UnsafeRawPointer(new)), Kernel.number(UnsafeRawPointer(old)), 8)
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("rt_sigprocmask", object: "this thread", errno) }
        return old
    }

    /// Which blocked signals are pending for the calling thread.
    public static func pending() -> UInt64 {
        var mask: UInt64 = 0
        // SAFETY: the kernel writes 8 bytes.
        _ = withUnsafeMutablePointer(to: &mask) {
            Kernel.attempt(.rt_sigpending, Kernel.number(UnsafeRawPointer($0)), 8)
        }
        return mask
    }

    /// Takes one of these (blocked) signals out of the queue, waiting for it.
    ///
    /// - Returns: The signal; `nil` after `timeoutNanoseconds`, or when another signal's handler ran.
    public static func take(_ mask: UInt64, timeoutNanoseconds: UInt64) -> Int32? {
        var mask = mask
        var time: (UInt64, UInt64) = (timeoutNanoseconds / 1_000_000_000, timeoutNanoseconds % 1_000_000_000)
        // SAFETY: mask and timespec live on this frame; no siginfo is asked for.
        let answer = withUnsafeMutablePointer(to: &mask) { mask in
            withUnsafeMutablePointer(to: &time) { time in
                Kernel.attempt(
                    .rt_sigtimedwait, Kernel.number(UnsafeRawPointer(mask)), 0, Kernel.number(UnsafeRawPointer(time)),
                    8)
            }
        }
        return answer > 0 ? Int32(answer) : nil
    }

    /// kill(2).
    public static func send(_ signal: Int32, to process: Int32) throws(LinuxError) {
        try Kernel.call(.kill, Kernel.number(process), Kernel.number(signal), on: "process \(process)")
    }

    /// tgkill(2).
    public static func send(_ signal: Int32, toTask task: Int32, of process: Int32) throws(LinuxError) {
        try Kernel.call(
            .tgkill, Kernel.number(process), Kernel.number(task), Kernel.number(signal), on: "task \(task)")
    }

    /// The kernel's name: `SIGSEGV`; `SIGRT3` style for real-time ones.
    public static func name(_ signal: Int32) -> String {
        let names = [
            "0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
            "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM",
            "PROF", "WINCH", "IO", "PWR", "SYS",
        ]
        if signal > 31 { return "SIGRT\(signal - 32)" }
        return signal >= 0 ? "SIG" + names[Int(signal)] : "signal \(signal)"
    }
}
