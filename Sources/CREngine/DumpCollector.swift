internal import CRImage
internal import CRModel
internal import LinuxKit

/// Gathers everything but the pages of a frozen tree into records.
///
/// Nothing is changed in the workload but for remote calls that only ask; each is undone before ``collect()`` returns or
/// throws. What has no record is refused by name.
///
/// - Precondition: All methods run on the thread that froze the tree.
final class DumpCollector {
    /// Content of an inode that the image must carry, open for reading.
    struct Content {
        var inode: UInt32
        var fd: Int32
        var sizeBytes: UInt64
    }

    /// An address space whose pages go into the image.
    struct Space {
        var number: UInt32
        var process: Int32
        var vmas: [VMAValue]
        /// Where VMAs start whose private pages all are as if never touched.
        var untouched: Set<UInt64> = []
        /// Pages that children share; they go into the image before all others.
        var early = RangeList()
        /// ``early``, and what it shares with its parent.
        var notLate = RangeList()
    }

    let tree: FrozenTree
    let wakeups: UInt64
    var contents = ImageContents()
    var contentFiles: [Content] = []
    var spaces: [Space] = []

    /// All object numbers come from one series: a page run names its target by number alone.
    private var lastNumber: UInt32 = 0

    var addressSpaces = SharedObjects(resource: .memory)
    var fileTables = SharedObjects(resource: .files)
    var fileSystems = SharedObjects(resource: .filesystem)
    var signalTables = SharedObjects(resource: .signalHandlers)

    var homeSearch = RemoteHomeSearch()
    lazy var sleepProbe = SleepProbe(tasks: tree.tasks.count)

    /// Open files met so far, by what `/proc` calls them: only those can be the same.
    var openFiles: [String: KnownFiles] = [:]
    var pipes: [FileIdentity: PipeEnds] = [:]
    var inodes: [InodeKey: UInt32] = [:]
    /// Where these stand in `contents`.
    var inodePlaces: [UInt32: Int] = [:]
    /// Type of the file system of each device.
    var fileSystemTypes: [UInt64: UInt64] = [:]
    /// By the inode number of the socket.
    var sockets: [UInt64: KnownSocket] = [:]
    /// inotify instances: index of the open file, who has it, and what the kernel says of its watches.
    var inotifies: [(file: Int, process: Int32, fd: Int32, lines: [String])] = []
    /// Index of each lock in `contents`.
    var locks: [LockKey: Int] = [:]
    /// Names that the dump gave to files; see `removeNames()`.
    var temporaryNames: [String] = []
    /// Mapped rings, by the inode number of the socket.
    var packetRings: [UInt64: (number: UInt32, process: Int32, object: String)] = [:]
    /// In the order of `contents.unixSockets`.
    var unixSockets: [(inode: UInt64, socket: KnownSocket, type: UInt32)] = []
    /// The engine's own duplicates of descriptors that travel in messages.
    var inFlight: [Int32] = []
    let network: DumpNetwork
    /// sk_shutdown by socket, as far as it was asked for: by family and protocol.
    var shutdowns: [Int32: [UInt64: UInt32]] = [:]
    /// TCP sockets with keys, by family.
    var signedSockets: [UInt32: Set<UInt64>] = [:]
    var multicastGroups: [InetProbes.Group]?
    /// Whether the workload goes on after the dump: then nothing may be taken from it.
    let keepsRunning: Bool
    var epolls: [(file: Int, process: Int32, fd: Int32, targets: [DescriptorInfo.EpollTarget])] = []
    /// Where each process sees `/`.
    var roots: [Int32: String] = [:]
    var terminals: [KnownTerminal] = []
    /// Duplicates of terminals' descriptors, closed at the end.
    var terminalCopies: [Int32] = []
    /// Sessions that no process of the tree founded, and whether others are in them.
    var outsideSessions: [Int32: Bool] = [:]
    /// Stopped processes whose parents know it already.
    var reportedStops: Set<Int32> = []
    var namespaceBook = NamespaceBook()
    /// Namespaces of each process, found before any of them is asked anything.
    var processNamespaces: [Int32: ProcessRecord] = [:]
    var awayPeers: [AwayPeer] = []
    /// Bytes of carried files that stand in records.
    var inlineSum: UInt64 = 0
    private var visit: Namespaces.Visit?
    private var mappingsAhead: MappingsAhead?
    var cgroupBook = CgroupBook()
    /// What `--external` declared: `mnt[/dev]`, `file[/dev/ttyS0]`, `unix[/run/systemd/notify]` to its name.
    var externals: [String: String] = [:]
    /// Outer TID to the TID in the workload's PID namespace.
    var innerTids: [Int32: Int32] = [:]
    /// Threads with a descriptor table that is not their process's.
    var partedTables: Set<Int32> = []
    /// Tasks that stand for processes whose first task has ended.
    private var owners: [Int32: Int32] = [:]
    /// The process of each task that is not its first one.
    private(set) var processes: [Int32: Int32] = [:]
    /// IDs of the mounts of each mount namespace of the tree.
    var mountIDs: [UInt32: Set<Int>] = [:]
    /// Root directories of mount namespaces, for what a chroot hides; see ``visible(_:from:)``.
    var mountRoots: [UInt32: Int32] = [:]
    /// `/proc/TID/status` of frozen tasks, where nothing changes any more but pending signals.
    private var statuses: [Int32: TaskStatus] = [:]
    private(set) var ahead = TasksAhead()

    /// A list that is changed in place, in the kernel's own order.
    final class KnownFiles {
        var files: [KnownFile] = []
    }

    struct KnownFile {
        var process: Int32
        var fd: Int32
        var number: UInt32
        var inode: UInt64
    }

    struct InodeKey: Hashable {
        var identity: FileIdentity
        /// Hard links are one file with several paths; nameless files have one entry.
        var path: String
    }

    struct PipeEnds {
        var number: UInt32
        var index: Int
        var reader: (process: Int32, fd: Int32)?
        var writer: (process: Int32, fd: Int32)?
        var any: (process: Int32, fd: Int32)
        var isPacket = false
        var isNamed = false
    }

    init(
        tree: FrozenTree, wakeups: UInt64, tcp: TCPConnections = .keep, keepsRunning: Bool = false,
        gate: ConnectionGate = ConnectionGate()
    ) {
        self.tree = tree
        self.keepsRunning = keepsRunning
        network = DumpNetwork(tcp, gate)
        self.wakeups = wakeups
    }

    func newNumber() -> UInt32 {
        lastNumber += 1
        return lastNumber
    }

    /// Ends the dump early when a signal asked for it.
    func checkInterruption() throws(EngineError) {
        if let error = FrozenTree.interruption(wakeups) { throw error }
    }

    func refuse(_ task: Int32?, _ object: String, _ why: String) -> EngineError {
        .refused(.unsupported(task: task, object: object, why))
    }

    /// Closes what was kept open for its content.
    func close() {
        mappingsAhead?.stop()
        visit?.end()
        visit = nil
        for fd in mountRoots.values where fd >= 0 { Files.close(fd) }
        mountRoots = [:]
        for fd in terminalCopies { Files.close(fd) }
        terminalCopies = []
        for content in contentFiles { Files.close(content.fd) }
        contentFiles = []
        network.close()
        for socket in sockets.values { Files.close(socket.copy) }
        sockets = [:]
        for fd in inFlight { Files.close(fd) }
        inFlight = []
    }

    /// Fills ``contents``.
    func collect() throws(EngineError) {
        ahead = try TasksAhead(tree)
        try beginNamespaces()
        for process in tree.processes {
            if !process.isZombie { statuses[process.subject] = process.status }
            innerTids[process.pid] = try levels(process.status.namespaceProcesses, process.pid).pid
            for task in process.tasks where task != process.pid {
                if task == process.subject { owners[task] = process.pid }
                processes[task] = process.pid
                let status = try status(of: task)
                innerTids[task] = try levels(status.namespaceTids, task).pid
            }
        }
        try checkSupported()
        for process in tree.processes {
            try checkInterruption()
            var record = ProcessRecord()
            try collectNamespaces(process, &record)
            processNamespaces[process.pid] = record
        }
        try resolvePeers()
        // From here on the engine sees the sockets and IPC objects of the tree.
        let flags = Namespaces.Flag.network | Namespaces.Flag.ipc | Namespaces.Flag.uts
        if let root = tree.processes.first?.subject {
            visit = try EngineError.wrap("enter the tree's namespaces", task: root) { () throws(LinuxError) in
                try Namespaces.Visit(root, flags)
            }
        }
        // No mount namespace is visited any more, which takes a process of one thread.
        mappingsAhead = MappingsAhead(
            tree.processes.filter { !$0.isZombie && !ahead.knowsMappings(of: $0.subject) }.map(\.subject))
        for process in tree.processes {
            try checkInterruption()
            try collect(process)
        }
        mappingsAhead?.stop()
        try collectUnixSockets()
        try resolvePacketRings()
        try collectTerminals()
        try collectSystemV()
        try collectMessageQueues()
        try resolveEpolls()
        try resolveWatches()
        try collectPipes()
        try checkDeathSignals()
        if let root = tree.processes.first?.subject {
            let living = tree.processes.filter { !$0.isZombie }.map(\.pid)
            try network.collect(&contents, root: root, processes: living)
        }
    }

    /// What the kernel said of a task when it was first asked.
    func status(of task: Int32) throws(EngineError) -> TaskStatus {
        if let known = statuses[task] ?? ahead[task]?.status { return known }
        let status = try EngineError.wrap("read the status", task: task) { () throws(LinuxError) in
            try Procfs.status(task)
        }
        statuses[task] = status
        return status
    }

    func inner(_ tid: Int32) -> Int32 { innerTids[tid] ?? tid }

    /// The process that a task was asked about (``FrozenTree/Process/subject``).
    func owner(of task: Int32) -> Int32 { owners[task] ?? task }

    func subject(of process: Int32) -> Int32 { tree.processes.first { $0.pid == process }?.subject ?? process }

    private func collect(_ process: FrozenTree.Process) throws(EngineError) {
        let pid = process.pid
        var record = ProcessRecord()
        record.pid = inner(pid)
        let isRoot = pid == tree.processes.first?.pid
        record.parent = isRoot ? 0 : inner(process.parent)
        record.processGroup = try levels(process.status.namespaceGroups, pid).pid
        record.session = try levels(process.status.namespaceSessions, pid).pid
        record.sessionIsOutside = record.session == 0 || sessionIsOutside(process)
        record.innerPids = try levels(process.status.namespaceProcesses, pid).inner
        let known = processNamespaces[pid]
        record.namespaces = known?.namespaces ?? []
        record.childNamespaces = known?.childNamespaces ?? []
        record.exitSignal = process.stat.exitSignal
        if process.isZombie {
            record.isZombie = true
            record.exitStatus = process.stat.exitCode
            record.zombieUser = process.status.uids.first ?? 0
            record.comm = process.stat.comm
            contents.processes.append(record)
            return
        }
        let threadCgroups = try collectCgroups(process, &record)
        record.stopSignal = process.groupStopSignal
        record.stopIsReported = reportedStops.contains(pid)
        record.limits = try EngineError.wrap("read the limits", task: pid) { () throws(LinuxError) in
            try Limits.all(of: pid)
        }.map { LimitValue(soft: $0.soft, hard: $0.hard) }
        let subject = process.subject
        record.pendingSignals = try EngineError.wrap("read pending signals", task: pid) { () throws(LinuxError) in
            try Ptrace.pendingSiginfo(subject, shared: true)
        }
        if let text = try? Files.text(of: "/proc/\(subject)/oom_score_adj"),
            let value = Int32(text.filter { $0 != "\n" })
        {
            record.oomScoreAdjustment = value
        }
        roots[subject] = try EngineError.wrap("read the root directory", task: pid) { () throws(LinuxError) in
            try Files.link("/proc/\(subject)/root")
        }

        let memory = try addressSpaces.find(subject) { newNumber() }
        let table = try fileTables.find(subject) { newNumber() }
        let system = try fileSystems.find(subject) { newNumber() }
        let signals = try signalTables.find(subject) { newNumber() }
        record.addressSpace = memory.number
        record.fileTable = table.number
        record.fileSystem = system.number
        record.signalTable = signals.number

        // The mappings first: the scratch memory of the remote calls must not be among them.
        let mappings = try EngineError.wrap("read the mappings", task: pid) { () throws(LinuxError) in
            if let known = ahead.takeMappings(of: subject) { return known }
            if let known = try mappingsAhead?.next(subject) { return known }
            return try Procfs.mappings(subject)
        }
        var space = AddressSpaceRecord()
        if memory.isNew { space = try collectMemory(process, number: memory.number, mappings) }
        if table.isNew { try collectDescriptors(of: subject, number: table.number) }
        if system.isNew { try collectFileSystem(of: subject, umask: process.status.umask, number: system.number) }
        // Threads may have parted from their process; CLONE_FILES and CLONE_FS are what keeps them together.
        var own: [Int32: (table: UInt32, system: UInt32)] = [:]
        for task in process.tasks.dropFirst() {
            let tableIsShared = !partedTables.contains(task)
            let systemIsShared = try EngineError.wrap("compare with task \(subject)", task: task) {
                () throws(LinuxError) in
                if ahead[task]?.sharesFileSystem == true { return true }
                return try Kcmp.same(.filesystem, subject, task)
            }
            if tableIsShared, systemIsShared { continue }
            let ownTable = tableIsShared ? table.number : try parted(tableOf: task)
            let ownSystem = systemIsShared ? system.number : try parted(systemOf: task)
            own[inner(task)] = (
                ownTable == table.number ? 0 : ownTable, ownSystem == system.number ? 0 : ownSystem
            )
        }
        let firstTask = contents.tasks.count
        try collectTasks(
            process, mappings, record: &record, space: &space, signalTable: signals.isNew ? signals.number : nil)
        for index in contents.tasks.indices[firstTask...] {
            contents.tasks[index].cgroups = threadCgroups[contents.tasks[index].tid] ?? []
            guard let parted = own[contents.tasks[index].tid] else { continue }
            (contents.tasks[index].fileTable, contents.tasks[index].fileSystem) = parted
        }
        if memory.isNew { contents.addressSpaces.append(space) }
        contents.processes.append(record)
    }

    private func parted(tableOf task: Int32) throws(EngineError) -> UInt32 {
        let own = try fileTables.find(task) { newNumber() }
        if own.isNew { try collectDescriptors(of: task, number: own.number) }
        return own.number
    }

    private func parted(systemOf task: Int32) throws(EngineError) -> UInt32 {
        let own = try fileSystems.find(task) { newNumber() }
        if own.isNew { try collectFileSystem(of: task, umask: status(of: task).umask, number: own.number) }
        return own.number
    }

    private func collectFileSystem(of pid: Int32, umask: UInt32, number: UInt32) throws(EngineError) {
        var record = FileSystemRecord()
        record.number = number
        record.umask = umask
        (record.root, record.workingDirectory) = try EngineError.wrap("read the working directory", task: pid) {
            () throws(LinuxError) in (try Files.link("/proc/\(pid)/root"), try Files.link("/proc/\(pid)/cwd"))
        }
        roots[pid] = record.root
        for path in [record.root, record.workingDirectory] {
            if path.hasPrefix("(unreachable)") {
                throw refuse(pid, "directory \(path)", "its working or root directory is not there any more")
            }
            try checkText(path, pid)
        }
        func needsFile(_ path: String) -> Bool {
            path.hasSuffix(" (deleted)") || declaredName(path) != nil
                || path.hasPrefix("/proc/") && path.dropFirst(6).first?.isNumber == true
        }
        if needsFile(record.root) {
            record.rootFile = try folderFile(
                record.root, openAt: "/proc/\(pid)/root", process: pid, object: "root directory")
            record.root = "/"
        }
        if record.rootFile != 0 || needsFile(record.workingDirectory) {
            record.workingDirectoryFile = try folderFile(
                record.workingDirectory, openAt: "/proc/\(pid)/cwd", process: pid, object: "working directory")
            record.workingDirectory = "/"
        }
        contents.fileSystems.append(record)
    }

    /// Names that are no UTF-8 cannot be written down as text.
    func checkText(_ path: String, _ process: Int32) throws(EngineError) {
        if path.unicodeScalars.contains("\u{fffd}") {
            throw refuse(process, "path \(path)", "its name is not valid UTF-8")
        }
    }
}

/// Tables that several processes may share, told apart by kcmp(2).
struct SharedObjects {
    let resource: Kcmp.Resource
    /// In the kernel's own order, so that each newcomer is found by halving.
    private var known: [(task: Int32, number: UInt32)] = []

    init(resource: Kcmp.Resource) { self.resource = resource }

    /// The number of the task's table, a new one when nobody before had it.
    mutating func find(
        _ task: Int32, _ newNumber: () -> UInt32
    ) throws(EngineError) -> (number: UInt32, isNew: Bool) {
        var low = 0
        var high = known.count
        while low < high {
            let middle = (low + high) / 2
            let other = known[middle].task
            let resource = resource
            let order = try EngineError.wrap("compare with task \(other)", task: task) { () throws(LinuxError) in
                try Kcmp.order(resource, task, 0, other, 0)
            }
            if order == 0 { return (known[middle].number, false) }
            if order == 1 { high = middle } else { low = middle + 1 }
        }
        let number = newNumber()
        known.insert((task, number), at: low)
        return (number, true)
    }
}
