internal import LinuxKit

/// Calls of a stub that go through memory which it shares with the engine.
///
/// The task's mask lets SIGTRAP through all the time: the trap at the end of a series must not meet a blocked signal, or
/// the kernel would reset its action.
extension RemoteTask {
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
        failures += try batch.check(answers, task: task)
    }

    /// Makes calls in one stop.
    func run(_ entries: ArraySlice<RemoteBatch.Entry>, in lanes: RemoteLanes) throws(EngineError) -> [Int64] {
        try start(entries, lanes)
        return try finish(entries, lanes)
    }

    private func start(_ entries: ArraySlice<RemoteBatch.Entry>, _ lanes: RemoteLanes) throws(EngineError) {
        try awaitBirth()
        let table = lanes.table(try ownLane(lanes))
        lanes.pages.write(words: RemoteProgram.table(Array(entries)), at: table)
        created = []
        var registers = original
        registers.rip = lanes.code
        registers.origRax = UInt64.max
        registers.rbx = table
        registers.r12 = UInt64(entries.count)
        try start(registers) { () throws(LinuxError) in try Ptrace.resume(task) }
    }

    private func finish(_ entries: ArraySlice<RemoteBatch.Entry>, _ lanes: RemoteLanes) throws(EngineError) -> [Int64] {
        let table = lanes.table(try ownLane(lanes))
        func answer(_ index: Int) -> UInt64 {
            lanes.pages.word(at: table + UInt64(index * RemoteProgram.entryBytes + 56))
        }
        try wait("calls") { () throws(LinuxError) in
            try Ptrace.resume(task)
        } until: { status in
            // Somebody else's SIGTRAP is dropped: none was pending in the image.
            status == .stopped(signal: Signals.trap, event: 0, systemCall: false)
                && answer(entries.count - 1) != RemoteProgram.unanswered
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
        lanes = nil
        return try settled(call, arguments)
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
