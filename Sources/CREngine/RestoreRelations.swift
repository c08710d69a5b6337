internal import CRImage

/// In which order processes are forked and set up, so that parents, sessions and process groups come out as they were.
///
/// A session can only be inherited or founded. So a child of a founder that is still in the older session is forked
/// before its parent founds its own.
struct RelationPlan: Hashable {
    enum Step: Hashable {
        case fork(parent: Int32, child: Int32)
        case newSession(Int32)
        /// The process founds the group of its own PID.
        case newGroup(Int32)
        case join(Int32, group: Int32)
        /// A passing child takes the PID of a group whose founder is gone, so that others can join.
        case hold(group: Int32, by: Int32)
        case drop(group: Int32, by: Int32)
    }

    private(set) var steps: [Step] = []

    /// - Throws: `EngineError.refused` for sessions whose founder is gone.
    init(_ contents: ImageContents) throws(EngineError) {
        let processes = contents.processes
        guard let root = processes.first(where: { $0.pid == contents.header.root }) else {
            throw .image("processes", why: "the root is missing")
        }
        let children = Dictionary(grouping: processes.filter { $0.parent != 0 }, by: \.parent)
        var outside: Set<Int32> = []
        if root.session != root.pid { outside.insert(root.session) }
        // Session that each process has at its birth.
        var queue: [(process: ProcessRecord, inherited: Int32)] = [(root, root.session == root.pid ? 0 : root.session)]
        while !queue.isEmpty {
            let (process, inherited) = queue.removeFirst()
            let own = (children[process.pid] ?? []).sorted { $0.pid < $1.pid }
            let early = own.filter { $0.session == inherited && $0.session != process.session }
            for child in early {
                steps.append(.fork(parent: process.pid, child: child.pid))
                queue.append((child, inherited))
            }
            if process.session == process.pid { steps.append(.newSession(process.pid)) }
            for child in own where !early.contains(child) {
                guard child.session == process.session || child.session == child.pid else {
                    throw .refused(
                        .unsupported(
                            task: child.pid, object: "session \(child.session)",
                            "the process that founded its session is gone"))
                }
                steps.append(.fork(parent: process.pid, child: child.pid))
                queue.append((child, process.session))
            }
        }
        groups(processes, outside: outside)
    }

    private mutating func groups(_ processes: [ProcessRecord], outside: Set<Int32>) {
        let pids = Set(processes.map(\.pid))
        for process in processes where process.processGroup == process.pid && process.session != process.pid {
            steps.append(.newGroup(process.pid))
        }
        var held: [Int32: Int32] = [:]
        var joins: [Step] = []
        for process in processes where process.processGroup != process.pid && process.session != process.pid {
            let group = process.processGroup
            if !pids.contains(group) {
                // A group of the outside is the one that the engine's own process is in.
                if outside.contains(process.session) { continue }
                if held[group] == nil {
                    held[group] = process.pid
                    steps.append(.hold(group: group, by: process.pid))
                }
            }
            joins.append(.join(process.pid, group: group))
        }
        steps += joins
        for (group, holder) in held.sorted(by: { $0.key < $1.key }) { steps.append(.drop(group: group, by: holder)) }
    }
}
