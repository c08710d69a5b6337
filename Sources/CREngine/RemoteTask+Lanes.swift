internal import LinuxKit

/// Calls of a stub that go through memory which it shares with the engine.
///
/// The task's mask lets SIGTRAP through all the time: the trap at the end of a series must not meet a blocked signal, or
/// the kernel would reset its action.
extension RemoteTask {
    /// What no call answers, in the answer of a call that was not made.
    private static let unanswered: UInt64 = 1 << 63 | 0x5eed

    /// The mask during remote calls.
    var quietMask: UInt64 {
        lanes == nil ? Self.quietMask(hidesDispatch) : ~Signals.mask([Signals.trap])
    }

    static func quietMask(_ hidesDispatch: Bool) -> UInt64 { hidesDispatch ? ~Signals.mask([Signals.badCall]) : ~0 }

    /// Writes arguments for calls that are put off: they stay until these were made.
    func hold(_ bytes: [UInt8], in lanes: RemoteLanes) throws(EngineError) -> UInt64 {
        if running != nil { try collect() }
        let room = (UInt64(bytes.count) + 7) & ~7
        if heldOffset + room > RemoteLanes.heldBytes { try flush() }
        guard room <= RemoteLanes.heldBytes else {
            throw .derailed(task: task, "an argument of \(bytes.count) bytes is longer than the room for it")
        }
        let place = lanes.held(try ownLane(lanes)) + heldOffset
        heldOffset += room
        lanes.pages.write(bytes, at: place)
        return place
    }

    private func ownLane(_ lanes: RemoteLanes) throws(EngineError) -> Int {
        if let lane { return lane }
        let taken = try lanes.acquire(for: self)
        lane = taken
        return taken
    }

    func leaveLane() {
        if let lane { lanes?.release(lane) }
        lane = nil
        heldOffset = 0
    }

    /// Lets the task make the calls that were put off, and does not wait for it; whatever is asked of it next does.
    func launch() throws(EngineError) {
        guard let lanes else { return try flush() }
        if running != nil { try collect() }
        let batch = takeWaiting()
        if batch.count == 0 { return leaveLane() }
        try start(batch.entries[...], lanes)
        running = batch
    }

    /// Waits for the calls that ``launch()`` has started.
    func collect() throws(EngineError) {
        guard let batch = running, let lanes else { return }
        running = nil
        let answers = try finish(batch.entries[...], lanes)
        leaveLane()
        try check(batch, answers)
    }

    /// Makes calls in one stop.
    func run(_ entries: ArraySlice<RemoteBatch.Entry>, in lanes: RemoteLanes) throws(EngineError) -> [Int64] {
        try start(entries, lanes)
        return try finish(entries, lanes)
    }

    private func start(_ entries: ArraySlice<RemoteBatch.Entry>, _ lanes: RemoteLanes) throws(EngineError) {
        try wake()
        let table = lanes.table(try ownLane(lanes))
        lanes.pages.write(words: RemoteBench.table(entries, unanswered: Self.unanswered), at: table)
        created = []
        var registers = original
        registers.rip = lanes.code
        registers.origRax = UInt64.max
        registers.rbx = table
        registers.r12 = UInt64(entries.count)
        try EngineError.wrap("start a series of calls", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, registers)
            try Ptrace.resume(task)
        }
        place = .trap
    }

    private func finish(_ entries: ArraySlice<RemoteBatch.Entry>, _ lanes: RemoteLanes) throws(EngineError) -> [Int64] {
        let table = lanes.table(try ownLane(lanes))
        func answer(_ index: Int) -> UInt64 {
            lanes.pages.word(at: table + UInt64(index * RemoteBench.entryBytes + 56))
        }
        let deadline = Deadline(seconds: timeoutSeconds)
        waiting: while true {
            let status = try EngineError.wrap("run calls in the task", task: task) { () throws(LinuxError) in
                try Wait.wait(for: task, deadline: deadline).status
            }
            switch status {
            case .stopped(Signals.trap, event: 0, systemCall: false):
                if answer(entries.count - 1) != Self.unanswered { break waiting }
            // Somebody else's SIGTRAP is dropped: none was pending in the image.
            case .stopped(let signal, event: 0, _): try deferSignal(signal)
            case .stopped(_, event: 1...3, _): try noteBirth()
            case .continued: continue
            case .stopped: break
            case .exited, .killed: throw .derailed(task: task, "it ended during the engine's calls")
            }
            try EngineError.wrap("go on with a series of calls", task: task) { () throws(LinuxError) in
                try Ptrace.resume(task)
            }
        }
        var answers: [Int64] = []
        answers.reserveCapacity(entries.count)
        for index in 0..<entries.count { answers.append(Int64(bitPattern: answer(index))) }
        // A stop request that was already on its way makes a call return a restart code without effect.
        for (index, entry) in entries.enumerated() where RestartCode(rawValue: answers[index]) != nil {
            answers[index] = try settled(entry.call, entry.arguments)
        }
        return answers
    }

    /// Makes the last call of all, whose instruction may be gone when it returns: the task is stopped before it goes on.
    func callLast(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) -> Int64 {
        try flush()
        guard lanes != nil else { return try settled(call, arguments) }
        try wake()
        lanes = nil
        var registers = original
        registers.rip = systemCallAddress
        registers.rax = call.rawValue
        registers.origRax = UInt64.max
        registers.rdi = arguments.count > 0 ? arguments[0] : 0
        registers.rsi = arguments.count > 1 ? arguments[1] : 0
        try EngineError.wrap("set the registers for \(call.name)", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, registers)
        }
        place = .trap
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let status = try step(deadline, "\(call.name) in task \(task)") { () throws(LinuxError) in
                try Ptrace.step(task)
            }
            switch status {
            case .stopped(Signals.trap, event: 0, systemCall: false):
                let after = try EngineError.wrap("read the answer of \(call.name)", task: task) {
                    () throws(LinuxError) in try Ptrace.registers(task)
                }
                // The kernel has stored the number where it entered, and stands behind the instruction.
                if after.rip == systemCallAddress + UInt64(RemoteInstruction.systemCall.count) {
                    return Int64(bitPattern: after.rax)
                }
            case .stopped(let signal, event: 0, _): try deferSignal(signal)
            case .stopped, .continued: continue
            case .exited, .killed: throw .derailed(task: task, "it ended during \(call.name)")
            }
        }
    }

    /// Notes what might fail and did, and throws for what must not.
    func check(_ batch: RemoteBatch, _ answers: [Int64]) throws(EngineError) {
        for (entry, answer) in zip(batch.entries, answers) {
            guard let errno = Kernel.errno(of: answer) else { continue }
            guard let doing = entry.doing else {
                failures.append("\(entry.call.name): \(errno)")
                continue
            }
            throw .remote(call: entry.call.name, task: task, errno, doing: doing())
        }
    }

    /// After PTRACE_EVENT_FORK, VFORK or CLONE.
    func noteBirth() throws(EngineError) {
        let message = try EngineError.wrap("ask for a new task", task: task) { () throws(LinuxError) in
            try Ptrace.eventMessage(task)
        }
        created.append(Int32(truncatingIfNeeded: message))
    }

    /// Waits until a task that was born attached stands.
    func awaitBirth() throws(EngineError) {
        if !isNewborn { return }
        isNewborn = false
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let status = try EngineError.wrap("wait for the new task", task: task) { () throws(LinuxError) in
                try Wait.wait(for: task, deadline: deadline, wakeups: wakeups).status
            }
            switch status {
            case .stopped(_, event: 128, _): return
            case .stopped(let signal, event: 0, systemCall: false):
                try EngineError.wrap("stop the new task", task: task) { () throws(LinuxError) in
                    try Ptrace.resume(task, signal: signal)
                }
            case .stopped:
                try EngineError.wrap("stop the new task", task: task) { () throws(LinuxError) in
                    try Ptrace.resume(task)
                }
            case .continued: continue
            case .exited, .killed: throw .derailed(task: task, "it ended while it was being created")
            }
        }
    }
}
