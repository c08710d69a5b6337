internal import CRImage
internal import LinuxKit

/// Job-control stops, entered before anything of the image can see or refuse them.
extension RestoreTree {
    /// Puts every process that the image holds stopped into its stop, while it is a stub of one task, and takes away the
    /// reports that its parent had already seen.
    ///
    /// A stopped task still makes remote calls: ptrace runs it without ending the stop of its process, and it falls back
    /// into the stop when it is detached.
    func stopProcesses(_ contents: ImageContents) throws(EngineError) -> [String] {
        var notes: [String] = []
        for record in contents.processes where !record.isZombie && record.stopSignal != 0 {
            guard let stub = processes[record.pid] else { continue }
            if try !stop(stub, record.stopSignal) {
                // The kernel ignores a terminal's stop signals in an orphaned process group.
                guard try stop(stub, Signals.stop) else {
                    throw .derailed(task: record.pid, "it does not stop")
                }
                notes.append(
                    "process \(record.pid) was stopped by \(Signals.name(record.stopSignal)) and now is by SIGSTOP")
            }
            guard record.stopIsReported, let parent = processes[record.parent] else { continue }
            // WNOHANG|WUNTRACED, and no place for the siginfo.
            try parent.call(.waitid, [1, UInt64(record.pid), 0, 3, 0], doing: "take the report of a child's stop")
        }
        return notes
    }

    /// - Returns: False when the signal did not stop it.
    private func stop(_ stub: RestoreStub, _ signal: Int32) throws(EngineError) -> Bool {
        if signal != Signals.stop {
            let action = try stub.put(words: [0, 0, 0, 0])
            try stub.call(.rt_sigaction, [UInt64(signal), action, 0, 8], doing: "set a default action")
        }
        // Its registers would run code that is gone by now; it never gets there, because an interrupt is always due.
        try stub.remote.park()
        // Not behind a trap.
        try stub.remote.stopAgain()
        return try EngineError.wrap("stop the process", task: stub.tid) { () throws(LinuxError) in
            try Ptrace.setSignalMask(stub.outer, ~Signals.mask([signal]))
            try Signals.send(signal, to: stub.outer)
            try Ptrace.resume(stub.outer)
            let deadline = Deadline(seconds: 30)
            while true {
                switch try Wait.wait(for: stub.outer, deadline: deadline).status {
                case .stopped(let found, event: 0, systemCall: false):
                    try Ptrace.interrupt(stub.outer)
                    try Ptrace.resume(stub.outer, signal: found)
                case .stopped(let found, event: 128, _):
                    try Ptrace.setSignalMask(stub.outer, stub.remote.quietMask)
                    return found == signal
                case .stopped: try Ptrace.resume(stub.outer)
                case .continued: continue
                case .exited, .killed: throw .call("wait4", object: "task \(stub.tid)", .noChild)
                }
            }
        }
    }
}
