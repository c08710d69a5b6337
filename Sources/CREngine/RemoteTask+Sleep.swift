internal import LinuxKit

/// Calls of the task's own that it is in the middle of.
extension RemoteTask {
    /// Lets the task go on with its interrupted call for a moment and interrupts it again.
    ///
    /// The task cannot get out of the call: its end is a ptrace stop too. ``original`` follows what the kernel leaves.
    ///
    /// - Parameter look: Runs while the task sleeps in the call.
    /// - Returns: False when the call ended at once or does not sleep; `look` may not have run then.
    /// - Precondition: The task stands in PTRACE_EVENT_STOP with its own registers and mask.
    func goOn(sleepsIn process: Int32, _ look: () -> Void) throws(EngineError) -> Bool {
        guard place == .eventStop, isResting else { return false }
        var held: [Int32] = []
        var isAsleep = false
        do throws(LinuxError) {
            try Ptrace.resumeToSystemCall(task)
            var last = try nextStop()
            if case .stopped(_, _, systemCall: true) = last {
                try Ptrace.resumeToSystemCall(task)
                // It may have to wait for a CPU first.
                let deadline = Deadline(seconds: 0.1)
                while deadline.remainingNanoseconds > 0 {
                    let state = (try? Procfs.stat(task, in: process))?.state
                    isAsleep = state == "S"
                    if isAsleep || state == "t" { break }
                    _ = Signals.take(0, timeoutNanoseconds: 100_000)
                }
                if isAsleep { look() }
                try Ptrace.interrupt(task)
                last = try nextStop()
            }
            // Any stop, as that at the end of the call, swallows the interrupt.
            while !last.isEventStop {
                try Ptrace.interrupt(task)
                if case .stopped(let signal, event: 0, systemCall: false) = last, !Self.stops.contains(signal) {
                    // As if nobody had stopped it: should the engine end, the signal has come.
                    try Ptrace.resume(task, signal: signal)
                } else {
                    if case .stopped(let signal, event: 0, systemCall: false) = last { held.append(signal) }
                    try Ptrace.resume(task)
                }
                last = try nextStop()
            }
            original = try Ptrace.registers(task)
            originalMask = try Ptrace.signalMask(task)
            extended = nil
        } catch {
            throw .system(error, task: task, doing: "let an interrupted call go on")
        }
        for signal in held { try deferSignal(signal) }
        return isAsleep && RestartCode(rawValue: Int64(bitPattern: original.rax)) == .restartBlock
    }

    /// SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU.
    private static let stops: Set<Int32> = [19, 20, 21, 22]

    private func nextStop() throws(LinuxError) -> WaitStatus {
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let status = try Wait.wait(for: task, deadline: deadline).status
            if status.isEnd { throw .call("wait4", object: "task \(task)", .noProcess) }
            if status != .continued { return status }
        }
    }

    /// Lets the task begin a call of its own and interrupts it there, so that the kernel holds what it needs to go on
    /// with it; ``original`` becomes what the kernel left in the registers.
    ///
    /// - Parameter registers: Stand at the `syscall` instruction, with number and arguments in place.
    /// - Returns: The kernel's answer, mostly a ``RestartCode``.
    func begin(_ registers: Registers) throws(EngineError) -> Int64 {
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
