public import CRImage
internal import CRModel
internal import LinuxKit

/// Restores task trees.
public enum Restore {
    /// Reads the image from `input`, checks this host, builds the tree and lets it run.
    ///
    /// On any failure every task that was created is killed; files of the user are left alone. All of it happens on the
    /// calling thread, which stays the parent of the root process.
    ///
    /// - Parameters:
    ///   - input: Open for reading at the image's start. A file is verified whole before the first task is created; from
    ///     a pipe each block is verified before it is used, and no task runs before the end was seen.
    ///   - place: The input's name for errors.
    /// - Precondition: SIGCHLD and the signals in `options.wakeups` are blocked in the calling thread.
    /// - Throws: `EngineError.refused` when this host cannot take the image; `busy` when a PID is in use.
    public static func run(
        _ options: RestoreOptions, from input: Int32, place: String
    ) throws(EngineError) -> RestoredTree {
        let session = RestoreSession(options, input: input, place: place)
        return try session.run()
    }

    /// What a check of an image and this host has found.
    public struct Findings: Sendable {
        /// Every reason for which this host cannot take the image.
        public var refusals: [Refusal]
        /// What could not be given back exactly, as far as can be told beforehand.
        public var notes: [String]
    }

    /// Reads the whole image and checks this host, and creates nothing.
    ///
    /// - Throws: For an image that cannot be read; `busy` for a PID in use when nothing else stands in the way.
    public static func check(
        _ options: RestoreOptions, from input: Int32, place: String
    ) throws(EngineError) -> Findings {
        let session = RestoreSession(options, input: input, place: place)
        return try session.check()
    }

    /// Sends a signal to the restored tree's root.
    public static func forward(_ signal: Int32, to tree: RestoredTree) { try? Signals.send(signal, to: tree.pid) }
}

/// One restore from start to end.
final class RestoreSession {
    private let options: RestoreOptions
    private let input: Int32
    private let place: String
    private var notes: [String] = []
    private var phases: [(phase: String, value: Double)] = []
    private var phaseStart = MonotonicClock.nanoseconds()

    init(_ options: RestoreOptions, input: Int32, place: String) {
        self.options = options
        self.input = input
        self.place = place
    }

    private func end(_ phase: String) {
        let now = MonotonicClock.nanoseconds()
        phases.append((phase, Double(now - phaseStart) / 1e6))
        phaseStart = now
    }

    func check() throws(EngineError) -> Restore.Findings {
        let image = try RestoreImage(input, place, wakeups: options.wakeups)
        // A file has been read to its end.
        if !image.isVerified { try image.takeRest(PageUse { _, _ in }) }
        var preflight = RestorePreflight(image.contents, options)
        let refusals = try preflight.collect()
        return Restore.Findings(refusals: refusals, notes: preflight.notes)
    }

    func run() throws(EngineError) -> RestoredTree {
        let image = try RestoreImage(input, place, wakeups: options.wakeups)
        let contents = image.contents
        end("read")
        try FaultPoint.restoreRead.reach()
        var preflight = RestorePreflight(contents, options)
        try preflight.check()
        notes += preflight.notes
        let plan = try RelationPlan(contents)
        end("check")
        let files = RestoreFiles(contents, tcp: options.tcp)
        defer { files.close() }
        let namespaces = RestoreNamespaces(contents, options)
        defer { namespaces.leave() }
        let tree = try RestoreTree(contents, wakeups: options.wakeups, newPidNamespace: options.newPidNamespace)
        do throws(EngineError) {
            try files.openExternals(options.externals)
            let root = try tree.createRoot(plan)
            try RestoreTime.enter(root, contents.header)
            try namespaces.begin(root)
            end("namespaces")
            // From here on the engine sees the workload's files and networks.
            try namespaces.enter(root)
            preflight.carried = namespaces.carriedFiles
            try preflight.checkFilesInside()
            try files.open()
            files.content = { namespaces.contentFile($0) }
            end("files")
            try FaultPoint.restoreFiles.reach()
            // CLONE_FILES
            try root.call(.unshare, [0x400], doing: "have descriptors of its own")
            try files.keepWriters(from: root)
            try build(tree, plan, files, namespaces, contents, image)
        } catch {
            tree.destroy()
            throw error
        }
        let pid = tree.outer(contents.header.root)
        return RestoredTree(
            pid: pid, waitPid: tree.namespaceInit?.outer ?? pid,
            taskCount: contents.tasks.count - contents.processes.count(where: \.leaderHasEnded), pageCount: pageCount,
            imageBytes: image.byteCount, milliseconds: phases, notes: notes + files.notes + namespaces.notes)
    }

    private var pageCount: UInt64 = 0
    /// Address spaces whose own vDSO forwards to this kernel's, which stays where it was parked.
    private var keepsParkedVdso: Set<UInt32> = []
    /// How many processes of an address space have yet to be armed.
    private var sharers: [UInt32: Int] = [:]

    private func build(
        _ tree: RestoreTree, _ plan: RelationPlan, _ files: RestoreFiles, _ namespaces: RestoreNamespaces,
        _ contents: ImageContents, _ image: RestoreImage
    ) throws(EngineError) {
        tree.terminals = files.terminals
        var spaces: RestoreSpaces?
        try tree.create(plan, namespaces) { (root) throws(EngineError) in
            try files.connectSockets(root, tree)
            let made = RestoreSpaces(contents, plan, tree, files)
            try made.build(root)
            spaces = made
        } beforeFork: { () throws(EngineError) in
            if let spaces { try fillEarly(tree, spaces, image) }
        } born: { (stub) throws(EngineError) in
            try spaces?.build(stub)
        }
        guard let spaces else { throw .image("processes", why: "the root is missing") }
        keepsParkedVdso = Set(
            contents.addressSpaces.filter { space in
                space.vmas.contains { $0.kind == .vdso } && !spaces.vdso.canMove(space.number)
            }.map(\.number))
        try files.terminals.finishSessions(tree)
        end("tasks")
        try FaultPoint.restoreTasks.reach()
        let live = contents.processes.filter { !$0.isZombie }
        end("memory")
        try tree.settle()
        try fillPages(spaces, image)
        files.finishPrograms()
        for record in live {
            try spaces.finish(record)
        }
        try files.systemV.touch { tree.processes[$0 == 0 ? contents.header.root : $0] }
        try files.systemV.promise { tree.processes[$0] }
        try files.seal()
        try namespaces.finish()
        notes += spaces.notes
        end("pages")
        try FaultPoint.restorePages.reach()
        try tree.endZombies()
        // Before signal actions and pending signals are set: ends and stops of children are reported to the stubs.
        notes += try tree.stopProcesses(contents)
        let tasks = Dictionary(grouping: contents.tasks, by: \.process)
        for record in live {
            if let stub = tree.processes[record.pid] {
                let state = RestoreProcessState(stub: stub, state: record.state)
                notes += try state.identify() + state.apply()
                notes += state.tell(coreDumpFilter: tree.records.addressSpaces[record.addressSpace]?.coreDumpFilter)
            }
            try tree.createThreads(of: record.pid, tasks[record.pid] ?? [])
            for task in tasks[record.pid] ?? [] {
                if let thread = tree.threads[task.tid] { try namespaces.join(thread, task) }
            }
            // Threads must be in the namespaces of their process, those for children included.
            if let stub = tree.processes[record.pid] { try namespaces.setChildNamespaces(stub) }
        }
        try giveFiles(tree, files, live, tasks, contents)
        try tree.settle()
        end("descriptors")
        try FaultPoint.restoreDescriptors.reach()
        var rights: StubRights?
        let layouts = (
            source: RestorePreflight.sourceLayout(contents.header), destination: RestorePreflight.destinationLayout()
        )
        // In user namespaces of their own they have others.
        let sharesRights = !contents.namespaces.contains { $0.kind == .user }
        for record in live {
            guard let stub = tree.processes[record.pid] else { continue }
            let own: StubRights
            if let rights, sharesRights { own = rights } else { own = try StubRights(of: stub) }
            rights = own
            try setUp(tree, stub, record, tasks[record.pid] ?? [], contents, own, layouts)
        }
        try tree.settle()
        end("state")
        try FaultPoint.restoreState.reach()
        try letGo(tree, files, live, tasks, contents)
        end("resume")
    }

    /// Folders, descriptor tables and locks.
    private func giveFiles(
        _ tree: RestoreTree, _ files: RestoreFiles, _ live: [ProcessRecord], _ tasks: [Int32: [TaskRecord]],
        _ contents: ImageContents
    ) throws(EngineError) {
        var owners: [RestoreProcess] = []
        for record in live {
            guard let stub = tree.processes[record.pid] else { continue }
            owners.append(RestoreProcess(stub: stub, record: record, records: tree.records))
            for task in tasks[record.pid] ?? [] where (task.fileTable | task.fileSystem) != 0 {
                guard let thread = tree.threads[task.tid] else { continue }
                var own = record
                if task.fileTable != 0 { own.fileTable = task.fileTable }
                if task.fileSystem != 0 { own.fileSystem = task.fileSystem }
                owners.append(RestoreProcess(stub: thread, record: own, records: tree.records))
            }
        }
        try files.openTaskFiles(tree) { (file) throws(EngineError) in
            // The folder of a task that has ended can only be entered while there is one.
            for owner in owners { try owner.enterPassing(file, files) }
        }
        try files.finishSockets { tree.outer($0) }
        if let root = tree.processes[contents.header.root] {
            for file in contents.openFiles where !file.epollTargets.isEmpty {
                let keeper = owners.first { $0.has(file.number) }?.stub ?? root
                try files.deliver(file.epollTargets.map(\.openFile), to: keeper)
                try watch(file, keeper, files)
            }
        }
        // Who shares a table with somebody needs its descriptors for the folders first.
        var entered: Set<UInt32> = []
        for owner in owners where entered.insert(owner.record.fileSystem).inserted { try owner.enterFolders(files) }
        var filled: Set<UInt32> = []
        for owner in owners where filled.insert(owner.record.fileTable).inserted {
            let table = tree.records.fileTables[owner.record.fileTable]
            try files.deliver(table?.entries.map(\.openFile) ?? [], to: owner.stub)
            try owner.fillTable(files)
        }
        if !contents.fileLocks.isEmpty {
            // A lease is not given while the engine has the file open for itself.
            files.closeInodes()
            try RestoreLocks(contents: contents, tree: tree, files: files).set()
        }
    }

    /// Builds what an epoll instance watches. Every number is free in a stub, and the kernel keeps a watch as long as any
    /// descriptor of the watched file is open.
    ///
    /// - Parameter keeper: The first process that has the instance: a signalfd wakes those who wait for it by the signals
    ///   of the process that added the watch.
    private func watch(_ file: OpenFileRecord, _ keeper: RestoreStub, _ files: RestoreFiles) throws(EngineError) {
        guard let epoll = files.openFiles[file.number] else { return }
        for target in file.epollTargets {
            guard let watched = files.openFiles[target.openFile] else { continue }
            let fd = RestoreStub.word(target.fd)
            // struct epoll_event is packed: events, then data.
            let event = try keeper.hold(words: [UInt64(target.events) | target.data << 32, target.data >> 32])
            if watched != target.fd {
                try keeper.later(.dup3, [UInt64(watched), fd, 0], doing: "place fd \(target.fd) for epoll")
            }
            try keeper.later(.epoll_ctl, [UInt64(epoll), 1, fd, event], doing: "watch fd \(target.fd) by epoll")
        }
        try keeper.flush()
    }

    /// Fills in what children inherit, as far as its owners are there.
    private func fillEarly(
        _ tree: RestoreTree, _ spaces: RestoreSpaces, _ image: RestoreImage
    ) throws(EngineError) {
        while let run = try image.next(), run.isInherited, spaces.isBuilt(run.target) {
            // Its memory must be mapped.
            try tree.settle()
            let targets = spaces.pages.targets([run.target])
            try image.take(PageUse { (run, bytes) throws(EngineError) in try targets.put(run, bytes) })
        }
    }

    private func fillPages(_ spaces: RestoreSpaces, _ image: RestoreImage) throws(EngineError) {
        let targets = spaces.pages.targets()
        defer { targets.endFaults() }
        if image.isLarge { try spaces.pages.beginFaults(targets) }
        try image.takeRest(PageUse { (run, bytes) throws(EngineError) in try targets.put(run, bytes) })
        pageCount = spaces.pages.pageCount
    }

    private func setUp(
        _ tree: RestoreTree, _ stub: RestoreStub, _ record: ProcessRecord, _ records: [TaskRecord],
        _ contents: ImageContents, _ own: StubRights,
        _ layouts: (source: XstateTranslation.Layout, destination: XstateTranslation.Layout)
    ) throws(EngineError) {
        var process = RestoreProcess(stub: stub, record: record, records: tree.records)
        var tasks: [RestoreTask] = []
        for task in records {
            guard let taskStub = tree.processes[task.tid] ?? tree.threads[task.tid] else { continue }
            tasks.append(
                RestoreTask(stub: taskStub, record: task, source: layouts.source, destination: layouts.destination))
        }
        let alive = tasks.indices.filter { tasks[$0].record.tid != record.pid || !record.leaderHasEnded }
        for index in alive {
            try tasks[index].setUp(from: own)
            // The first one has more to do.
            if tasks[index].stub !== stub { try tasks[index].stub.launch() }
        }
        try process.setActions(inherited: own.status.caughtSignals | own.status.ignoredSignals)
        try process.queueSignals()
        try process.createTimers { tree.threads[$0] ?? stub }
        try process.setLimits()
        for index in tasks.indices { try tasks[index].queueSignals() }
        let filtered = alive.map { (tasks[$0].stub, tasks[$0].record) }
        try RestoreSeccomp(filtered, contents, beside: record.leaderHasEnded ? stub : nil).install()
        for index in tasks.indices {
            try tasks[index].dropRights(from: own) { id, isGroup in tree.inside(id, record.pid, isGroup: isGroup) }
            if tasks[index].stub !== stub { try tasks[index].stub.launch() }
        }
        if let space = tree.records.addressSpaces[record.addressSpace] {
            try setDumpable(stub, space)
        }
        notes += try RestoreProcessState(stub: stub, state: record.state).deny()
        try stub.launch()
        for index in alive { tasks[index].prepareRegisters() }
        notes += process.notes + tasks.flatMap(\.notes)
    }

    private func setDumpable(_ stub: RestoreStub, _ space: AddressSpaceRecord) throws(EngineError) {
        // 2 (suid_dumpable) can only come from the kernel; 0 is as strict.
        try stub.later(.prctl, [4, space.dumpable == 1 ? 1 : 0], doing: "set whether it may be dumped")
        if space.hugePagesDisabled {
            // PR_THP_DISABLE_EXCEPT_ADVISED, since 6.18
            let isDone = space.hugePagesIfAdvised ? try stub.attempt(.prctl, [41, 1, 2, 0, 0]) == nil : false
            if !isDone {
                try stub.later(.prctl, [41, 1, 0, 0, 0], doing: "disable huge pages")
            }
        }
    }

    /// Starts a process's timers, takes the engine's pages away, and leaves its tasks ready to be detached.
    private func arm(
        _ tree: RestoreTree, _ record: ProcessRecord, _ tasks: [TaskRecord]
    ) throws(EngineError) {
        guard let stub = tree.processes[record.pid] else { return }
        let sleeps = Dictionary(
            tasks.filter { $0.state.sleepNanoseconds != 0 }.map { ($0.tid, $0) },
            uniquingKeysWith: { first, _ in first })
        let threads = tasks.compactMap { tree.threads[$0.tid] }
        let last = record.leaderHasEnded ? threads.first ?? stub : stub
        for thread in threads where thread !== last {
            if let task = sleeps[thread.tid] { try RestoreSleep(stub: thread, record: task).begin() }
            try thread.remote.park()
        }
        try RestoreProcess(stub: stub, record: record, records: tree.records).startTimers()
        if record.leaderHasEnded { try tree.endLeader(stub, status: record.exitStatus) }
        // The code page goes with the call that it makes: the task is stopped before it would return there.
        let keepsVdso = keepsParkedVdso.contains(record.addressSpace)
        // With shared memory it is the last process that takes them away.
        if let others = sharers[record.addressSpace], others > 1 {
            sharers[record.addressSpace] = others - 1
        } else {
            let answer = try last.remote.callLast(
                .munmap, [tree.area.start, keepsVdso ? RestoreStub.Area.pagesBytes : RestoreStub.Area.sizeBytes])
            if let errno = Kernel.errno(of: answer) {
                throw .remote(call: "munmap", task: last.tid, errno, doing: "unmap the engine's pages")
            }
        }
        if let task = sleeps[last.tid] { try RestoreSleep(stub: last, record: task).begin() }
        try last.remote.park()
    }

    /// Lets the stopped processes fall back into their stop, and waits until they stand: nobody runs before.
    private func letStand(_ tree: RestoreTree, _ pids: Set<Int32>, _ contents: ImageContents) throws(EngineError) {
        let ended = Set(contents.processes.filter(\.leaderHasEnded).map(\.pid))
        let tasks = contents.tasks.filter { pids.contains($0.process) && !ended.contains($0.tid) }
            .map { tree.outer($0.tid) }
        try EngineError.wrap("let the stopped processes stand") { () throws(LinuxError) in
            for task in tasks { try Ptrace.detach(task) }
            let deadline = Deadline(seconds: 10)
            while try !Self.areStopped(tasks) {
                if deadline.remainingNanoseconds == 0 {
                    throw .deadline("the stopped processes to stand", seconds: deadline.seconds)
                }
                // Nobody tells a process that is not the parent; SIGCHLD of others only makes it look sooner.
                _ = Signals.take(Signals.mask([Signals.child]), timeoutNanoseconds: 1_000_000)
            }
        }
    }

    private static func areStopped(_ tasks: [Int32]) throws(LinuxError) -> Bool {
        for task in tasks where try Procfs.stat(task).state != "T" { return false }
        return true
    }

    /// A child that makes sure of all or nothing should the engine be killed from now on: until it is told that all tasks
    /// survive the engine it ends those that do, and connections without a word to their peers, so that the image can be
    /// restored again; later it does the rest.
    ///
    /// - Returns: `nil` for a single process with nothing that could be left half done.
    private func keep(
        _ tree: RestoreTree, _ files: RestoreFiles, _ live: [ProcessRecord]
    ) throws(EngineError) -> Keeper? {
        let last = files.lastDescriptors
        guard
            live.count > 1 || !files.isConclusionEmpty || !last.connections.isEmpty || tree.namespaceInit != nil
        else { return nil }
        let pids = live.map { tree.outer($0.pid) } + (tree.namespaceInit.map { [$0.outer] } ?? [])
        return try EngineError.wrap("guard the restored tree") { () throws(LinuxError) in
            try Keeper(keeping: last.connections + last.others, processes: pids) { isCommitted, kill in
                if isCommitted { return files.conclude() }
                kill()
                for fd in last.connections { try? ConnectionReader.enterRepair(fd) }
            }
        }
    }

    /// The point of no return: timers start, the engine's pages go, all tasks run.
    private func letGo(
        _ tree: RestoreTree, _ files: RestoreFiles, _ live: [ProcessRecord], _ tasks: [Int32: [TaskRecord]],
        _ contents: ImageContents
    ) throws(EngineError) {
        let stopped = Set(live.filter { $0.stopSignal != 0 }.map(\.pid))
        for record in live { sharers[record.addressSpace, default: 0] += 1 }
        for record in live { try arm(tree, record, tasks[record.pid] ?? []) }
        try files.arm { tree.outer($0) }
        let keeper = try keep(tree, files, live)
        defer { keeper?.dismiss() }
        if let first = tree.namespaceInit {
            try RestoreInit.start(first, root: contents.header.root, detach: options.detach)
        }
        try FaultPoint.restoreArmed.reach()
        files.wakeConnections()
        files.systemV.commit()
        let last = files.lastDescriptors
        files.closeMost(but: files.inotifies.union(files.watchedInodes).union(last.connections))
        try files.watch()
        try FaultPoint.restoreAwake.reach()
        // From here on the tasks survive the engine: whoever is not detached yet is let go with its end.
        for task in contents.tasks.reversed() { try? Ptrace.setOptions(tree.outer(task.tid), []) }
        keeper?.commit()
        try FaultPoint.restoreReleased.reach()
        files.conclude()
        files.close()
        try letStand(tree, stopped, contents)
        tree.namespaces?.freeze()
        for task in contents.tasks.reversed() where !stopped.contains(task.process) {
            // An error means that the task has been killed meanwhile.
            try? Ptrace.detach(tree.outer(task.tid))
        }
    }
}

extension EngineError {
    /// An image that cannot be read, without advice: `image` has its own.
    public static func unreadable(_ place: String, _ error: ImageError) -> EngineError {
        let reason = error.explanation
        return .image(
            place, why: reason.what + (reason.place.isEmpty ? "" : " (\(reason.place))") + ": " + reason.why)
    }
}
