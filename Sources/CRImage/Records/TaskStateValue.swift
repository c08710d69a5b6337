/// What else the kernel keeps for one task: where it runs, what it may do, what it is asked before it does it.
public struct TaskStateValue: ImageValue {
    /// sched_setaffinity(2)'s mask; empty when the task may use every CPU of the source host.
    public var affinity: [UInt8] = []
    /// ioprio_get(2).
    public var inputOutputPriority: UInt32 = 0
    /// PR_MCE_KILL_GET: late 0, early 1, as the system does 2.
    public var machineCheckKill: UInt32 = 2
    /// PR_SET_TSC: RDTSC raises SIGSEGV.
    public var isTSCForbidden = false
    /// ARCH_SET_CPUID: CPUID raises SIGSEGV.
    public var isCPUIDForbidden = false
    /// PR_SET_IO_FLUSHER.
    public var isFlusher = false
    /// PR_GET_SPECULATION_CTRL of store bypass, indirect branches, L1D flush; empty when none is the task's own to set.
    public var speculation: [UInt64] = []
    /// PR_SET_SYSCALL_USER_DISPATCH: mode, selector, offset, length; empty when off.
    public var userDispatch: [UInt64] = []
    /// 0 none, 1 strict, 2 filters.
    public var seccompMode: UInt32 = 0
    /// Numbers of its ``SeccompFilterRecord``s, the one that was installed first in front.
    public var seccompFilters: [UInt64] = []
    /// Label of the security module, `/proc/TID/attr/current`; empty when it is the one that the engine has.
    public var securityLabel = ""
    /// Time that an interrupted sleep has left, in nanoseconds; 0 when the registers start the call again as it was.
    public var sleepNanoseconds: UInt64 = 0
    /// set_mempolicy(2): mode with its flags, and the nodes 0 to 63 as a mask; empty for the default.
    public var memoryPolicy: [UInt64] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.bytes("affinity", &affinity)
        try fields.number("inputOutputPriority", &inputOutputPriority)
        try fields.number("machineCheckKill", &machineCheckKill)
        try fields.flag("isTSCForbidden", &isTSCForbidden)
        try fields.flag("isCPUIDForbidden", &isCPUIDForbidden)
        try fields.flag("isFlusher", &isFlusher)
        try fields.words("speculation", &speculation)
        try fields.words("userDispatch", &userDispatch)
        try fields.number("seccompMode", &seccompMode)
        try fields.words("seccompFilters", &seccompFilters)
        try fields.text("securityLabel", &securityLabel)
        try fields.number("sleepNanoseconds", &sleepNanoseconds)
        try fields.words("memoryPolicy", &memoryPolicy)
    }
}

/// One classic BPF program of seccomp(2); tasks that have the same one refer to the same record.
public struct SeccompFilterRecord: ImageValue {
    public var number: UInt32 = 0
    /// SECCOMP_FILTER_FLAG_LOG.
    public var isLogged = false
    /// `struct sock_filter`, 8 bytes each.
    public var program: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.flag("isLogged", &isLogged)
        try fields.bytes("program", &program)
    }
}

/// What else the kernel keeps for a whole process.
public struct ProcessStateValue: ImageValue {
    /// MEMBARRIER_CMD_REGISTER_… bits.
    public var membarriers: UInt32 = 0
    /// `/proc/PID/loginuid`; `UInt32.max` when not set.
    public var loginUser = UInt32.max
    /// PR_GET_MDWE.
    public var denyWriteExecute: UInt32 = 0
    /// PR_SET_MEMORY_MERGE.
    public var mergesMemory = false
    /// ARCH_GET_XCOMP_PERM: state components that it asked for; 0 when the kernel does not tell.
    public var permittedComponents: UInt64 = 0
    public var aioRings: [AIORingValue] = []
    /// Niceness of the session that it leads (`/proc/PID/autogroup`).
    public var sessionNiceness: Int32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("membarriers", &membarriers)
        try fields.number("loginUser", &loginUser)
        try fields.number("denyWriteExecute", &denyWriteExecute)
        try fields.flag("mergesMemory", &mergesMemory)
        try fields.hex("permittedComponents", &permittedComponents)
        try fields.list("aioRings", &aioRings)
        try fields.number("sessionNiceness", &sessionNiceness)
    }
}

extension ImageContents {
    /// Checks what tasks say about seccomp filters, CPUs and sleeps.
    func taskStatesFit() throws(ImageError) {
        var numbers: Set<UInt64> = []
        for filter in seccompFilters {
            // BPF_MAXINSNS is 4096.
            guard filter.program.count % 8 == 0, (8...32768).contains(filter.program.count) else {
                throw .inconsistent(record: "seccomp filter \(filter.number)", why: "it is no BPF program")
            }
            numbers.insert(UInt64(filter.number))
        }
        for task in tasks {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "task \(task.tid)", why: why) }
            let state = task.state
            guard state.seccompMode <= 2, state.seccompMode == 2 || state.seccompFilters.isEmpty else {
                throw fail("its seccomp mode is none")
            }
            guard state.seccompFilters.allSatisfy({ numbers.contains($0) }) else {
                throw fail("it refers to a seccomp filter that the image does not hold")
            }
            guard state.affinity.count <= 4096, state.speculation.count <= 3 else { throw fail("it has too many CPUs") }
            guard state.userDispatch.isEmpty || state.userDispatch.count == 4 else {
                throw fail("its user dispatch is incomplete")
            }
            guard state.memoryPolicy.isEmpty || state.memoryPolicy.count == 2 else {
                throw fail("its memory policy is incomplete")
            }
            // Two centuries; every sum with a clock stays within 64 bits.
            guard state.sleepNanoseconds < 1 << 62 else { throw fail("it sleeps for ever") }
        }
        for process in processes {
            for timer in process.timers where timer.creator != 0 {
                guard tasks.contains(where: { $0.tid == timer.creator && $0.process == process.pid }) else {
                    throw .inconsistent(
                        record: "process \(process.pid), timer \(timer.id)", why: "its task is not in the image")
                }
            }
        }
    }
}
