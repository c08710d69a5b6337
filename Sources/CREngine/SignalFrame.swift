internal import CRImage
internal import LinuxKit

/// What rt_sigreturn(2) takes a task's registers, mask and extended state from.
///
/// - Source: `struct rt_sigframe` behind its return address, `struct sigcontext_64` and `struct _fpx_sw_bytes` in
///   `arch/x86/include/uapi/asm/sigcontext.h`.
enum SignalFrame {
    static let bytes = 304

    /// The frame without extended state.
    ///
    /// - Parameter extendedState: Address of ``extendedState(_:_:_:)``, a multiple of 64.
    static func words(_ registers: Registers, mask: UInt64, extendedState: UInt64) -> [UInt64] {
        let r = registers
        // UC_FP_XSTATE, UC_SIGCONTEXT_SS and UC_STRICT_RESTORE_SS.
        var words: [UInt64] = [7, 0]
        // An alternate stack with flags that do not exist: the kernel leaves the task's own alone.
        words += [0, 0x7f, 0]
        words += [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx,
        ]
        words += [r.rsp, r.rip, r.eflags, r.cs & 0xffff | (r.ss & 0xffff) << 48]
        words += [0, 0, 0, 0, extendedState, 0, 0, 0, 0, 0, 0, 0, 0, mask]
        return words
    }

    /// Extended state as a frame holds it: cut behind the last component that is in use, and marked.
    static func extendedState(_ kind: XstateKind, _ bytes: [UInt8], ends: [(number: Int, end: Int)]) -> [UInt8] {
        guard kind == .extended, bytes.count >= 576 else { return bytes }
        let used = bytes.word(at: 512)
        // A task that has never asked for the tiles of AMX has no room for them, and the kernel takes no frame larger
        // than a task's own room.
        let size = ends.reduce(576) { used >> UInt64($1.number) & 1 != 0 ? max($0, $1.end) : $0 }
        guard size <= bytes.count else { return bytes }
        var frame = Array(bytes[..<size])
        let marks = [UInt64(0x4650_5853) | UInt64(size + 4) << 32, used | 3, UInt64(size), 0, 0, 0]
        frame.replaceSubrange(464..<512, with: marks.littleEndianBytes)
        return frame + [0x45, 0x58, 0x50, 0x46]
    }
}
