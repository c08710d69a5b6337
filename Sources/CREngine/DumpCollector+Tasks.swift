internal import CRImage
internal import LinuxKit

/// What only the tasks themselves can tell: asked by remote calls.
extension DumpCollector {
    /// Fills the task records of a process, and what process, address space and signal table need from inside.
    ///
    /// - Parameter signalTable: Number under which to record the signal table; `nil` when that is done.
    func collectTasks(
        _ process: FrozenTree.Process, _ mappings: [Mapping], record: inout ProcessRecord,
        space: inout AddressSpaceRecord, signalTable: UInt32?
    ) throws(EngineError) {
        let code = mappings.filter { $0.protection.contains(.execute) && $0.name != "[vsyscall]" }
            .sorted { a, b in a.name == "[vdso]" && b.name != "[vdso]" }
            .map { RemoteMemory.Range(start: $0.start, count: Int($0.sizeBytes)) }
        guard let instruction = try RemoteInstruction.findSystemCall(process.subject, in: code) else {
            throw refuse(process.pid, "process \(process.pid)", "no executable memory holds a system call instruction")
        }
        let rings = try aioRings(process, mappings)
        let leader = try RemoteTask(
            resting: process.subject, tree.registers[process.subject], systemCallAddress: instruction)
        try asking(leader, of: process) { () throws(EngineError) in
            try sleepProbe.ask(leader, process.subject)
            try prepare(leader, process, mappings, lanes: lanes(for: process))
            space.futureLock = try futureLock(process, scratch: try leader.scratch())
            space.memoryPolicies = try memoryPolicies(leader, space)
            try collectProcess(leader, process, &record, &space, signalTable: signalTable)
            record.state.aioRings = rings
            if process.tasks.count > 1 {
                try leader.rest()
                try collectThreads(process, leader)
            }
        }
    }

    /// Has a task make calls, and sends it home again however that ends.
    func asking(
        _ remote: RemoteTask, of process: FrozenTree.Process, _ calls: () throws(EngineError) -> Void
    ) throws(EngineError) {
        remote.wakeups = wakeups
        var failure: EngineError?
        do throws(EngineError) { try calls() } catch { failure = error }
        // Even after SIGTERM the task gets its registers back first.
        remote.wakeups = 0
        do throws(EngineError) { try remote.park() } catch { failure = failure ?? error }
        tree.send(remote.deferredSignals, to: process.pid)
        if let failure { throw failure }
    }

    /// Gives a task a way home and memory for many calls at once; `park()` takes both away.
    func prepare(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ mappings: [Mapping], lanes: Int
    ) throws(EngineError) {
        remote.home = homeSearch.home(process.subject, remote.original, mappings)
        remote.isAlone = process.tasks.count == 1
        let status = try status(of: remote.task)
        // What seccomp lets pass without the engine, other than rt_sigreturn(2), is not known.
        if status.seccomp != 0 { remote.home?.exit = nil }
        if let signal = RemoteCrowd.quietSignal(status), let tid = status.namespaceTids.last,
            let pid = status.namespaceProcesses.last
        {
            try remote.openCrowd(
                at: RemoteHomeSearch.gap(RemoteCrowd.bytes(lanes: lanes), mappings), lanes: lanes, process: pid,
                tid: tid, signal: signal)
        }
    }

    /// Asks a process for what belongs to all of it, and to the task that is asked.
    private func collectProcess(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ record: inout ProcessRecord,
        _ space: inout AddressSpaceRecord, signalTable: UInt32?
    ) throws(EngineError) {
        var task = try outside(remote, process)
        task.rseq = try rseq(remote, process)
        try refuseHiddenDispatch(remote, process, task.rseq)
        // One page: the interval timers and a flag, answers of the process and of the task, signal actions.
        let scratch = try remote.scratch()
        let (stateOffset, taskOffset, actionOffset) = (112, 128, 1024)
        var batch = RemoteBatch()
        for which in 0..<UInt64(3) {
            batch.add(.getitimer, which, scratch + which * 32, doing: "read an interval timer")
        }
        batch.add(.prctl, 37, scratch + 96, doing: "ask whether it adopts orphans")  // PR_GET_CHILD_SUBREAPER
        batch.add(.prctl, 3, doing: "ask whether it may be dumped")
        batch.add(.prctl, 42, doing: "ask for huge pages")
        batch.add(.brk, 0, doing: "read the program break")
        let processQuestions = ProcessQuestions(
            at: scratch + UInt64(stateOffset), mayLook: mayLook(process) ? process.subject : nil, &batch)
        let taskQuestions = TaskQuestions(task.state, at: scratch + UInt64(taskOffset), &batch)
        if signalTable != nil { askActions(process, scratch + UInt64(actionOffset), &batch) }
        let answers = try remote.run(batch)
        let bytes = try remote.read(at: scratch, count: actionOffset + (signalTable == nil ? 0 : 64 * 32))
        func words(_ offset: Int, _ count: Int) -> [UInt64] { (0..<count).map { bytes.word(at: offset + $0 * 8) } }
        for which in 0..<3 {
            let offset = which * 32
            var timer = IntervalTimerValue()
            timer.intervalMicroseconds = bytes.word(at: offset) * 1_000_000 + bytes.word(at: offset + 8)
            timer.valueMicroseconds = bytes.word(at: offset + 16) * 1_000_000 + bytes.word(at: offset + 24)
            // The real-time one has expired and its signal is still pending; taking that signal would wind it up again.
            // setitimer(2) takes a zero value for "off", so the image says when the next one is due at the latest. The
            // CPU-time ones keep the interval of a timer that is off, and never read 0 while they run.
            if which == 0, timer.valueMicroseconds == 0 { timer.valueMicroseconds = timer.intervalMicroseconds }
            record.intervalTimers.append(timer)
        }
        record.isSubreaper = bytes.half(at: 96) != 0
        space.dumpable = UInt32(truncatingIfNeeded: answers[4])
        space.hugePagesDisabled = answers[5] > 0
        space.hugePagesIfAdvised = answers[5] > 0 && answers[5] & 2 != 0
        space.programBreak = UInt64(bitPattern: answers[6])
        record.state = try processState(remote, process, processQuestions, answers, words(stateOffset, 2))
        try finish(&task, remote, taskQuestions, answers, words(taskOffset, 8))
        if let signalTable {
            contents.signalTables.append(actions(process, Array(bytes[actionOffset...]), signalTable))
        }
        record.timers = try posixTimers(remote, process, scratch)
        for child in tree.processes where child.groupStopSignal != 0 && child.parent == process.pid {
            try remote.write(words: [0, 0], at: scratch)
            // P_PID; WNOHANG|WSTOPPED|WNOWAIT: the report stays where it is.
            let status = try remote.attempt(
                .waitid, [1, UInt64(inner(child.pid)), scratch, 1 | 2 | 0x0100_0000, 0])
            // si_signo is 0 when there is nothing to report.
            if Kernel.errno(of: status) == nil, try remote.read(at: scratch, count: 4).half(at: 0) == 0 {
                reportedStops.insert(child.pid)
            }
        }
        if process.leaderHasEnded { try collectEndedLeader(process, &record) }
        contents.tasks.append(task)
    }

    /// Whether a process has the right to look at any other, the engine among them.
    private func mayLook(_ process: FrozenTree.Process) -> Bool {
        let others: Set<NamespaceKind> = [.pid, .user]
        let isElsewhere = contents.namespaces.contains {
            others.contains($0.kind) && (processNamespaces[process.pid]?.namespaces ?? []).contains($0.number)
        }
        // CAP_SYS_PTRACE
        return !isElsewhere && process.status.capabilitiesEffective >> 19 & 1 != 0
    }

    /// Completes a record by what the task has answered.
    func finish(
        _ record: inout TaskRecord, _ remote: RemoteTask, _ questions: TaskQuestions, _ answers: [Int64],
        _ results: [UInt64]
    ) throws(EngineError) {
        if let keyring = questions.keyring(answers) {
            throw refuse(remote.task, "thread keyring \(keyring)", "keys that the kernel keeps are not carried")
        }
        questions.complete(&record, answers, results, remote.userDispatch)
    }

    private func posixTimers(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ scratch: UInt64
    ) throws(EngineError) -> [PosixTimerValue] {
        let timers = try EngineError.wrap("read the timers", task: process.pid) { () throws(LinuxError) in
            try Procfs.timers(process.pid)
        }
        var values: [PosixTimerValue] = []
        for timer in timers {
            var value = PosixTimerValue()
            value.creator = try creator(of: timer, process)
            value.id = timer.id
            value.clock = timer.clock
            value.signal = timer.signal
            value.value = timer.value
            value.notify = timer.notify
            value.notifyTask = inner(timer.notifyTask)
            // Signals for a thread that has ended reach nobody, and no timer can be made for it.
            if timer.notify & 4 != 0, !process.tasks.contains(timer.notifyTask) {
                value.notify = 1
                value.notifyTask = 0
            }
            try remote.call(.timer_gettime, Kernel.number(timer.id), scratch, doing: "read timer \(timer.id)")
            let bytes = try remote.read(at: scratch, count: 32)
            value.intervalNanoseconds = bytes.word(at: 0) * 1_000_000_000 + bytes.word(at: 8)
            value.valueNanoseconds = bytes.word(at: 16) * 1_000_000_000 + bytes.word(at: 24)
            values.append(value)
        }
        return values
    }

    /// Whose CPU time a timer counts when its clock only says "the caller's".
    ///
    /// Clock numbers: `include/linux/posix-timers_types.h`; a negative one holds the inverted TID above bit 2, which
    /// tells a thread's clock from a process's.
    private func creator(of timer: PosixTimer, _ process: FrozenTree.Process) throws(EngineError) -> Int32 {
        let name = "timer \(timer.id)"
        var owner: Int32 = 0
        if timer.clock < 0 {
            owner = ~(timer.clock >> 3)
            let isThread = timer.clock & 4 != 0
            if owner != 0 || !isThread {
                guard owner == 0 || innerTids.values.contains(owner) else {
                    throw refuse(process.pid, name, "it counts the CPU time of task \(owner), which is not in the tree")
                }
                return 0
            }
        } else if timer.clock != 3 {  // CLOCK_THREAD_CPUTIME_ID
            return 0
        }
        if process.tasks.count == 1 { return inner(process.subject) }
        // Threads mostly make such a timer for themselves; the kernel does not tell.
        if timer.notify & 4 != 0, process.tasks.contains(timer.notifyTask) { return inner(timer.notifyTask) }
        throw refuse(process.pid, name, "it counts the CPU time of a thread that the kernel does not name")
    }

    /// A signal that is neither caught nor ignored has the default action; flags there mean something for SIGCHLD only.
    private func wantedActions(_ process: FrozenTree.Process) -> [Int] {
        let wanted = process.status.caughtSignals | process.status.ignoredSignals | Signals.mask([Signals.child])
        return (1...64).filter {
            wanted >> UInt64($0 - 1) & 1 != 0 && $0 != Int(Signals.kill) && $0 != Int(Signals.stop)
        }
    }

    private func askActions(_ process: FrozenTree.Process, _ results: UInt64, _ batch: inout RemoteBatch) {
        for signal in wantedActions(process) {
            let target = results + UInt64((signal - 1) * 32)
            batch.add(.rt_sigaction, UInt64(signal), 0, target, 8, doing: "read the action of signal \(signal)")
        }
    }

    private func actions(_ process: FrozenTree.Process, _ bytes: [UInt8], _ number: UInt32) -> SignalTableRecord {
        var record = SignalTableRecord()
        record.number = number
        record.actions = [SignalActionValue](repeating: SignalActionValue(), count: 64)
        for signal in wantedActions(process) {
            let offset = (signal - 1) * 32
            var action = SignalActionValue()
            action.handler = bytes.word(at: offset)
            action.flags = bytes.word(at: offset + 8)
            action.restorer = bytes.word(at: offset + 16)
            action.mask = bytes.word(at: offset + 24)
            record.actions[signal - 1] = action
        }
        return record
    }

    // MARK: One task

    func collectTask(_ remote: RemoteTask, _ process: FrozenTree.Process) throws(EngineError) {
        var record = try outside(remote, process)
        record.rseq = try rseq(remote, process)
        try refuseHiddenDispatch(remote, process, record.rseq)
        let scratch = try remote.scratch()
        var batch = RemoteBatch()
        let questions = TaskQuestions(record.state, at: scratch, &batch)
        let answers = try remote.run(batch)
        let results = try remote.read(at: scratch, count: TaskQuestions.resultBytes)
        try finish(&record, remote, questions, answers, (0..<8).map { results.word(at: $0 * 8) })
        contents.tasks.append(record)
    }

    /// What shows of a task without asking it.
    func outside(_ remote: RemoteTask, _ process: FrozenTree.Process) throws(EngineError) -> TaskRecord {
        let tid = remote.task
        var record = TaskRecord()
        record.tid = inner(tid)
        record.process = inner(process.pid)
        record.signalMask = remote.originalMask
        let status = try status(of: tid)
        let stat: TaskStat
        (stat, record.pendingSignals) = try EngineError.wrap("read the task", task: tid) { () throws(LinuxError) in
            let stat = if let known = ahead[tid]?.stat { known } else { try Procfs.stat(tid, in: process.pid) }
            return (stat, try Ptrace.pendingSiginfo(tid, shared: false))
        }
        record.comm = stat.comm
        let isSignalDue = (status.pendingSignals | status.sharedPendingSignals) & ~remote.originalMask != 0
        let codeBefore = { (address: UInt64) in try? RemoteMemory.read(tid, at: address &- 64, count: 64) }
        let memory = { (address: UInt64) in try? RemoteMemory.read(tid, at: address, count: 16) }
        var sleep = InterruptedCall.sleep(remote.original, codeBefore, memory: memory)
        if let left = sleepProbe.nanoseconds[tid],
            let kept = InterruptedCall.kept(remote.original, codeBefore, memory)
        {
            sleep = (kept, left)
        }
        record.registers =
            (sleep?.registers
            ?? InterruptedCall.settle(
                remote.original, isSignalDue: isSignalDue, codeBefore: codeBefore, memory: memory)).words
        record.innerTids = try levels(status.namespaceTids, tid).inner
        (record.xstateKind, record.xstate) = try remote.extendedState()
        record.state = try outerState(of: tid, status, stat, process.pid)
        let robust = try EngineError.wrap("read the robust futex list", task: tid) { () throws(LinuxError) in
            try Limits.robustList(of: tid)
        }
        record.robustListHead = robust.head
        record.robustListBytes = robust.length
        record.credentials = credentials(status, of: process.subject)
        record.scheduling = (try? Limits.scheduling(of: tid)) ?? []
        record.state.sleepNanoseconds = sleep?.nanoseconds ?? 0
        return record
    }

    /// The first task of a process, of which the kernel keeps no more than whose it was and how it ended.
    private func collectEndedLeader(
        _ process: FrozenTree.Process, _ record: inout ProcessRecord
    ) throws(EngineError) {
        record.leaderHasEnded = true
        record.exitStatus = process.stat.exitCode
        let status = try status(of: process.pid)
        var leader = TaskRecord()
        leader.tid = inner(process.pid)
        leader.process = leader.tid
        leader.comm = process.stat.comm
        leader.innerTids = try levels(status.namespaceTids, process.pid).inner
        leader.credentials = credentials(status, of: process.subject)
        contents.tasks.append(leader)
    }

    private func credentials(_ status: TaskStatus, of process: Int32) -> CredentialsValue {
        var value = CredentialsValue()
        value.users = status.uids.map { UInt64(inside($0, process, isGroup: false)) }
        value.groups = status.gids.map { UInt64(inside($0, process, isGroup: true)) }
        value.supplementaryGroups = status.groups.map { UInt64(inside($0, process, isGroup: true)) }
        value.inheritable = status.capabilitiesInheritable
        value.permitted = status.capabilitiesPermitted
        value.effective = status.capabilitiesEffective
        value.bounding = status.capabilitiesBounding
        value.ambient = status.capabilitiesAmbient
        value.noNewPrivileges = status.noNewPrivileges
        return value
    }

    private func rseq(_ remote: RemoteTask, _ process: FrozenTree.Process) throws(EngineError) -> RseqValue {
        if let known = try tree.settling.rseq(of: remote.task) { return RseqValue(known) }
        guard let found = try RseqGuess.find(remote, tree.settling.rseqOffset(of: process.subject)) else {
            return RseqValue()
        }
        tree.settling.learn(Int64(bitPattern: found.address &- remote.original.fsBase), of: process.subject)
        return found
    }
}

extension RseqValue {
    init(_ known: Ptrace.RseqConfiguration) {
        self.init()
        address = known.address
        sizeBytes = known.sizeBytes
        signature = known.signature
        flags = known.flags
    }
}
