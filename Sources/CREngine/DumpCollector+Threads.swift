internal import CRImage
internal import LinuxKit

/// The other threads of a process: many at the same time (``RemoteCrowd``), where nothing speaks against it.
extension DumpCollector {
    private static let mostLanes = 64

    /// For how many threads at once to have memory.
    func lanes(for process: FrozenTree.Process) -> Int {
        // Stopped by job control, they must come to stand as they stood.
        guard process.groupStopSignal == 0 else { return 1 }
        return max(1, min(process.tasks.count - 1, Self.mostLanes))
    }

    /// Threads that are asked at the same time.
    private struct Helping {
        var members: [RemoteCrowd.Member] = []
        var entries: [(record: TaskRecord, questions: TaskQuestions)] = []
    }

    /// While some threads make their calls, the next ones are looked at: each helping has half of the lanes.
    ///
    /// - Parameter leader: Rests.
    func collectThreads(_ process: FrozenTree.Process, _ leader: RemoteTask) throws(EngineError) {
        let crowd = process.groupStopSignal == 0 ? leader.crowd?.place : nil
        let lanes = crowd?.capacity ?? 1
        // Few threads are one helping.
        let count = lanes < 8 ? lanes : lanes / 2
        var running = Helping()
        var failure: EngineError?
        do throws(EngineError) {
            var rest = process.tasks.dropFirst()
            var firstLane = 0
            while !rest.isEmpty {
                try checkInterruption()
                let tasks = rest.prefix(count)
                rest = rest.dropFirst(tasks.count)
                var next = Helping()
                for task in tasks {
                    guard let crowd,
                        let member = try member(task, process, leader, crowd, lane: firstLane + next.members.count)
                    else {
                        // It borrows the leader's memory, which the others have.
                        let others = running
                        running = Helping()
                        try end(others, crowd, process)
                        try collectThread(task, process, leader)
                        continue
                    }
                    var record = try outside(member.remote, process)
                    record.rseq = try tree.settling.rseq(of: task).map { RseqValue($0) } ?? RseqValue()
                    let questions = TaskQuestions(record.state, at: crowd.results(member), &member.batch)
                    next.members.append(member)
                    next.entries.append((record, questions))
                }
                try crowd?.begin(next.members)
                let others = running
                running = next
                firstLane = firstLane == 0 ? count : 0
                try end(others, crowd, process)
            }
        } catch {
            failure = error
        }
        do throws(EngineError) { try end(running, crowd, process) } catch { failure = failure ?? error }
        if let failure { throw failure }
    }

    private func end(
        _ helping: Helping, _ crowd: RemoteCrowd?, _ process: FrozenTree.Process
    ) throws(EngineError) {
        var failure: EngineError?
        do throws(EngineError) { try crowd?.end(helping.members) } catch { failure = error }
        for member in helping.members { tree.send(member.remote.deferredSignals, to: process.pid) }
        if let failure { throw failure }
        for (member, entry) in zip(helping.members, helping.entries) {
            var record = entry.record
            try finish(&record, member.remote, entry.questions, member.answers, member.results)
            contents.tasks.append(record)
        }
    }

    /// - Returns: `nil` for a thread that has to be asked alone.
    private func member(
        _ task: Int32, _ process: FrozenTree.Process, _ leader: RemoteTask, _ crowd: RemoteCrowd, lane: Int
    ) throws(EngineError) -> RemoteCrowd.Member? {
        let status = try status(of: task)
        guard status.seccomp == 0, status.pendingSignals & Signals.mask([crowd.signal]) == 0,
            let known = tree.registers[task], !sleepProbe.wants(task, known), try tree.settling.rseq(of: task) != nil,
            let inner = status.namespaceTids.last, let innerProcess = status.namespaceProcesses.last
        else { return nil }
        let remote = try RemoteTask(resting: task, known, systemCallAddress: leader.systemCallAddress)
        if remote.userDispatch != nil || suspectsDispatch(remote, process) { return nil }
        return RemoteCrowd.Member(remote, process: innerProcess, tid: inner, lane: lane)
    }

    /// Asks one thread in stops of its own.
    private func collectThread(
        _ task: Int32, _ process: FrozenTree.Process, _ leader: RemoteTask
    ) throws(EngineError) {
        let remote = try RemoteTask(
            resting: task, tree.registers[task], systemCallAddress: leader.systemCallAddress)
        let status = try status(of: task)
        try asking(remote, of: process) { () throws(EngineError) in
            try sleepProbe.ask(remote, process.subject)
            remote.borrow(from: leader, tid: status.namespaceTids.last ?? task, pending: status.pendingSignals)
            if status.seccomp != 0 { remote.home?.exit = nil }
            try collectTask(remote, process)
        }
    }
}
