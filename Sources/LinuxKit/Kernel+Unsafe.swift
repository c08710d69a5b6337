import CLinux

/// The one way into the kernel: raw calls whose failure is an error that names call and object.
public enum Kernel {
    /// Makes a system call in this process.
    ///
    /// Arguments are plain numbers; a pointer argument must stay valid until the call returns, which only the callers in
    /// `…+Unsafe.swift` files of LinuxKit can promise. So everything else uses the typed functions.
    ///
    /// - Parameter object: What the call works on, for the error: `fd 5`, `task 17`, a path.
    /// - Returns: What the kernel answered, never negative in the errno range.
    /// - Throws: `LinuxError.call`.
    @discardableResult
    public static func call(
        _ call: SystemCall, _ a0: UInt64 = 0, _ a1: UInt64 = 0, _ a2: UInt64 = 0, _ a3: UInt64 = 0, _ a4: UInt64 = 0,
        _ a5: UInt64 = 0, on object: @autoclosure () -> String
    ) throws(LinuxError) -> UInt64 {
        let answer = attempt(call, a0, a1, a2, a3, a4, a5)
        if let errno = errno(of: answer) { throw .call(call.name, object: object(), errno) }
        return UInt64(bitPattern: answer)
    }

    /// Makes a system call and returns the kernel's answer as it is, `-errno` included.
    public static func attempt(
        _ call: SystemCall, _ a0: UInt64 = 0, _ a1: UInt64 = 0, _ a2: UInt64 = 0, _ a3: UInt64 = 0, _ a4: UInt64 = 0,
        _ a5: UInt64 = 0
    ) -> Int64 {
        // SAFETY: whoever passes an address as a number keeps its memory alive, see above.
        Int64(crl_syscall(Int(call.rawValue), UInt(a0), UInt(a1), UInt(a2), UInt(a3), UInt(a4), UInt(a5)))
    }

    /// The error in a raw answer; `nil` when the call succeeded.
    ///
    /// - Source: `syscall(2)`: -4095 … -1 are errors, everything else (high addresses too) is a result.
    public static func errno(of answer: Int64) -> Errno? {
        answer < 0 && answer >= -4095 ? Errno(rawValue: Int32(-answer)) : nil
    }

    /// Has this process keep memory that it frees, for its next use: under emulation a page fault is dear.
    public static func keepMemory() { crl_keep_memory() }

    /// A pointer as a system-call argument; 0 for `nil`. Its memory must outlive the call.
    public static func number(_ pointer: UnsafeRawPointer?) -> UInt64 { UInt64(UInt(bitPattern: pointer)) }
    /// A pointer as a system-call argument; 0 for `nil`. Its memory must outlive the call.
    public static func number(_ pointer: UnsafeMutableRawPointer?) -> UInt64 { UInt64(UInt(bitPattern: pointer)) }
    /// Sign-extends like C does when an `int` goes into a register.
    public static func number(_ value: Int32) -> UInt64 { UInt64(bitPattern: Int64(value)) }
    /// A signed number as a system-call argument.
    public static func number(_ value: Int) -> UInt64 { UInt64(bitPattern: Int64(value)) }
}
