internal import CRImage
internal import LinuxKit

/// What ties processes to others.
extension DumpCollector {
    /// Whether the session of a process belongs to others: no process of the tree founded it, and somebody outside of the
    /// tree is in it.
    func sessionIsOutside(_ process: FrozenTree.Process) -> Bool {
        let session = process.stat.session
        if tree.processes.contains(where: { $0.pid == session }) { return false }
        if let known = outsideSessions[session] { return known }
        let isOutside = outsiders().contains { Self.number(.getsid, $0) == session }
        outsideSessions[session] = isOutside
        return isOutside
    }

    /// A process outside of the tree that is in a session or a process group of the tree's keeps the number in use, so
    /// that no restore on this host could have the PID again.
    func refuseStrays() throws(EngineError) {
        let inside = Set(tree.processes.map(\.pid))
        for pid in outsiders() {
            let session = Self.number(.getsid, pid)
            let group = Self.number(.getpgid, pid)
            if inside.contains(session) {
                throw refuse(
                    session, "session \(session)",
                    "process \(pid), which is in it and has left the tree, would keep its number in use: end that first"
                )
            }
            if inside.contains(group) {
                throw refuse(
                    group, "process group \(group)",
                    "process \(pid), which is in it and has left the tree, would keep its number in use: end that first"
                )
            }
        }
    }

    /// A child is told of the end of the task that forked it, which in a restored tree is always the first one.
    func checkDeathSignals() throws(EngineError) {
        let leaderless = Set(contents.processes.filter(\.leaderHasEnded).map(\.pid))
        for process in contents.processes where leaderless.contains(process.parent) {
            for task in contents.tasks where task.process == process.pid && task.parentDeathSignal != 0 {
                throw refuse(
                    task.tid, "parent death signal \(task.parentDeathSignal)",
                    "the first thread of its parent has ended, and which of the others would send it does not show")
            }
        }
    }

    private func outsiders() -> [Int32] {
        let inside = Set(tree.processes.map(\.pid))
        let pids = (try? Files.names(in: "/proc"))?.compactMap { Int32($0) } ?? []
        return pids.filter { !inside.contains($0) }
    }

    /// getsid(2) or getpgid(2); -1 when the process is gone.
    private static func number(_ call: SystemCall, _ pid: Int32) -> Int32 {
        let answer = Kernel.attempt(call, Kernel.number(pid))
        return Kernel.errno(of: answer) == nil ? Int32(truncatingIfNeeded: answer) : -1
    }
}
