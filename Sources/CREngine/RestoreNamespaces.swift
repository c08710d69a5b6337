internal import CRImage
internal import CRModel
internal import LinuxKit

/// Makes the namespaces of the image and puts stubs into them.
///
/// A stub makes its namespaces itself, so that they belong to the right user namespace; the engine fills them from
/// outside. Stubs inherit at their birth what their parent is in at that moment.
final class RestoreNamespaces {
    private static let flags: [NamespaceKind: (flag: UInt64, name: String)] = [
        .user: (Namespaces.Flag.user, "user"), .mount: (Namespaces.Flag.mount, "mnt"),
        .network: (Namespaces.Flag.network, "net"), .uts: (Namespaces.Flag.uts, "uts"),
        .ipc: (Namespaces.Flag.ipc, "ipc"), .time: (Namespaces.Flag.time, "time"),
        .cgroup: (Namespaces.Flag.cgroup, "cgroup"), .pid: (Namespaces.Flag.pid, "pid"),
    ]
    /// What a stub is in, in the order in which it is entered.
    private static let order: [NamespaceKind] = [.network, .ipc, .uts, .cgroup, .time, .mount]

    private let contents: ImageContents
    private let options: RestoreOptions
    private let records: [UInt32: NamespaceRecord]
    private let processRecords: [Int32: ProcessRecord]
    /// Namespaces that exist by now, and one stub that is in each.
    private(set) var holders: [UInt32: RestoreStub] = [:]
    /// Process to the numbers of the namespaces that its stub is in.
    private var current: [Int32: [NamespaceKind: UInt32]] = [:]
    private var visit: Namespaces.Visit?
    private var trees: [RestoreMounts] = []
    private let cgroups: RestoreCgroups
    private var enginePidfd: Int32 = -1
    private(set) var notes: [String] = []

    init(_ contents: ImageContents, _ options: RestoreOptions) {
        self.contents = contents
        self.options = options
        records = Dictionary(contents.namespaces.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        processRecords = Dictionary(contents.processes.map { ($0.pid, $0) }, uniquingKeysWith: { first, _ in first })
        cgroups = RestoreCgroups(contents)
    }

    /// Whether the root process comes with a namespace of this kind.
    static func rootRecord(_ contents: ImageContents, _ kind: NamespaceKind) -> NamespaceRecord? {
        guard let root = contents.processes.first(where: { $0.pid == contents.header.root }) else { return nil }
        return contents.namespaces.first { $0.kind == kind && root.namespaces.contains($0.number) }
    }

    private func wanted(_ pid: Int32, _ kind: NamespaceKind) -> UInt32 {
        (processRecords[pid]?.namespaces ?? []).first { records[$0]?.kind == kind } ?? 0
    }

    // MARK: Creating

    /// What clone3(2) must make at the birth of the root's stub.
    static func birthFlags(_ contents: ImageContents) -> UInt64 {
        var flags: UInt64 = 0
        let pid = rootRecord(contents, .pid)
        let user = rootRecord(contents, .user)
        if pid != nil { flags |= Namespaces.Flag.pid }
        // A PID namespace of the engine's user namespace is made before the user namespace is entered.
        if let user, pid == nil || pid?.owner == user.number { flags |= Namespaces.Flag.user }
        return flags
    }

    /// Gives the root's stub its namespaces.
    ///
    /// - Precondition: The stub shares the engine's descriptors.
    func begin(_ stub: RestoreStub) throws(EngineError) {
        if contents.namespaces.isEmpty {
            try joinCgroups(stub)
            return
        }
        _ = RestoreCalls.raiseFileLimit(to: 0)
        enginePidfd = (try? Pidfd.open(Int32(Kernel.attempt(.getpid)))) ?? -1
        var state: [NamespaceKind: UInt32] = [:]
        let flags = Self.birthFlags(contents)
        if flags & Namespaces.Flag.pid != 0 {
            state[.pid] = wanted(stub.tid, .pid)
            holders[state[.pid] ?? 0] = stub
        }
        if flags & Namespaces.Flag.user != 0, let record = records[wanted(stub.tid, .user)] {
            try fillUser(stub, record)
            state[.user] = record.number
            holders[record.number] = stub
        }
        current[stub.tid] = state
        try adapt(stub)
    }

    /// Puts a newborn stub into the namespaces of its process.
    func adapt(_ stub: RestoreStub, parent: Int32? = nil) throws(EngineError) {
        if let parent {
            var state = current[parent] ?? [:]
            state[.pid] = wanted(stub.tid, .pid)
            current[stub.tid] = state
            if let number = state[.pid], number != 0, holders[number] == nil { holders[number] = stub }
        }
        guard let record = processRecords[stub.tid], !record.isZombie else { return }
        let user = wanted(stub.tid, .user)
        // What belongs to the user namespace that the stub is in now comes before it enters another.
        let isMoving = user != 0 && current[stub.tid]?[.user] != user
        let early = Self.order.filter { kind in
            guard isMoving, let namespace = records[wanted(stub.tid, kind)] else { return false }
            return namespace.owner != user && namespace.kind != .mount
        }
        if isMoving, early.contains(.cgroup) { try joinCgroups(stub) }
        for kind in early { try adapt(stub, kind) }
        if isMoving { try adapt(stub, .user) }
        try joinCgroups(stub, before: records[wanted(stub.tid, .cgroup)])
        for kind in Self.order where !early.contains(kind) { try adapt(stub, kind) }
        try joinCgroups(stub)
    }

    /// Notes what a passing task is in.
    func inherit(_ child: Int32, from parent: Int32) { current[child] = current[parent] ?? [:] }

    private func joinCgroups(_ stub: RestoreStub, before namespace: NamespaceRecord? = nil) throws(EngineError) {
        guard let record = processRecords[stub.tid] else { return }
        if let namespace, holders[namespace.number] == nil {
            try cgroups.join(stub, roots: namespace.settings)
        } else if namespace == nil {
            try cgroups.join(stub, record.cgroups)
        }
    }

    private func adapt(_ stub: RestoreStub, _ kind: NamespaceKind) throws(EngineError) {
        let number = wanted(stub.tid, kind)
        guard let record = records[number], let how = Self.flags[kind], current[stub.tid]?[kind] != number else {
            return
        }
        if let holder = holders[number] {
            try join(stub, holder, how)
        } else {
            try create(stub, record, how)
            holders[number] = stub
        }
        current[stub.tid, default: [:]][kind] = number
    }

    private func join(
        _ stub: RestoreStub, _ holder: RestoreStub, _ how: (flag: UInt64, name: String)
    ) throws(EngineError) {
        let fd = try EngineError.wrap("open a namespace", task: stub.tid) { () throws(LinuxError) in
            try Files.open("/proc/\(holder.outer)/ns/\(how.name)", .readOnly)
        }
        defer { Files.close(fd) }
        let copy = try stub.call(
            .pidfd_getfd, [RestoreStub.word(enginePidfd), RestoreStub.word(fd), 0],
            doing: "hand over a \(how.name) namespace")
        try stub.call(.setns, [copy, how.flag], doing: "join a \(how.name) namespace")
        try stub.call(.close, [copy], doing: "close a namespace")
    }

    private func create(
        _ stub: RestoreStub, _ record: NamespaceRecord, _ how: (flag: UInt64, name: String)
    ) throws(EngineError) {
        try stub.call(.unshare, [how.flag], doing: "create a \(how.name) namespace")
        switch record.kind {
        case .user: try fillUser(stub, record)
        case .uts: try fillHostName(stub, record)
        case .ipc: try writeSettings(stub, record) { !$0.hasSuffix("_next_id") }
        case .time: try fillTime(stub, record)
        case .network:
            let network = RestoreNetwork(record, contents) { (number) in self.holders[number]?.outer }
            try network.fill(stub)
            notes += network.notes
        case .mount:
            // The first one is put together from what the engine sees, the others from the first.
            let mounts = RestoreMounts(record, contents, trees.isEmpty ? options : RestoreOptions(), peers: trees)
            try mounts.build(stub)
            trees.append(mounts)
            notes += mounts.notes
        case .cgroup, .pid: break
        }
    }

    private func fillUser(_ stub: RestoreStub, _ record: NamespaceRecord) throws(EngineError) {
        func lines(_ map: [IDMapValue]) -> [UInt8] {
            Array(map.map { "\($0.inside) \($0.outside) \($0.count)\n" }.joined().utf8)
        }
        try EngineError.wrap("map the users of a namespace", task: stub.tid) { () throws(LinuxError) in
            func write(_ name: String, _ bytes: [UInt8]) throws(LinuxError) {
                let fd = try Files.open("/proc/\(stub.outer)/\(name)", .writeOnly)
                defer { Files.close(fd) }
                try Files.write(fd, bytes)
            }
            if record.deniesSetgroups { try write("setgroups", Array("deny".utf8)) }
            if !record.groupMap.isEmpty { try write("gid_map", lines(record.groupMap)) }
            if !record.userMap.isEmpty { try write("uid_map", lines(record.userMap)) }
        }
        // The namespace's own root, if it has one, is whom files are made as.
        if record.groupMap.outside(0) != nil {
            if !record.deniesSetgroups { try stub.call(.setgroups, [0, 0], doing: "leave the engine's groups") }
            try stub.call(.setresgid, [0, 0, 0], doing: "become the namespace's root")
        }
        if record.userMap.outside(0) != nil {
            try stub.call(.setresuid, [0, 0, 0], doing: "become the namespace's root")
        }
        // Changing the users has made it undumpable, and with that its files under /proc the engine's only.
        try stub.call(.prctl, [4, 1], doing: "stay visible")
    }

    private func fillHostName(_ stub: RestoreStub, _ record: NamespaceRecord) throws(EngineError) {
        let host = try stub.put(record.hostName + [0])
        try stub.call(.sethostname, [host, UInt64(record.hostName.count)], doing: "set the host name")
        let domain = try stub.put(record.domainName + [0])
        try stub.call(.setdomainname, [domain, UInt64(record.domainName.count)], doing: "set the domain name")
    }

    private func writeSettings(
        _ stub: RestoreStub, _ record: NamespaceRecord, _ isWanted: (String) -> Bool
    ) throws(EngineError) {
        let visit = try EngineError.wrap("enter a new namespace", task: stub.tid) { () throws(LinuxError) in
            try Namespaces.Visit(stub.outer, Namespaces.Flag.ipc)
        }
        defer { visit.end() }
        for setting in record.settings where isWanted(setting.name) {
            let path = "/proc/sys/\(setting.name)"
            guard let now = try? Files.contents(of: path), now != setting.value else { continue }
            do { try Files.write(setting.value, to: path) } catch {
                notes.append("\(path) could not be set: \(error.errno.map { "\($0)" } ?? "")")
            }
        }
    }

    private func fillTime(_ stub: RestoreStub, _ record: NamespaceRecord) throws(EngineError) {
        let offsets = RestoreTime.here(
            TimeOffsets(
                monotonic: record.monotonicOffsetNanoseconds, boottime: record.boottimeOffsetNanoseconds),
            contents.header)
        func line(_ clock: Int, _ offset: Int64) -> String {
            var rest = offset % 1_000_000_000
            if rest < 0 { rest += 1_000_000_000 }
            return "\(clock) \((offset - rest) / 1_000_000_000) \(rest)\n"
        }
        try EngineError.wrap("set the clock offsets", task: stub.tid) { () throws(LinuxError) in
            let fd = try Files.open("/proc/\(stub.outer)/timens_offsets", .writeOnly)
            defer { Files.close(fd) }
            let text =
                line(1, offsets.monotonic) + line(7, offsets.boottime)
            try Files.write(fd, Array(text.utf8))
        }
        let fd = try EngineError.wrap("open a time namespace", task: stub.tid) { () throws(LinuxError) in
            try Files.open("/proc/\(stub.outer)/ns/time_for_children", .readOnly)
        }
        defer { Files.close(fd) }
        let copy = try stub.call(
            .pidfd_getfd, [RestoreStub.word(enginePidfd), RestoreStub.word(fd), 0], doing: "hand over a time namespace")
        try stub.call(.setns, [copy, Namespaces.Flag.time], doing: "enter a time namespace")
        try stub.call(.close, [copy], doing: "close a namespace")
    }

    // MARK: The engine's stay

    /// Takes the engine into the namespaces of the root's stub, so that what it opens by name is the workload's.
    func enter(_ stub: RestoreStub) throws(EngineError) {
        if contents.namespaces.isEmpty { return }
        let flag = Namespaces.Flag.self
        visit = try EngineError.wrap("enter the new namespaces", task: stub.tid) { () throws(LinuxError) in
            try Namespaces.Visit(stub.outer, flag.mount | flag.network | flag.ipc | flag.uts)
        }
    }

    /// Brings the engine back.
    func leave() {
        visit?.end()
        visit = nil
        if enginePidfd >= 0 { Files.close(enginePidfd) }
        enginePidfd = -1
        for tree in trees { tree.close() }
        cgroups.close()
    }

    /// Where the content of a file in memory goes, by its number.
    func contentFile(_ number: UInt32) -> (fd: Int32, sizeBytes: UInt64)? {
        for tree in trees { if let file = tree.contentFiles[number] { return file } }
        return nil
    }

    /// Files whose content is yet to come.
    var carriedFiles: Set<FileIdentity> {
        Set(trees.flatMap { $0.contentFiles.values }.compactMap { try? Files.status(of: $0.fd).identity })
    }

    /// Sets what must come after the content: times, and what cannot be written any more.
    func finish() throws(EngineError) {
        for tree in trees { try tree.finish() }
        // Which ID the next object gets, now that all are there.
        for record in contents.namespaces where record.kind == .ipc {
            guard let holder = holders[record.number] else { continue }
            try writeSettings(holder, record) { $0.hasSuffix("_next_id") }
        }
        notes += cgroups.notes
        cgroups.notes = []
    }

    /// Moves a thread into the cgroups that its process is not in.
    func join(_ thread: RestoreStub, _ task: TaskRecord) throws(EngineError) {
        if task.cgroups.isEmpty { return }
        try cgroups.join(thread, task.cgroups, isThread: true)
        notes += cgroups.notes
        cgroups.notes = []
    }

    /// Freezes what was frozen.
    func freeze() { cgroups.freeze() }

    // MARK: PIDs

    /// Whether a stub is in a PID namespace of the image.
    func isNested(_ pid: Int32) -> Bool { (current[pid]?[.pid] ?? 0) != 0 }

    /// Prepares a stub to have a child in the child's PID namespace.
    ///
    /// - Returns: Flags for clone3(2), and the PIDs to take, innermost first.
    func prepareFork(_ parent: RestoreStub, _ child: Int32) throws(EngineError) -> (flags: UInt64, pids: [Int32]) {
        guard let record = processRecords[child] else { return (0, [child]) }
        let pids = Array(record.innerPids.reversed()) + [child]
        let number = wanted(child, .pid)
        guard number != 0, number != current[parent.tid]?[.pid] else { return (0, pids) }
        guard let holder = holders[number] else { return (Namespaces.Flag.pid, pids) }
        guard let how = Self.flags[.pid] else { return (0, pids) }
        try join(parent, holder, how)
        return (0, pids)
    }

    /// Undoes what ``prepareFork(_:_:)`` did.
    func endFork(_ parent: RestoreStub, _ child: Int32) throws(EngineError) {
        let number = wanted(child, .pid)
        guard number != 0, number != current[parent.tid]?[.pid], let how = Self.flags[.pid] else { return }
        try join(parent, parent, how)
    }

    /// The namespaces that the children of each process will be in, where they differ from its own.
    func setChildNamespaces(_ stub: RestoreStub) throws(EngineError) {
        for number in processRecords[stub.tid]?.childNamespaces ?? [] {
            guard let record = records[number], let how = Self.flags[record.kind] else { continue }
            if record.kind == .pid {
                if let holder = holders[number] {
                    try join(stub, holder, how)
                } else {
                    try stub.call(.unshare, [how.flag], doing: "create a PID namespace for its children")
                }
            } else {
                try stub.call(.unshare, [how.flag], doing: "create a time namespace for its children")
            }
        }
    }

    /// An ID as a task of the process sees it, of the engine's.
    func inside(_ id: UInt32, _ process: Int32, isGroup: Bool) -> UInt64 {
        guard let record = records[wanted(process, .user)] else { return UInt64(id) }
        return UInt64((isGroup ? record.groupMap : record.userMap).inside(id))
    }
}
