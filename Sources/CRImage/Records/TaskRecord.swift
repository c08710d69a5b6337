/// One live task.
public struct TaskRecord: ImageValue {
    public var tid: Int32 = 0
    /// PID of its process; equal to `tid` for the first task.
    public var process: Int32 = 0
    /// `struct user_regs_struct`, 27 words; an interrupted call is rewound unless a signal is pending for the task.
    public var registers: [UInt64] = []
    /// Which regset `xstate` holds.
    public var xstateKind = XstateKind.extended
    /// The regset as the source's kernel gave it.
    public var xstate: [UInt8] = []
    /// Blocked signals, bit N-1 for signal N.
    public var signalMask: UInt64 = 0
    /// siginfo of the signals pending for this task alone, 128 bytes each, oldest first.
    public var pendingSignals: [[UInt8]] = []
    public var alternateStack = AlternateStackValue()
    public var rseq = RseqValue()
    public var robustListHead: UInt64 = 0
    public var robustListBytes: UInt64 = 0
    /// set_tid_address(2); 0 for none.
    public var clearTidAddress: UInt64 = 0
    public var credentials = CredentialsValue()
    /// At most 15 bytes.
    public var comm: [UInt8] = []
    /// PR_SET_PDEATHSIG; 0 for none.
    public var parentDeathSignal: Int32 = 0
    public var personality: UInt32 = 0
    /// `struct sched_attr`; empty for the default.
    public var scheduling: [UInt8] = []
    /// PR_SET_TIMERSLACK, in nanoseconds; 0 when not known.
    public var timerSlackNanoseconds: UInt64 = 0
    public var state = TaskStateValue()
    /// Number of a ``FileTableRecord`` of its own; 0 when it has the one of its process.
    public var fileTable: UInt32 = 0
    /// Number of a ``FileSystemRecord`` of its own; 0 when it has the one of its process.
    public var fileSystem: UInt32 = 0
    /// Its TIDs in the PID namespaces below the root process's, outermost first.
    public var innerTids: [Int32] = []
    /// Numbers of its ``CgroupRecord``s where they are not those of its process; or else empty.
    public var cgroups: [UInt32] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("tid", &tid)
        try fields.number("process", &process)
        try fields.words("registers", &registers)
        try fields.choice("xstateKind", &xstateKind)
        try fields.bytes("xstate", &xstate)
        try fields.hex("signalMask", &signalMask)
        try fields.list(ofBytes: "pendingSignals", &pendingSignals)
        try alternateStack.transfer(&fields)
        try rseq.transfer(&fields)
        try fields.hex("robustListHead", &robustListHead)
        try fields.number("robustListBytes", &robustListBytes)
        try fields.hex("clearTidAddress", &clearTidAddress)
        try credentials.transfer(&fields)
        try fields.bytes("comm", &comm)
        try fields.number("parentDeathSignal", &parentDeathSignal)
        try fields.number("personality", &personality)
        try fields.bytes("scheduling", &scheduling)
        try fields.number("timerSlackNanoseconds", &timerSlackNanoseconds)
        try state.transfer(&fields)
        try fields.number("fileTable", &fileTable)
        try fields.number("fileSystem", &fileSystem)
        try fields.numbers("innerTids", &innerTids)
        try fields.numbers("cgroups", &cgroups)
    }
}

/// A regset by its ELF note number.
public enum XstateKind: UInt32, Sendable, Hashable {
    /// NT_PRFPREG: 512 bytes, the FXSAVE area, from a CPU without XSAVE.
    case floatingPoint = 2
    /// NT_X86_XSTATE: the XSAVE area in its standard, not compacted, form.
    case extended = 0x202
}

/// sigaltstack(2).
public struct AlternateStackValue: ImageValue {
    public var pointer: UInt64 = 0
    public var flags: UInt32 = 2
    public var sizeBytes: UInt64 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.hex("alternateStackPointer", &pointer)
        try fields.number("alternateStackFlags", &flags)
        try fields.number("alternateStackBytes", &sizeBytes)
    }
}

/// rseq(2); address 0 when not registered.
public struct RseqValue: ImageValue {
    public var address: UInt64 = 0
    public var sizeBytes: UInt32 = 0
    public var signature: UInt32 = 0
    public var flags: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.hex("rseqAddress", &address)
        try fields.number("rseqBytes", &sizeBytes)
        try fields.number("rseqSignature", &signature)
        try fields.number("rseqFlags", &flags)
    }
}

/// credentials(7) and capabilities(7).
public struct CredentialsValue: ImageValue {
    /// Real, effective, saved, file-system user ID.
    public var users: [UInt64] = [0, 0, 0, 0]
    /// Real, effective, saved, file-system group ID.
    public var groups: [UInt64] = [0, 0, 0, 0]
    public var supplementaryGroups: [UInt64] = []
    public var inheritable: UInt64 = 0
    public var permitted: UInt64 = 0
    public var effective: UInt64 = 0
    public var bounding: UInt64 = 0
    public var ambient: UInt64 = 0
    /// PR_SET_SECUREBITS.
    public var secureBits: UInt32 = 0
    public var noNewPrivileges = false

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.words("users", &users)
        try fields.words("groups", &groups)
        try fields.words("supplementaryGroups", &supplementaryGroups)
        try fields.hex("capabilitiesInheritable", &inheritable)
        try fields.hex("capabilitiesPermitted", &permitted)
        try fields.hex("capabilitiesEffective", &effective)
        try fields.hex("capabilitiesBounding", &bounding)
        try fields.hex("capabilitiesAmbient", &ambient)
        try fields.number("secureBits", &secureBits)
        try fields.flag("noNewPrivileges", &noNewPrivileges)
    }
}
