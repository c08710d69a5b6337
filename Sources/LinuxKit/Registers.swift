/// The general registers of a stopped task, in the layout of `struct user_regs_struct` (27 words).
///
/// - Source: `arch/x86/include/uapi/asm/ptrace.h`; this is also what `NT_PRSTATUS` carries.
public struct Registers: Sendable, Hashable {
    public var r15: UInt64 = 0
    public var r14: UInt64 = 0
    public var r13: UInt64 = 0
    public var r12: UInt64 = 0
    public var rbp: UInt64 = 0
    public var rbx: UInt64 = 0
    public var r11: UInt64 = 0
    public var r10: UInt64 = 0
    public var r9: UInt64 = 0
    public var r8: UInt64 = 0
    public var rax: UInt64 = 0
    public var rcx: UInt64 = 0
    public var rdx: UInt64 = 0
    public var rsi: UInt64 = 0
    public var rdi: UInt64 = 0
    public var origRax: UInt64 = 0
    public var rip: UInt64 = 0
    public var cs: UInt64 = 0
    public var eflags: UInt64 = 0
    public var rsp: UInt64 = 0
    public var ss: UInt64 = 0
    public var fsBase: UInt64 = 0
    public var gsBase: UInt64 = 0
    public var ds: UInt64 = 0
    public var es: UInt64 = 0
    public var fs: UInt64 = 0
    public var gs: UInt64 = 0

    /// How many words the kernel transfers.
    public static let wordCount = 27

    public init() {}

    /// Reads the words in the kernel's order; `nil` unless there are exactly ``wordCount``.
    public init?(words: [UInt64]) {
        guard words.count == Self.wordCount else { return nil }
        r15 = words[0]
        r14 = words[1]
        r13 = words[2]
        r12 = words[3]
        rbp = words[4]
        rbx = words[5]
        r11 = words[6]
        r10 = words[7]
        r9 = words[8]
        r8 = words[9]
        rax = words[10]
        rcx = words[11]
        rdx = words[12]
        rsi = words[13]
        rdi = words[14]
        origRax = words[15]
        rip = words[16]
        cs = words[17]
        eflags = words[18]
        rsp = words[19]
        ss = words[20]
        fsBase = words[21]
        gsBase = words[22]
        ds = words[23]
        es = words[24]
        fs = words[25]
        gs = words[26]
    }

    /// The words in the kernel's order.
    public var words: [UInt64] {
        [
            r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi,
            rdi, origRax, rip, cs, eflags, rsp, ss, fsBase, gsBase, ds, es, fs, gs,
        ]
    }

    /// Whether the task runs 64-bit code: the code segment is the kernel's `__USER_CS`.
    public var is64Bit: Bool { cs == 0x33 }

    /// The call that was interrupted and wants to be started again; `nil` when the task was not in one.
    public var interruptedCall: UInt64? {
        guard Int64(bitPattern: origRax) >= 0, RestartCode(rawValue: Int64(bitPattern: rax)) != nil else { return nil }
        return origRax
    }
}

/// What the kernel leaves in `rax` when it took a task out of a system call; user space never sees these.
///
/// - Source: `include/linux/errno.h`.
public enum RestartCode: Int64, Sendable {
    /// ERESTARTSYS: again, unless a handler without SA_RESTART runs.
    case restartSystem = -512
    /// ERESTARTNOINTR: always again.
    case restartAlways = -513
    /// ERESTARTNOHAND: again, unless any handler runs.
    case restartUnlessHandled = -514
    /// ERESTART_RESTARTBLOCK: again by `restart_syscall`, with what the kernel remembered in the task.
    case restartBlock = -516
}
