internal import CRImage
internal import LinuxKit

/// What tasks have promised to undo in semaphore sets at their end.
extension DumpCollector {
    /// Asks everyone who has a list of promises. They are carried where the sets come with the tree; others would see them
    /// fulfilled when the dump ends it.
    ///
    /// - Parameters:
    ///   - sets: All semaphore sets of the namespace.
    ///   - takesAll: Whether the namespace comes with the tree.
    ///   - records: The sets that are carried.
    func collectUndo(
        _ sets: [(id: Int32, values: [UInt16])], takesAll: Bool, _ records: inout [SystemVRecord]
    ) throws(EngineError) {
        guard !sets.isEmpty else { return }
        // A newborn task has no list. Threads get one even if they never use it.
        let fresh = try EngineError.wrap("create a task to compare with") { () throws(LinuxError) in
            try Spawn.pausedTask()
        }
        defer {
            try? Signals.send(Signals.kill, to: fresh.pid)
            _ = try? Wait.wait(for: fresh.pid, deadline: Deadline(seconds: 10))
            Files.close(fresh.pidfd)
        }
        var holders: [Int32] = []
        for process in tree.processes where !process.isZombie {
            var asked: Int32?
            for task in [process.subject] + process.tasks where task == process.subject || task != process.pid {
                let isNew = try EngineError.wrap("compare undo lists", task: task) { () throws(LinuxError) in
                    if let asked, try Kcmp.same(.semaphores, task, asked) { return false }
                    return try !Kcmp.same(.semaphores, task, fresh.pid)
                }
                guard isNew else { continue }
                asked = asked ?? task
                let promises = try promises(of: task, process, sets)
                guard let first = promises.first else { continue }
                func refusal(_ why: String) -> EngineError {
                    refuse(
                        process.pid, "semaphore set \(first.set)",
                        "task \(task) has semaphore operations to undo at its end (SEM_UNDO), \(why)")
                }
                guard takesAll else {
                    throw refusal("which its end would do in a namespace that others share")
                }
                let isShared = try EngineError.wrap("compare undo lists", task: task) { () throws(LinuxError) in
                    for other in holders where try Kcmp.same(.semaphores, task, other) { return true }
                    return false
                }
                guard task == process.subject, !process.leaderHasEnded, !isShared else {
                    throw refusal("and not just as its process, which is not carried")
                }
                holders.append(task)
                for promise in promises {
                    guard let index = records.firstIndex(where: { $0.kind == .semaphores && $0.id == promise.set })
                    else { continue }
                    var value = SemaphoreUndoValue()
                    value.process = inner(process.pid)
                    value.semaphore = UInt32(promise.index)
                    value.adjustment = promise.adjustment
                    records[index].undo.append(value)
                }
            }
        }
    }

    private func promises(
        of task: Int32, _ process: FrozenTree.Process, _ sets: [(id: Int32, values: [UInt16])]
    ) throws(EngineError) -> [(set: Int32, index: Int, adjustment: Int32)] {
        let mappings = try EngineError.wrap("read the mappings", task: process.pid) { () throws(LinuxError) in
            try Procfs.mappingsWithoutFlags(process.subject)
        }
        let code =
            mappings.filter { $0.protection.contains(.execute) && $0.name != "[vsyscall]" }
            .sorted { a, b in a.name == "[vdso]" && b.name != "[vdso]" }
            .map { RemoteMemory.Range(start: $0.start, count: Int($0.sizeBytes)) }
        guard let instruction = try RemoteInstruction.findSystemCall(process.subject, in: code) else { return [] }
        let remote = try RemoteTask(resting: task, nil, systemCallAddress: instruction)
        var found: [(set: Int32, index: Int, adjustment: Int32)] = []
        try asking(remote, of: process) { () throws(EngineError) in
            try prepare(remote, process, mappings, lanes: 1)
            let undo = try SemaphoreUndo(remote)
            for set in sets {
                guard let promises = try undo.promises(set.id, set.values) else {
                    let users = SystemV.lastUsers(ofSemaphores: set.id, count: set.values.count)
                    if !users.contains(process.pid) { continue }
                    throw refuse(
                        process.pid, "semaphore set \(set.id)",
                        "the process has used it and may not any more, so what it has to undo (SEM_UNDO) does not show")
                }
                found += promises.map { (set.id, $0.index, $0.adjustment) }
            }
        }
        return found
    }
}
