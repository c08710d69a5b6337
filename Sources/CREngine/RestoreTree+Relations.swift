internal import CRImage
internal import LinuxKit

/// The steps of a ``RelationPlan``.
extension RestoreTree {
    func perform(_ step: RelationPlan.Step) throws(EngineError) {
        switch step {
        case .fork(let parent, let child): try fork(parent: parent, child: child)
        case .newSession(let pid):
            let founder = try member(pid)
            try founder.call(.setsid, [], doing: "found session \(pid)")
            if let record = self.record(of: pid) {
                try terminals?.control(founder, record)
            }
        case .adopt(let pid, let adopts):
            // PR_SET_CHILD_SUBREAPER; the image's own setting comes at the end.
            try process(pid).call(.prctl, [36, adopts ? 1 : 0], doing: "adopt orphans")
        case .end(let pid, let by):
            guard let stub = holders.removeValue(forKey: pid) else { return }
            try end(stub, reapedBy: try member(by))
        case .newGroup(let pid):
            try process(pid).call(.setpgid, [0, 0], doing: "found process group \(pid)")
        case .join(let pid, let group):
            let stub = try process(pid)
            var number = group
            if namespaces?.isNested(pid) == true {
                // A group from above the namespace has no number there, and can only be inherited.
                if (try? Procfs.stat(stub.outer))?.processGroup == outer(group) { return }
                number = contents.processes.first { $0.pid == group }?.innerPids.last ?? group
            }
            try stub.call(.setpgid, [0, UInt64(number)], doing: "join process group \(group)")
        case .hold(let group, let by):
            let holder = try fork(try process(by), child: group, flags: 0, exitSignal: Signals.child)
            holders[group] = holder
            try holder.call(.setpgid, [0, 0], doing: "found process group \(group)")
        case .drop(let group, let by):
            guard let holder = holders.removeValue(forKey: group) else { return }
            try end(holder, reapedBy: try process(by))
        }
    }

    /// A process of the image, or a passing task.
    private func member(_ pid: Int32) throws(EngineError) -> RestoreStub {
        if let passing = holders[pid] { return passing }
        return try process(pid)
    }

    private func end(_ passing: RestoreStub, reapedBy parent: RestoreStub) throws(EngineError) {
        try end(passing, status: 9)
        // __WALL; the status is of no interest.
        try parent.call(.wait4, [UInt64(passing.tid), 0, 0x4000_0000, 0], doing: "reap a passing child")
    }

    private func fork(parent: Int32, child: Int32) throws(EngineError) {
        let creator = try member(parent)
        guard let record = self.record(of: child) else {
            holders[child] = try forkPassing(creator, child)
            namespaces?.inherit(child, from: parent)
            return
        }
        // A passing task shares nothing with anyone. CLONE_FILES, CLONE_FS, CLONE_VM, CLONE_SIGHAND
        var flags: UInt64 = 0
        if !record.isZombie, let above = self.record(of: parent) {
            if record.fileTable == above.fileTable { flags |= 0x400 }
            if record.fileSystem == above.fileSystem { flags |= 0x200 }
            if record.addressSpace == above.addressSpace { flags |= 0x100 }
            if record.signalTable == above.signalTable { flags |= 0x800 }
        }
        let stub = try fork(creator, child: child, flags: flags, exitSignal: record.exitSignal)
        processes[child] = stub
        try namespaces?.adapt(stub, parent: parent)
    }

    private func forkPassing(_ creator: RestoreStub, _ wanted: Int32) throws(EngineError) -> RestoreStub {
        if wanted > 0 { return try fork(creator, child: wanted, flags: 0, exitSignal: Signals.child) }
        for pid in freeNumbers() {
            do {
                return try fork(creator, child: pid, flags: 0, exitSignal: Signals.child)
            } catch .busy {
                continue
            }
        }
        throw .busy("no PID is free", task: nil, next: "end some tasks and repeat")
    }

    /// A child of a stub that shares its descriptors, has a PID of the image, and ends before that PID is needed.
    func pass(by parent: RestoreStub, pid: Int32) throws(EngineError) -> RestoreStub {
        let child = try fork(parent, child: pid, flags: 0x400, exitSignal: Signals.child)  // CLONE_FILES
        holders[pid] = child
        return child
    }

    /// Ends a child that ``pass(by:pid:)`` has made.
    func dismiss(_ child: RestoreStub, pid: Int32, by parent: RestoreStub) throws(EngineError) {
        try end(child, status: 9)
        holders[pid] = nil
        // __WALL; the status is of no interest.
        try parent.call(.wait4, [UInt64(pid), 0, 0x4000_0000, 0], doing: "reap a passing child")
    }
}
