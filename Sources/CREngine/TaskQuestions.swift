internal import CRImage
internal import LinuxKit

/// What only the task itself can tell of its state, as part of a batch of calls.
struct TaskQuestions {
    /// Room that the answers need.
    static let resultBytes = 64

    /// Index of the first answer.
    private let first: Int
    private let keyring: Int
    private var machineCheck: Int?
    private var cpuid: Int?
    private var speculation: [Int] = []
    private let policy: Int

    /// Whether this CPU can trap CPUID: ARCH_SET_CPUID fails with ENODEV otherwise. The engine sets what it has.
    private static let hasCPUIDFaulting = Kernel.errno(of: Kernel.attempt(.arch_prctl, 0x1012, 1)) == nil

    /// - Parameters:
    ///   - state: What shows from outside.
    ///   - results: Room for ``resultBytes`` in the task.
    init(_ state: TaskStateValue, at results: UInt64, _ batch: inout RemoteBatch) {
        first = batch.count
        batch.add(.sigaltstack, 0, results, doing: "read the alternate stack")
        batch.add(.prctl, 2, results + 24, doing: "read the parent death signal")  // PR_GET_PDEATHSIG
        batch.ask(.prctl, 40, results + 32)  // PR_GET_TID_ADDRESS
        batch.add(.personality, 0xffff_ffff, doing: "read the personality")
        batch.add(.prctl, 27, doing: "read the secure bits")
        batch.add(.prctl, 30, doing: "read the timer slack")
        batch.ask(.prctl, 25, results + 40)  // PR_GET_TSC
        // KEYCTL_GET_KEYRING_ID of the thread's keyring, without making one.
        keyring = batch.ask(.keyctl, 0, UInt64(bitPattern: -1), 0)
        policy = batch.ask(.get_mempolicy, results + 48, results + 56, 64, 0, 0)
        if Self.hasCPUIDFaulting { cpuid = batch.ask(.arch_prctl, 0x1011, 0) }  // ARCH_GET_CPUID
        if state.machineCheckKill != 2 { machineCheck = batch.ask(.prctl, 34, 0, 0, 0, 0) }  // PR_MCE_KILL_GET
        // PR_GET_SPECULATION_CTRL
        for which in state.speculation.indices { speculation.append(batch.ask(.prctl, 52, UInt64(which), 0, 0, 0)) }
    }

    /// The serial number of the thread's own keyring; `nil` without one.
    func keyring(_ answers: [Int64]) -> Int64? { answers[keyring] > 0 ? answers[keyring] : nil }

    /// - Parameter results: What the calls have written.
    func complete(
        _ record: inout TaskRecord, _ answers: [Int64], _ results: [UInt64], _ dispatch: Ptrace.UserDispatch?
    ) {
        record.alternateStack.pointer = results[0]
        // SS_ONSTACK says where the task runs now; it cannot be set.
        record.alternateStack.flags = UInt32(truncatingIfNeeded: results[1]) & ~1
        record.alternateStack.sizeBytes = results[2]
        record.parentDeathSignal = Int32(truncatingIfNeeded: results[3])
        if Kernel.errno(of: answers[first + 2]) == nil { record.clearTidAddress = results[4] }
        record.personality = UInt32(truncatingIfNeeded: answers[first + 3])
        record.credentials.secureBits = UInt32(truncatingIfNeeded: answers[first + 4])
        record.timerSlackNanoseconds = UInt64(bitPattern: answers[first + 5])
        record.state.isTSCForbidden = UInt32(truncatingIfNeeded: results[5]) == 2
        if let cpuid { record.state.isCPUIDForbidden = answers[cpuid] == 0 }
        if let machineCheck, answers[machineCheck] >= 0 {
            record.state.machineCheckKill = UInt32(answers[machineCheck])
        }
        record.state.speculation = speculation.map { UInt64(max(0, answers[$0])) }
        // Only the low half of the first word is written.
        if Kernel.errno(of: answers[policy]) == nil, UInt32(truncatingIfNeeded: results[6]) != 0 {
            record.state.memoryPolicy = [results[6] & 0xffff_ffff, results[7]]
        }
        if let dispatch {
            record.state.userDispatch = [dispatch.mode, dispatch.selector, dispatch.offset, dispatch.length]
        }
    }
}

/// What belongs to a whole process, asked of one of its tasks.
struct ProcessQuestions {
    /// Room that the answers need.
    static let resultBytes = 16

    private let deny: Int
    private let merge: Int
    private let permission: Int
    private let masking: Int
    private let keys: Int
    private let descriptors: Int
    private let session: Int
    private let barriers: Int
    private let stranger: Int?

    /// - Parameter mayLook: Its TID, where nothing but a sandbox keeps it from looking at the engine.
    init(at results: UInt64, mayLook: Int32?, _ batch: inout RemoteBatch) {
        // KCMP_VM
        stranger = mayLook.map {
            batch.ask(.kcmp, Kernel.number($0), UInt64(Kernel.attempt(.getpid)), 1, 0, 0)
        }
        deny = batch.ask(.prctl, 66, 0, 0, 0, 0)  // PR_GET_MDWE, since 6.3
        merge = batch.ask(.prctl, 68, 0, 0, 0, 0)  // PR_GET_MEMORY_MERGE, since 6.4
        permission = batch.ask(.arch_prctl, 0x1022, results)  // ARCH_GET_XCOMP_PERM, since 5.16
        masking = batch.ask(.arch_prctl, 0x4001, results + 8)  // ARCH_GET_UNTAG_MASK, since 6.4
        // KEYCTL_GET_KEYRING_ID of the process's keyring, without making one.
        keys = batch.ask(.keyctl, 0, UInt64(bitPattern: -2), 0)
        // Where there is none this installs the user's own, which the kernel takes for it anyway.
        session = batch.ask(.keyctl, 0, UInt64(bitPattern: -3), 0)
        // Eight bytes, or none where there is no table.
        descriptors = batch.ask(.modify_ldt, 0, results, 8)
        barriers = batch.ask(.membarrier, 1 << 9, 0, 0)  // MEMBARRIER_CMD_GET_REGISTRATIONS, since 6.3
    }

    /// Whether pointers carry tags (LAM).
    func masksAddresses(_ answers: [Int64], _ results: [UInt64]) -> Bool {
        answers[masking] == 0 && results[1] != UInt64.max
    }

    /// The serial number of the process's keyring; `nil` without one.
    func keyring(_ answers: [Int64]) -> Int64? { answers[keys] > 0 ? answers[keys] : nil }

    /// The engine's own.
    private static let ownSession = Kernel.attempt(.keyctl, 0, UInt64(bitPattern: -3), 0)

    /// The serial number of a session keyring that is not the engine's; `nil` where both have the same.
    func sessionKeyring(_ answers: [Int64]) -> UInt64? {
        answers[session] > 0 && answers[session] != Self.ownSession ? UInt64(answers[session]) : nil
    }

    /// Whether it is kept from looking at others outside. Security modules with policies answer EACCES.
    func isSandboxed(_ answers: [Int64]) -> Bool {
        stranger.map { Kernel.errno(of: answers[$0]) == .notPermitted } ?? false
    }

    /// Whether it has a local descriptor table (modify_ldt(2)).
    func hasDescriptorTable(_ answers: [Int64]) -> Bool { answers[descriptors] > 0 }

    /// The registrations of membarrier(2), as bits of MEMBARRIER_CMD_REGISTER_…; `nil` when the kernel cannot tell.
    func membarriers(_ answers: [Int64]) -> UInt32? {
        answers[barriers] >= 0 ? UInt32(truncatingIfNeeded: answers[barriers]) : nil
    }

    func complete(_ state: inout ProcessStateValue, _ answers: [Int64], _ results: [UInt64]) {
        if answers[deny] > 0 { state.denyWriteExecute = UInt32(truncatingIfNeeded: answers[deny]) }
        state.mergesMemory = answers[merge] == 1
        if answers[permission] == 0 { state.permittedComponents = results[0] }
    }
}
