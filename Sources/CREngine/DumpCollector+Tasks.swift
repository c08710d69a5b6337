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
        let leader = try RemoteTask(task: process.subject, systemCallAddress: instruction)
        leader.wakeups = wakeups
        var failure: EngineError?
        do throws(EngineError) {
            try sleepProbe.ask(leader, process.subject)
            let trap = Signals.mask([Signals.trap])
            let status = process.status
            if (status.ignoredSignals | status.pendingSignals | status.sharedPendingSignals) & trap == 0 {
                try leader.openBench()
            }
            space.futureLock = try futureLock(process, scratch: try leader.scratch())
            try collectProcess(leader, process, &record, &space, signalTable: signalTable)
            record.state.aioRings = rings
            if process.leaderHasEnded { try collectEndedLeader(process, &record) }
            try collectTask(leader, process)
            if process.tasks.count > 1 { try leader.rest() }
            for task in process.tasks.dropFirst() {
                try checkInterruption()
                let remote = try RemoteTask(task: task, systemCallAddress: instruction)
                remote.wakeups = wakeups
                remote.borrowScratch(of: leader)
                do throws(EngineError) {
                    try sleepProbe.ask(remote, process.subject)
                    try collectTask(remote, process)
                } catch {
                    failure = error
                }
                // Even after SIGTERM the task gets its registers back first.
                remote.wakeups = 0
                try remote.park()
                tree.send(remote.deferredSignals, to: process.pid)
                if failure != nil { break }
            }
        } catch {
            failure = failure ?? error
        }
        leader.wakeups = 0
        do throws(EngineError) { try leader.park() } catch { failure = failure ?? error }
        tree.send(leader.deferredSignals, to: process.pid)
        if let failure { throw failure }
    }

    private func collectProcess(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ record: inout ProcessRecord,
        _ space: inout AddressSpaceRecord, signalTable: UInt32?
    ) throws(EngineError) {
        let scratch = try remote.scratch()
        var batch = RemoteBatch()
        for which in 0..<UInt64(3) {
            batch.add(.getitimer, which, scratch + which * 32, doing: "read an interval timer")
        }
        batch.add(.prctl, 37, scratch + 96, doing: "ask whether it adopts orphans")  // PR_GET_CHILD_SUBREAPER
        batch.add(.prctl, 3, doing: "ask whether it may be dumped")
        batch.add(.prctl, 42, doing: "ask for huge pages")
        batch.add(.brk, 0, doing: "read the program break")
        let answers = try remote.run(batch).map { UInt64(bitPattern: $0) }
        let bytes = try remote.read(at: scratch, count: 100)
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
        space.hugePagesDisabled = answers[5] != 0
        space.programBreak = answers[6]
        record.state = try processState(remote)
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
        if let signalTable { contents.signalTables.append(try actions(remote, process, scratch, signalTable)) }
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

    private func actions(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ scratch: UInt64, _ number: UInt32
    ) throws(EngineError) -> SignalTableRecord {
        var record = SignalTableRecord()
        record.number = number
        // A signal that is neither caught nor ignored has the default action; flags there mean something for SIGCHLD only.
        let status = process.status
        let wanted = status.caughtSignals | status.ignoredSignals | Signals.mask([Signals.child])
        record.actions = [SignalActionValue](repeating: SignalActionValue(), count: 64)
        var batch = RemoteBatch()
        for signal in 1...64 where wanted >> UInt64(signal - 1) & 1 != 0 {
            if signal == Int(Signals.kill) || signal == Int(Signals.stop) { continue }
            let target = scratch + UInt64((signal - 1) * 32)
            batch.add(.rt_sigaction, UInt64(signal), 0, target, 8, doing: "read the action of signal \(signal)")
        }
        try remote.run(batch)
        let bytes = try remote.read(at: scratch, count: 2048)
        for signal in 1...64 where wanted >> UInt64(signal - 1) & 1 != 0 {
            if signal == Int(Signals.kill) || signal == Int(Signals.stop) { continue }
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

    private func collectTask(_ remote: RemoteTask, _ process: FrozenTree.Process) throws(EngineError) {
        let tid = remote.task
        var record = TaskRecord()
        record.tid = inner(tid)
        record.process = inner(process.pid)
        record.signalMask = remote.originalMask
        let status = try status(of: tid)
        let stat: TaskStat
        (stat, record.pendingSignals) = try EngineError.wrap("read the task", task: tid) { () throws(LinuxError) in
            (try Procfs.stat(tid, in: process.pid), try Ptrace.pendingSiginfo(tid, shared: false))
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
        (record.xstateKind, record.xstate) = try extendedState(tid)
        try askTask(remote, &record, try outerState(of: tid, status, stat, process.subject))
        let robust = try EngineError.wrap("read the robust futex list", task: tid) { () throws(LinuxError) in
            try Limits.robustList(of: tid)
        }
        record.robustListHead = robust.head
        record.robustListBytes = robust.length
        record.rseq = try rseq(remote, process)
        record.credentials = credentials(status, of: process.subject, secureBits: record.credentials.secureBits)
        record.scheduling = (try? Limits.scheduling(of: tid)) ?? []
        record.state.sleepNanoseconds = sleep?.nanoseconds ?? 0
        contents.tasks.append(record)
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
        leader.credentials = credentials(status, of: process.subject, secureBits: 0)
        contents.tasks.append(leader)
    }

    private func askTask(
        _ remote: RemoteTask, _ record: inout TaskRecord, _ state: TaskStateValue
    ) throws(EngineError) {
        let scratch = try remote.scratch()
        var batch = RemoteBatch()
        batch.add(.sigaltstack, 0, scratch, doing: "read the alternate stack")
        batch.add(.prctl, 2, scratch + 24, doing: "read the parent death signal")  // PR_GET_PDEATHSIG
        let tidAddress = batch.ask(.prctl, 40, scratch + 32)  // PR_GET_TID_ADDRESS
        batch.add(.personality, 0xffff_ffff, doing: "read the personality")
        batch.add(.prctl, 27, doing: "read the secure bits")
        batch.add(.prctl, 30, doing: "read the timer slack")
        let questions = TaskQuestions(state, at: scratch + 40, &batch)
        let answers = try remote.run(batch)
        let bytes = try remote.read(at: scratch, count: 44)
        if let keyring = questions.keyring(answers) {
            throw refuse(remote.task, "thread keyring \(keyring)", "keys that the kernel keeps are not carried")
        }
        record.state = questions.answered(answers, bytes.half(at: 40), remote.userDispatch)
        record.alternateStack.pointer = bytes.word(at: 0)
        // SS_ONSTACK says where the task runs now; it cannot be set.
        record.alternateStack.flags = bytes.half(at: 8) & ~1
        record.alternateStack.sizeBytes = bytes.word(at: 16)
        record.parentDeathSignal = Int32(bitPattern: bytes.half(at: 24))
        if Kernel.errno(of: answers[tidAddress]) == nil { record.clearTidAddress = bytes.word(at: 32) }
        record.personality = UInt32(truncatingIfNeeded: answers[3])
        record.credentials.secureBits = UInt32(truncatingIfNeeded: answers[4])
        record.timerSlackNanoseconds = UInt64(bitPattern: answers[5])
    }

    private func extendedState(_ tid: Int32) throws(EngineError) -> (XstateKind, [UInt8]) {
        do {
            return (.extended, try Ptrace.registerSet(tid, .extendedState))
        } catch {
            // A CPU without XSAVE.
            guard error.errno == .noDevice || error.errno == .invalid else {
                throw .system(error, task: tid, doing: "read the extended state")
            }
        }
        return (
            .floatingPoint,
            try EngineError.wrap("read the floating-point state", task: tid) { () throws(LinuxError) in
                try Ptrace.registerSet(tid, .floatingPoint)
            }
        )
    }

    private func credentials(_ status: TaskStatus, of process: Int32, secureBits: UInt32) -> CredentialsValue {
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
        value.secureBits = secureBits
        return value
    }

    private func rseq(_ remote: RemoteTask, _ process: FrozenTree.Process) throws(EngineError) -> RseqValue {
        let tid = remote.task
        var value = RseqValue()
        let known = try EngineError.wrap("read the rseq registration", task: tid) { () throws(LinuxError) in
            try Ptrace.rseqConfiguration(tid)
        }
        if let known {
            value.address = known.address
            value.sizeBytes = known.sizeBytes
            value.signature = known.signature
            value.flags = known.flags
        } else if let found = try RseqGuess.find(remote, tree.settling.rseqOffset(of: process.subject)) {
            value = found
            tree.settling.learn(
                Int64(bitPattern: found.address &- remote.original.fsBase), of: process.subject)
        }
        return value
    }
}
