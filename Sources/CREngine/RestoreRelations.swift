internal import CRImage

/// In which order processes are forked and set up, so that parents, sessions and process groups come out as they were.
///
/// A session can only be inherited or founded. So a child that is still in the session its parent was born in is forked
/// before the parent founds its own. Who is in a session that its parent was never in lost the parent it was born to:
/// a passing task in that session forks it and ends, and the kernel gives it to the nearest ancestor that adopts. They end
/// when all are forked, the youngest first: until then everybody who was ever above a process still is.
struct RelationPlan: Hashable {
    enum Step: Hashable {
        /// A PID that is no process of the image is a passing task's; a negative one stands for any that is free.
        case fork(parent: Int32, child: Int32)
        case newSession(Int32)
        /// Whether orphans go to this process.
        case adopt(Int32, Bool)
        /// A passing task ends, and its parent reaps it.
        case end(Int32, by: Int32)
        /// The process founds the group of its own PID.
        case newGroup(Int32)
        case join(Int32, group: Int32)
        /// A passing child takes the PID of a group whose founder is gone, so that others can join.
        case hold(group: Int32, by: Int32)
        case drop(group: Int32, by: Int32)
    }

    private(set) var steps: [Step] = []
    /// The session that the root is born in when its founder is gone; 0 for the engine's own.
    private(set) var rootSession: Int32 = 0

    /// - Throws: `EngineError.refused` for relations that no order of forks gives.
    init(_ contents: ImageContents) throws(EngineError) {
        var planner: RelationPlanner
        do throws(EngineError) {
            planner = try RelationPlanner(contents)
            try planner.run()
        } catch {
            guard case .refused = error else { throw error }
            // Some process may have been further down when it was born.
            planner = try RelationPlanner(contents)
            planner.moveDown()
            do throws(EngineError) { try planner.run() } catch let second {
                guard case .refused = second else { throw second }
                throw error
            }
        }
        steps = planner.steps
        rootSession = planner.rootSession
    }
}

/// Works a ``RelationPlan`` out.
private struct RelationPlanner {
    var steps: [RelationPlan.Step] = []
    var rootSession: Int32 = 0
    private let processes: [ProcessRecord]
    private let root: ProcessRecord
    private var records: [Int32: ProcessRecord] = [:]
    private var children: [Int32: [ProcessRecord]] = [:]
    /// Who is forked below whom: by its parent, or somewhere below the parent.
    private var places: [Int32: Int32] = [:]
    /// Sessions that belong to others.
    private var outside: Set<Int32> = []
    /// The session that a process must be born in; none when any will do.
    private var birth: [Int32: Int32] = [:]
    /// Processes with the session that they are born in, forked but not their children.
    private var queue: [(process: ProcessRecord, session: Int32)] = []
    /// Whom their parents cannot fork.
    private var strays: [ProcessRecord] = []
    /// Sessions that exist.
    private var founded: Set<Int32> = []
    /// Sessions that passing tasks have founded, with the groups of the same number.
    private var rebuilt: Set<Int32> = []
    private var lastPassing: Int32 = 0
    /// Who forks whom.
    private var creators: [Int32: Int32] = [:]
    /// Passing tasks, with whom their children come to.
    private var passing: [(task: Int32, target: Int32)] = []

    init(_ contents: ImageContents) throws(EngineError) {
        processes = contents.processes
        guard let root = processes.first(where: { $0.pid == contents.header.root }) else {
            throw .image("processes", why: "the root is missing")
        }
        self.root = root
        for process in processes {
            records[process.pid] = process
            if process.parent != 0 { places[process.pid] = process.parent }
            if process.sessionIsOutside { outside.insert(process.session) }
        }
        findBirths()
    }

    /// Works out the sessions that processes must be born in, from the bottom up.
    private mutating func findBirths() {
        children = [:]
        for process in processes {
            if let place = places[process.pid] { children[place, default: []].append(process) }
        }
        for parent in children.keys { children[parent]?.sort { $0.pid < $1.pid } }
        var order = [root]
        var index = 0
        while index < order.count {
            order += children[order[index].pid] ?? []
            index += 1
        }
        birth = [:]
        for process in order.reversed() {
            guard process.session == process.pid else {
                birth[process.pid] = process.session
                continue
            }
            var wishes: [Int32: Int] = [:]
            for child in children[process.pid] ?? [] {
                guard let wish = birth[child.pid], wish != process.pid else { continue }
                // The root is born in its own session or in the engine's; nobody is in one that was founded below.
                if process.pid == root.pid ? outside.contains(wish) : !isAbove(process.pid, wish) {
                    wishes[wish, default: 0] += 1
                }
            }
            birth[process.pid] = wishes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
        }
    }

    private func isAbove(_ upper: Int32, _ lower: Int32) -> Bool {
        var next = places[lower]
        while let place = next, place != upper { next = places[place] }
        return next == upper
    }

    /// Puts processes further down, until those above the members of each session are in one line.
    ///
    /// When the founder was born they were: all of them were above it. They came apart when processes between them
    /// ended. Who is above whom in such a line shows in the PIDs, unless they have started again from the lowest.
    mutating func moveDown() {
        var targets: [Int32: Set<Int32>] = [:]
        for process in processes where process.pid != root.pid {
            guard let session = birth[process.pid], let parent = records[process.parent], parent.session != session
            else { continue }
            targets[session, default: []].insert(parent.pid)
        }
        for (session, parents) in targets.sorted(by: { $0.key < $1.key }) where !outside.contains(session) {
            let line = parents.sorted() + (records[session] == nil ? [] : [session])
            for (above, below) in zip(line, line.dropFirst()) { moveDown(below, under: above) }
        }
        findBirths()
    }

    private mutating func moveDown(_ below: Int32, under above: Int32) {
        func line(_ pid: Int32) -> [Int32] {
            var line = [pid]
            while let next = places[line[line.count - 1]] { line.append(next) }
            return line
        }
        let belowLine = line(below)
        let aboveLine = line(above)
        if belowLine.contains(above) || aboveLine.contains(below) { return }
        let common = Set(aboveLine)
        // The uppermost that is not above both.
        if let mover = belowLine.prefix(while: { !common.contains($0) }).last { places[mover] = above }
    }

    private func refusal(_ process: ProcessRecord, _ object: String, _ why: String) -> EngineError {
        .refused(.unsupported(task: process.pid, object: object, why))
    }

    mutating func run() throws(EngineError) {
        let first = birth[root.pid] ?? 0
        if first != 0, !outside.contains(first) {
            guard records[first] == nil else { throw refusal(root, "session \(first)", "its founder is below it") }
            rootSession = first
            rebuilt.insert(first)
            founded.insert(first)
        }
        founded.formUnion(outside)
        queue = [(root, first)]
        try forkQueue()
        while !strays.isEmpty {
            var isStuck = true
            for session in Set(strays.compactMap { birth[$0.pid] }).sorted() {
                // Its founder may be a stray itself, and come in the next round.
                if records[session] != nil, !founded.contains(session) { continue }
                let members = strays.filter { birth[$0.pid] == session }
                strays.removeAll { birth[$0.pid] == session }
                try forkStrays(members, in: session)
                try forkQueue()
                isStuck = false
            }
            if isStuck, let stray = strays.first {
                throw refusal(stray, "session \(stray.session)", "the process that founded its session is not above it")
            }
        }
        for (task, target) in passing.reversed() {
            guard let creator = creators[task] else { continue }
            steps += [.adopt(target, true), .end(task, by: creator), .adopt(target, false)]
        }
        try groups()
    }

    // MARK: Sessions

    private mutating func forkQueue() throws(EngineError) {
        while !queue.isEmpty {
            let (process, session) = queue.removeFirst()
            var late: [ProcessRecord] = []
            for child in children[process.pid] ?? [] {
                let wanted = birth[child.pid]
                if wanted == nil || wanted == process.session {
                    late.append(child)
                } else if wanted == session {
                    forkBelow(child, process.pid, in: session)
                } else {
                    strays.append(child)
                }
            }
            if process.session == process.pid {
                steps.append(.newSession(process.pid))
                founded.insert(process.pid)
            }
            for child in late { forkBelow(child, process.pid, in: process.session) }
        }
    }

    private mutating func forkBelow(_ child: ProcessRecord, _ place: Int32, in session: Int32) {
        guard child.parent != place else {
            fork(child, from: place, in: session)
            return
        }
        lastPassing -= 1
        forkPassing(lastPassing, from: place, for: child.parent)
        fork(child, from: lastPassing, in: session)
    }

    private mutating func fork(_ child: ProcessRecord, from parent: Int32, in session: Int32) {
        steps.append(.fork(parent: parent, child: child.pid))
        creators[child.pid] = parent
        queue.append((child, session))
    }

    private mutating func forkPassing(_ task: Int32, from creator: Int32, for target: Int32) {
        steps.append(.fork(parent: creator, child: task))
        creators[task] = creator
        passing.append((task, target))
    }

    /// Who is above a process now.
    private func ancestors(of pid: Int32) -> [Int32] {
        var line: [Int32] = []
        var next = creators[pid]
        while let creator = next {
            line.append(creator)
            next = creators[creator]
        }
        return line
    }

    /// Forks processes that have come to parents which were never in their session.
    private mutating func forkStrays(_ members: [ProcessRecord], in session: Int32) throws(EngineError) {
        guard let first = members.first else { return }
        for member in members where sharesTables(member) {
            throw refusal(
                member, "process \(member.pid)", "it has lost its parent, and shares tables or memory with another")
        }
        if session == rootSession || outside.contains(session) {
            throw refusal(first, "session \(session)", "neither its founder is in the tree, nor was its parent in it")
        }
        guard !founded.contains(session) else {
            try forkThroughPassing(members, from: session)
            return
        }
        // The founder is gone. A passing task takes its place below the lowest of the parents.
        let lowest =
            members.map { places[$0.pid] ?? $0.parent }.max { ancestors(of: $0).count < ancestors(of: $1).count }
            ?? first.parent
        forkPassing(session, from: lowest, for: lowest)
        steps.append(.newSession(session))
        founded.insert(session)
        rebuilt.insert(session)
        for member in members where member.parent == lowest { fork(member, from: session, in: session) }
        try forkThroughPassing(members.filter { $0.parent != lowest }, from: session)
    }

    private mutating func forkThroughPassing(
        _ members: [ProcessRecord], from founder: Int32
    ) throws(EngineError) {
        let above = Set(ancestors(of: founder))
        for parent in Set(members.map(\.parent)).sorted() {
            let own = members.filter { $0.parent == parent }
            guard above.contains(parent) else {
                throw refusal(
                    own[0], "session \(founder)", "its parent \(parent) is not above the founder of its session")
            }
            for member in own where places[member.pid] != parent && !above.contains(places[member.pid] ?? parent) {
                throw refusal(member, "session \(founder)", "it cannot be forked where it was born")
            }
            lastPassing -= 1
            forkPassing(lastPassing, from: founder, for: parent)
            let task = lastPassing
            for member in own { fork(member, from: task, in: founder) }
        }
    }

    /// clone3(2) shares with the forking task, which for a stray is a passing one.
    private func sharesTables(_ process: ProcessRecord) -> Bool {
        let tables: [KeyPath<ProcessRecord, UInt32>] = [\.addressSpace, \.fileTable, \.fileSystem, \.signalTable]
        return processes.contains { other in
            other.pid != process.pid && other.parent != process.pid
                && tables.contains {
                    process[keyPath: $0] != 0 && other[keyPath: $0] == process[keyPath: $0]
                }
        }
    }

    // MARK: Groups

    private mutating func groups() throws(EngineError) {
        let members = processes.filter { $0.processGroup != $0.pid && $0.session != $0.pid }
        let wanted = Set(members.map(\.processGroup))
        var movers: Set<Int32> = []
        for process in processes where process.session != process.pid {
            if process.processGroup == process.pid {
                steps.append(.newGroup(process.pid))
            } else if wanted.contains(process.pid) {
                // It founded a group, and has gone to another.
                steps.append(.newGroup(process.pid))
                movers.insert(process.pid)
            }
        }
        var held: [Int32: Int32] = [:]
        var joins: [RelationPlan.Step] = []
        var lateJoins: [RelationPlan.Step] = []
        for process in members {
            let group = process.processGroup
            if let founder = records[group] {
                guard founder.session == process.session else {
                    throw refusal(process, "process group \(group)", "its founder is in another session")
                }
            } else {
                // A group of the outside is the one that the engine's own process is in.
                if outside.contains(process.session) { continue }
                // Whoever stays in the group of a founder of a session was born in it.
                if rebuilt.contains(group), group == process.session { continue }
                if held[group] == nil {
                    held[group] = process.pid
                    steps.append(.hold(group: group, by: process.pid))
                }
            }
            if movers.contains(process.pid) {
                lateJoins.append(.join(process.pid, group: group))
            } else {
                joins.append(.join(process.pid, group: group))
            }
        }
        steps += joins + lateJoins
        for (group, holder) in held.sorted(by: { $0.key < $1.key }) { steps.append(.drop(group: group, by: holder)) }
    }
}
