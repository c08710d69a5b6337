internal import LinuxKit

/// Calls of the task's own that it is in the middle of.
extension RemoteTask {
    /// Lets the task go on with its interrupted call for a moment and interrupts it again.
    ///
    /// The task cannot get out of the call: its end is a ptrace stop too. ``original`` follows what the kernel leaves.
    ///
    /// - Parameter look: Runs while the task sleeps in the call.
    /// - Returns: False when the call ended at once or does not sleep; `look` may not have run then.
    /// - Precondition: The task stands in PTRACE_EVENT_STOP with its own registers.
    func goOn(sleepsIn process: Int32, _ look: () -> Void) throws(EngineError) -> Bool {
        guard place == .eventStop else { return false }
        place = .systemCallExit
        try runToSystemCallStop(.restart_syscall)
        do throws(LinuxError) { try Ptrace.resumeToSystemCall(task) } catch {
            throw .system(error, task: task, doing: "let an interrupted call go on")
        }
        var isAsleep = false
        // It may have to wait for a CPU first.
        let deadline = Deadline(seconds: 0.1)
        while deadline.remainingNanoseconds > 0 {
            let state = (try? Procfs.stat(task, in: process))?.state
            isAsleep = state == "S"
            if isAsleep || state == "t" { break }
            _ = Signals.take(0, timeoutNanoseconds: 100_000)
        }
        if isAsleep { look() }
        let last: WaitStatus
        do throws(LinuxError) {
            try Ptrace.interrupt(task)
            last = try Wait.wait(for: task, deadline: Deadline(seconds: timeoutSeconds)).status
        } catch {
            throw .system(error, task: task, doing: "interrupt a call again")
        }
        if last.isEnd { throw .derailed(task: task, "it ended in a call that was to be interrupted") }
        // Any stop, as that at the end of the call, swallows the interrupt.
        if case .stopped(_, event: 128, _) = last {} else { try stopAgain() }
        place = .eventStop
        original = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
            try Ptrace.registers(task)
        }
        return isAsleep && RestartCode(rawValue: Int64(bitPattern: original.rax)) == .restartBlock
    }

    /// Lets the task begin a call of its own and interrupts it there, so that the kernel holds what it needs to go on
    /// with it; ``original`` becomes what the kernel left in the registers.
    ///
    /// - Parameter registers: Stand at the `syscall` instruction, with number and arguments in place.
    /// - Returns: The kernel's answer, mostly a ``RestartCode``.
    func begin(_ registers: Registers) throws(EngineError) -> Int64 {
        try flush()
        try flush()
        var registers = registers
        registers.origRax = .max
        let call = SystemCall(rawValue: registers.rax) ?? .restart_syscall
        try EngineError.wrap("set the registers for \(call.name)", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, registers)
        }
        place = .systemCallExit
        try runToSystemCallStop(call)
        try stopAgain()
        place = .eventStop
        return Int64(
            bitPattern: try EngineError.wrap("read the answer of \(call.name)", task: task) { () throws(LinuxError) in
                try Ptrace.registers(task)
            }.rax)
    }
}
