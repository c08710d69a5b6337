internal import CRImage
internal import LinuxKit

/// Tasks that end before the tree runs: zombies, first threads that others outlive, passing children.
extension RestoreTree {
    /// Ends the processes that the image holds as zombies.
    func endZombies() throws(EngineError) {
        for record in contents.processes where record.isZombie {
            if !record.comm.isEmpty {
                let stub = try process(record.pid)
                // PR_SET_NAME
                try stub.call(.prctl, [15, try stub.put(record.comm.prefix(15) + [0])], doing: "name a zombie")
            }
            let stub = try process(record.pid)
            // Without effect where the number has no meaning in a user namespace.
            let user = UInt64(record.zombieUser)
            if user != 0 { _ = try stub.attempt(.setresuid, [user, user, user]) }
            try end(stub, status: record.exitStatus)
        }
    }

    /// Lets the first task of a process end while the others stay.
    ///
    /// It is let go first: the kernel would tell the engine alone of the end of a process whose first task it traces.
    func endLeader(_ stub: RestoreStub, status: Int32) throws(EngineError) {
        try stub.stand()
        let registers = ending(stub, by: .exit, status: status)
        try EngineError.wrap("end the first task", task: stub.tid) { () throws(LinuxError) in
            try Ptrace.setRegisters(stub.outer, registers)
            try Ptrace.detach(stub.outer)
            let deadline = Deadline(seconds: 10)
            while try Procfs.stat(stub.outer, in: stub.outer).state != "Z" {
                if deadline.remainingNanoseconds == 0 {
                    throw .deadline("the first task to end", seconds: deadline.seconds)
                }
                _ = Signals.take(Signals.mask([Signals.child]), timeoutNanoseconds: 1_000_000)
            }
        }
    }

    /// Registers with which a stub calls its own end, with a status in the form of wait4(2).
    private func ending(_ stub: RestoreStub, by call: SystemCall, status: Int32) -> Registers {
        var registers = stub.remote.original
        registers.rip = area.code
        registers.rax = call.rawValue
        registers.origRax = .max
        registers.rdi = UInt64(status >> 8 & 0xff)
        return registers
    }

    /// Lets a stub end with a status in the form of wait4(2).
    func end(_ stub: RestoreStub, status: Int32) throws(EngineError) {
        try stub.stand()
        let signal = status & 0x7f
        if signal == 0 {
            let registers = ending(stub, by: .exit_group, status: status)
            try EngineError.wrap("end a zombie", task: stub.tid) { () throws(LinuxError) in
                try Ptrace.setRegisters(stub.outer, registers)
                try Ptrace.resume(stub.outer)
            }
        } else {
            let action = try stub.put(words: [0, 0, 0, 0])
            if signal != Signals.kill, signal != Signals.stop {
                try stub.call(.rt_sigaction, [UInt64(signal), action, 0, 8], doing: "set a default action")
            }
            try EngineError.wrap("end a zombie", task: stub.tid) { () throws(LinuxError) in
                // A core file of the stub would be of no use to anyone.
                try? Limits.set(4, of: stub.outer, to: ResourceLimit(soft: 0, hard: 0))
                try Ptrace.setSignalMask(stub.outer, ~Signals.mask([signal]))
                try Signals.send(signal, to: stub.outer)
                // SIGKILL does not wait for the tracer.
                if signal != Signals.kill { try Ptrace.resume(stub.outer) }
            }
        }
        let deadline = Deadline(seconds: 30)
        while true {
            let seen = try EngineError.wrap("wait for a zombie", task: stub.tid) { () throws(LinuxError) in
                try Wait.wait(for: stub.outer, deadline: deadline, wakeups: wakeups).status
            }
            switch seen {
            case .exited, .killed: return
            case .stopped(let number, event: 0, systemCall: false):
                try EngineError.wrap("end a zombie", task: stub.tid) { () throws(LinuxError) in
                    try Ptrace.resume(stub.outer, signal: number)
                }
            case .stopped, .continued:
                try EngineError.wrap("end a zombie", task: stub.tid) { () throws(LinuxError) in
                    try Ptrace.resume(stub.outer)
                }
            }
        }
    }
}
