internal import CRImage
internal import LinuxKit

/// What a stub has from the engine.
struct StubRights {
    let status: TaskStatus
    let secureBits: UInt64
    /// Answers of PR_GET_SPECULATION_CTRL.
    let speculation: [Int64]
    /// The extended state of a task that has done nothing; empty where the CPU has no XSAVE.
    let extendedState: [UInt8]

    init(of stub: RestoreStub) throws(EngineError) {
        secureBits = try stub.call(.prctl, [27], doing: "read the secure bits")
        var answers: [Int64] = []
        for which in UInt64(0)..<3 { answers.append(try stub.remote.attempt(.prctl, [52, which, 0, 0, 0])) }
        speculation = answers
        status = try EngineError.wrap("read the stub's credentials", task: stub.tid) { () throws(LinuxError) in
            try Procfs.status(stub.outer)
        }
        extendedState = (try? Ptrace.registerSet(stub.outer, .extendedState)) ?? []
    }
}

/// Gives a stub what belongs to one task.
struct RestoreTask {
    let stub: RestoreStub
    let record: TaskRecord
    let source: XstateTranslation.Layout
    let destination: XstateTranslation.Layout
    private(set) var notes: [String] = []

    init(
        stub: RestoreStub, record: TaskRecord, source: XstateTranslation.Layout, destination: XstateTranslation.Layout
    ) {
        self.stub = stub
        self.record = record
        self.source = source
        self.destination = destination
    }

    /// Everything but what would take away the right to set the rest.
    mutating func setUp(from own: StubRights) throws(EngineError) {
        try stub.stand()
        try setExtendedState(own.extendedState)
        if record.robustListHead != 0 {
            try stub.later(
                .set_robust_list, [record.robustListHead, record.robustListBytes], doing: "set the robust futex list")
        }
        try stub.later(.set_tid_address, [record.clearTidAddress], doing: "set the TID address")
        if record.alternateStack.flags & 2 == 0, record.alternateStack.sizeBytes != 0 {
            let stack = try stub.hold(
                words: [
                    record.alternateStack.pointer, UInt64(record.alternateStack.flags & 0x8000_0000),
                    record.alternateStack.sizeBytes,
                ])
            try stub.later(.sigaltstack, [stack, 0], doing: "set the alternate signal stack")
        }
        if record.rseq.address != 0 {
            let rseq = record.rseq
            try stub.later(
                .rseq, [rseq.address, UInt64(rseq.sizeBytes), 0, UInt64(rseq.signature)], doing: "register rseq")
        }
        try stub.later(.prctl, [15, try stub.hold(record.comm + [0])], doing: "set the name")  // PR_SET_NAME
        if record.timerSlackNanoseconds != 0 {
            try stub.later(.prctl, [29, record.timerSlackNanoseconds], doing: "set the timer slack")
        }
        if record.scheduling.count >= 48 { try setScheduling() }
        var state = RestoreTaskState(stub: stub, state: record.state)
        try state.place()
        notes += state.notes
        if record.personality != 0 {
            try stub.later(.personality, [UInt64(record.personality)], doing: "set the personality")
        }
    }

    private mutating func setScheduling() throws(EngineError) {
        guard let current = try? Limits.scheduling(of: stub.outer) else { return }
        // Size and flags differ between kernels; policy, niceness and priority are what counts.
        guard Array(current[4..<min(28, current.count)]) != Array(record.scheduling[4..<28]) else { return }
        var attributes = Array(record.scheduling[..<48])
        attributes.replaceSubrange(0..<4, with: [48, 0, 0, 0])
        let place = try stub.put(attributes)
        if let errno = try stub.attempt(.sched_setattr, [0, place, 0]) {
            notes.append("the scheduling of task \(record.tid) could not be set: \(errno)")
        }
    }

    private func setExtendedState(_ template: [UInt8]) throws(EngineError) {
        let hasXsave = !template.isEmpty
        let bytes = XstateTranslation.translate(
            record, source: source, destination: destination, template: template, hasXsave: hasXsave)
        try EngineError.wrap("set the extended state", task: record.tid) { () throws(LinuxError) in
            try Ptrace.setRegisterSet(stub.outer, hasXsave ? .extendedState : .floatingPoint, bytes)
        }
    }

    /// Signals for this task alone. The kernel lets a task queue any siginfo for itself, and only for itself.
    func queueSignals() throws(EngineError) {
        for siginfo in record.pendingSignals {
            guard let signal = RestoreProcess.queueable(siginfo) else { continue }
            let info = try stub.put(siginfo)
            try stub.call(
                .rt_tgsigqueueinfo,
                [RestoreStub.word(record.process), RestoreStub.word(record.tid), UInt64(signal), info],
                doing: "queue \(Signals.name(signal))")
        }
    }

    /// What the task gets when it is parked; no remote call of it needs them any more to be the stub's.
    func prepareRegisters() {
        guard let registers = Registers(words: record.registers) else { return }
        stub.remote.original = registers
        stub.remote.originalMask = record.signalMask
        let dispatch = record.state.userDispatch
        if dispatch.count == 4, dispatch[0] != 0 {
            stub.remote.userDispatch = Ptrace.UserDispatch(
                mode: dispatch[0], selector: dispatch[1], offset: dispatch[2], length: dispatch[3])
        }
    }

    // MARK: Rights

    /// Credentials and what else ends the engine's freedom; the last remote calls but those that need no right.
    ///
    /// - Parameters:
    ///   - own: What all stubs of the process have until the first of them drops its rights.
    ///   - inside: What the task calls a user ID (or group ID: true) of the engine's.
    mutating func dropRights(
        from own: StubRights, _ inside: (UInt32, Bool) -> UInt64
    ) throws(EngineError) {
        var state = RestoreTaskState(stub: stub, state: record.state)
        try state.label()
        let wanted = record.credentials
        let status = own.status
        let sameUsers =
            status.uids.map { inside($0, false) } == wanted.users
            && status.gids.map { inside($0, true) } == wanted.groups
        let sameGroups = status.groups.map { inside($0, true) } == wanted.supplementaryGroups
        let sameCapabilities =
            status.capabilitiesInheritable == wanted.inheritable && status.capabilitiesPermitted == wanted.permitted
            && status.capabilitiesEffective == wanted.effective && status.capabilitiesBounding == wanted.bounding
            && status.capabilitiesAmbient == wanted.ambient
        if !(sameUsers && sameGroups && sameCapabilities && own.secureBits == UInt64(wanted.secureBits)) {
            try setCredentials(wanted, status, sameUsers: sameUsers, sameGroups: sameGroups)
        }
        if wanted.noNewPrivileges {
            try stub.later(.prctl, [38, 1, 0, 0, 0], doing: "set no_new_privs")
        }
        if record.parentDeathSignal != 0 || stub.tid == record.process {
            try stub.later(
                .prctl, [1, RestoreStub.word(record.parentDeathSignal)], doing: "set the parent death signal")
        }
        try state.restrict(from: own.speculation)
        notes += state.notes
    }

    private mutating func setCredentials(
        _ wanted: CredentialsValue, _ status: TaskStatus, sameUsers: Bool, sameGroups: Bool
    ) throws(EngineError) {
        let lost = wanted.permitted & ~status.capabilitiesPermitted
        if lost != 0 {
            notes.append(
                "task \(record.tid) had capabilities 0x\(String(lost, radix: 16)), which the engine lacks and cannot give"
            )
        }
        for capability in UInt64(0)..<64 where status.capabilitiesBounding & ~wanted.bounding & (1 << capability) != 0 {
            try stub.later(
                .prctl, [24, capability, 0, 0, 0], doing: "drop capability \(capability) from the bounding set")
        }
        // Changing the users takes away capabilities that the task shall keep unless these bits are set:
        // SECBIT_NO_SETUID_FIXUP, SECBIT_KEEP_CAPS.
        try stub.later(.prctl, [28, 0x14], doing: "keep capabilities over the change of users")
        if !sameGroups {
            let groups = wanted.supplementaryGroups
            var bytes: [UInt8] = []
            for group in groups { bytes += (0..<4).map { UInt8(truncatingIfNeeded: group >> (8 * $0)) } }
            if bytes.count < 8192 {
                let list = try stub.hold(bytes + [0])
                try stub.later(.setgroups, [UInt64(groups.count), list], doing: "set the supplementary groups")
            } else {
                let list = try stub.put(bytes + [0])
                try stub.call(.setgroups, [UInt64(groups.count), list], doing: "set the supplementary groups")
            }
        }
        if !sameUsers {
            try stub.later(.setresgid, Array(wanted.groups[0..<3]), doing: "set the group IDs")
            try stub.later(.setfsgid, [wanted.groups[3]], doing: "set the file system group ID")
            try stub.later(.setresuid, Array(wanted.users[0..<3]), doing: "set the user IDs")
            try stub.later(.setfsuid, [wanted.users[3]], doing: "set the file system user ID")
        }
        if wanted.secureBits & 0x14 != 0x14 || wanted.secureBits & ~0x14 != 0 {
            try stub.later(.prctl, [28, UInt64(wanted.secureBits)], doing: "set the secure bits")
        }
        let permitted = wanted.permitted & status.capabilitiesPermitted
        let effective = wanted.effective & permitted
        // _LINUX_CAPABILITY_VERSION_3, this task; then effective, permitted, inheritable, low halves first.
        let header = try stub.hold(words: [0x2008_0522])
        func low(_ value: UInt64) -> UInt64 { value & 0xffff_ffff }
        let data = try stub.hold(
            words: [
                low(effective) | low(permitted) << 32, low(wanted.inheritable) | (effective >> 32) << 32,
                (permitted >> 32) | (wanted.inheritable >> 32) << 32,
            ])
        try stub.later(.capset, [header, data], doing: "set the capabilities")
        for capability in UInt64(0)..<64 where wanted.ambient & permitted & wanted.inheritable & (1 << capability) != 0
        {
            try stub.later(.prctl, [47, 2, capability, 0, 0], doing: "raise ambient capability \(capability)")
        }
    }
}
