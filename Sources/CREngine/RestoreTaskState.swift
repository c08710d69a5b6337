internal import CRImage
internal import LinuxKit

/// Gives a stub what its task chose by sched_setaffinity(2), ioprio_set(2) and prctl(2).
struct RestoreTaskState {
    let stub: RestoreStub
    let state: TaskStateValue
    private(set) var notes: [String] = []

    init(stub: RestoreStub, state: TaskStateValue) {
        self.stub = stub
        self.state = state
    }

    /// What every stub has from the engine.
    private static let ownMemoryPolicy = Limits.ownMemoryPolicy()

    /// What takes a right to set; after the scheduling policy, from which the kernel derives an unset I/O priority.
    mutating func place() throws(EngineError) {
        // All bits set: the kernel leaves out what the host does not have.
        let wanted = state.affinity.isEmpty ? [UInt8](repeating: 0xff, count: 1024) : state.affinity
        if let current = try? Limits.affinity(of: stub.outer), !Self.isSame(current, state.affinity) {
            do {
                try Limits.setAffinity(of: stub.outer, wanted)
            } catch {
                notes.append(
                    "task \(stub.tid) may not be bound to its CPUs here: \(error.errno.map { "\($0)" } ?? "?")")
            }
        }
        if Limits.inputOutputPriority(of: stub.outer) != state.inputOutputPriority {
            do {
                try Limits.setInputOutputPriority(of: stub.outer, state.inputOutputPriority)
            } catch {
                notes.append(
                    "the I/O priority of task \(stub.tid) could not be set: \(error.errno.map { "\($0)" } ?? "?")")
            }
        }
        if state.memoryPolicy != Self.ownMemoryPolicy {
            let policy = state.memoryPolicy.isEmpty ? [0, 0] : state.memoryPolicy
            let nodes = try stub.put(words: [policy[1]])
            if let errno = try stub.attempt(.set_mempolicy, [policy[0], policy[1] == 0 ? 0 : nodes, 65]) {
                notes.append("the memory policy of task \(stub.tid) could not be set: \(errno)")
            }
        }
        if state.machineCheckKill < 2 {
            // PR_MCE_KILL, PR_MCE_KILL_SET
            try stub.call(
                .prctl, [33, 1, UInt64(state.machineCheckKill), 0, 0], doing: "set the machine check policy")
        }
        // PR_SET_IO_FLUSHER
        if state.isFlusher, let errno = try stub.attempt(.prctl, [57, 1, 0, 0, 0]) {
            notes.append("task \(stub.tid) could not be made an I/O flusher again: \(errno)")
        }
    }

    /// The engine's own affinity counts as "everywhere" when it holds every CPU that is online.
    private static func isSame(_ current: [UInt8], _ wanted: [UInt8]) -> Bool {
        if wanted.isEmpty { return OnlineCPUs.areAll(in: current) }
        return current.reversed().drop { $0 == 0 }.elementsEqual(wanted.reversed().drop { $0 == 0 })
    }

    /// What would stand in the way of seccomp or of the engine; late.
    ///
    /// - Parameter own: Answers of PR_GET_SPECULATION_CTRL in a stub.
    mutating func restrict(from own: [Int64]) throws(EngineError) {
        for (which, value) in state.speculation.enumerated() where value & 1 != 0 {
            if which < own.count, own[which] == Int64(value) { continue }
            // PR_SET_SPECULATION_CTRL: enable 2, disable 4, force 8, until execve 16.
            if let errno = try stub.attempt(.prctl, [53, UInt64(which), value & 0x1e, 0, 0]) {
                notes.append("speculation control \(which) of task \(stub.tid) could not be set: \(errno)")
            }
        }
        // PR_SET_TSC, PR_TSC_SIGSEGV
        if state.isTSCForbidden { try stub.call(.prctl, [26, 2, 0, 0, 0], doing: "forbid the time stamp counter") }
        // ARCH_SET_CPUID
        if state.isCPUIDForbidden { try stub.call(.arch_prctl, [0x1012, 0], doing: "forbid CPUID") }
    }

    /// The label of the security module, which only the task itself may change.
    func label() throws(EngineError) {
        if state.securityLabel.isEmpty { return }
        let path = try stub.put(text: "/proc/thread-self/attr/current", at: 4096)
        let fd = try stub.call(
            .openat, [RestoreStub.word(-100), path, 1], doing: "open its security label '\(state.securityLabel)'")
        // AppArmor wants a command in front of the profile's name and shows its mode behind it.
        var text = state.securityLabel
        if text.hasSuffix(")"), let mode = text.lastIndex(of: "("), mode > text.startIndex {
            text = "changeprofile " + text[..<text.index(before: mode)]
        }
        let bytes = Array(text.utf8)
        let place = try stub.put(bytes, at: 4096)
        try stub.call(.write, [fd, place, UInt64(bytes.count)], doing: "take the security label '\(text)'")
        try stub.call(.close, [fd], doing: "close its security label")
    }
}

/// Membarrier registrations, audit identity and memory policy of a process.
struct RestoreProcessState {
    let stub: RestoreStub
    let state: ProcessStateValue

    /// What goes with the address space or comes to all threads, before there are any.
    func apply() throws(EngineError) -> [String] {
        var notes: [String] = []
        try RestoreAIO(stub: stub, rings: state.aioRings).make()
        for bit in UInt64(0)..<32 where state.membarriers >> UInt32(bit) & 1 != 0 {
            if let errno = try stub.attempt(.membarrier, [1 << bit, 0, 0]) {
                notes.append("membarrier registration \(1 << bit) of process \(stub.tid) failed: \(errno)")
            }
        }
        // ARCH_REQ_XCOMP_PERM: tile data, the only component that takes asking.
        if state.permittedComponents >> 18 & 1 != 0, try stub.attempt(.arch_prctl, [0x1023, 18]) != nil {
            notes.append("process \(stub.tid) had the permission for AMX, which is not to be had here")
        }
        if state.mergesMemory, try stub.attempt(.prctl, [67, 1, 0, 0, 0]) != nil {  // PR_SET_MEMORY_MERGE
            notes.append("process \(stub.tid) had all its memory merged (KSM), which is not to be had here")
        }
        return notes
    }

    /// The audit login identity: only the task itself may set it, through a path that needs the engine's own `/proc`.
    func identify() throws(EngineError) -> [String] {
        let path = "/proc/\(stub.outer)/loginuid"
        guard let text = try? Files.text(of: path), let own = UInt32(text.filter(\.isNumber)), own != state.loginUser
        else { return [] }
        // In a root directory of its own the task has another /proc, or none.
        var fd: Int64 = -1
        for path in [path, "/proc/self/loginuid"] where fd < 0 {
            fd = try stub.remote.attempt(.openat, [RestoreStub.word(-100), try stub.put(text: path), 1])
        }
        guard fd >= 0 else { return ["the audit identity of process \(stub.tid) could not be set"] }
        let value = Array("\(state.loginUser)".utf8)
        let errno = try stub.attempt(.write, [UInt64(fd), try stub.put(value), UInt64(value.count)])
        try stub.call(.close, [UInt64(fd)], doing: "close its audit identity")
        guard let errno else { return [] }
        return ["the audit identity of process \(stub.tid) could not be set: \(errno)"]
    }

    /// What the engine sets through files of `/proc`, from outside.
    ///
    /// - Parameter coreDumpFilter: Of its address space.
    func tell(coreDumpFilter: UInt32?) -> [String] {
        var notes: [String] = []
        func write(_ file: String, _ text: String) {
            do throws(LinuxError) {
                try Files.write(Array(text.utf8), toExisting: "/proc/\(stub.outer)/\(file)")
            } catch {
                notes.append("\(file) of process \(stub.tid) could not be set: \(error.errno.map { "\($0)" } ?? "?")")
            }
        }
        if let coreDumpFilter, coreDumpFilter != Self.ownCoreDumpFilter {
            write("coredump_filter", "0x" + String(coreDumpFilter, radix: 16))
        }
        if state.sessionNiceness != 0 { write("autogroup", "\(state.sessionNiceness)") }
        return notes
    }

    /// What every stub has from the engine.
    private static let ownCoreDumpFilter = (try? Files.text(of: "/proc/self/coredump_filter")).flatMap {
        UInt32($0.filter(\.isHexDigit), radix: 16)
    }

    /// PR_SET_MDWE, once nothing has to be mapped any more.
    func deny() throws(EngineError) -> [String] {
        guard state.denyWriteExecute != 0,
            let errno = try stub.attempt(.prctl, [65, UInt64(state.denyWriteExecute), 0, 0, 0])
        else { return [] }
        return ["process \(stub.tid) could not be denied writable code again: \(errno)"]
    }
}
