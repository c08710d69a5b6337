internal import CRImage
internal import LinuxKit

/// Namespaces that the tree does not share with the engine.
struct NamespaceBook {
    /// What `/proc/self/ns` said of the engine before it visited any other namespace.
    var engine: [String: String] = [:]
    /// Link (`net:[4026531840]`) to the record's number; 0 for namespaces that need none.
    var numbers: [String: UInt32] = [:]
    /// Owner of each namespace met so far: link to the link of its user namespace.
    var members: [UInt32: Int32] = [:]
    /// Number of each process's user namespace, when all are known.
    var users: [Int32: UInt32] = [:]
    /// At which depth the root process's PID namespace lies below the engine's.
    var level = 0
}

extension DumpCollector {
    static let namespaceKinds: [(name: String, kind: NamespaceKind)] = [
        ("user", .user), ("pid", .pid), ("mnt", .mount), ("net", .network), ("ipc", .ipc), ("uts", .uts),
        ("time", .time), ("cgroup", .cgroup),
    ]

    static func namespaceLinks(_ task: String) -> [String: String] {
        var links: [String: String] = [:]
        for name in namespaceKinds.map(\.name) + ["pid_for_children", "time_for_children"] {
            if let link = try? Files.link("/proc/\(task)/ns/\(name)") { links[name] = link }
        }
        return links
    }

    /// Notes the depth of the root's PID namespace, and whether that namespace comes with the tree.
    func beginNamespaces() throws(EngineError) {
        namespaceBook.engine = Self.namespaceLinks("self")
        for link in namespaceBook.engine.values { namespaceBook.numbers[link] = 0 }
        guard let root = tree.processes.first else { return }
        let pids = root.status.namespaceProcesses
        namespaceBook.level = pids.count - 1
        // What the root's time namespace adds to the clocks is in the header.
        if let link = try? Files.link("/proc/\(root.subject)/ns/time") { namespaceBook.numbers[link] = 0 }
        // A root that is not the first process of its PID namespace leaves that namespace behind.
        if pids.last != 1, let link = try? Files.link("/proc/\(root.subject)/ns/pid") {
            namespaceBook.numbers[link] = 0
        }
    }

    /// The PID in the root process's PID namespace, and those below it.
    func levels(_ pids: [Int32], _ outer: Int32) throws(EngineError) -> (pid: Int32, inner: [Int32]) {
        guard pids.count > namespaceBook.level else {
            throw refuse(outer, "task \(outer)", "its PID namespace lies outside that of the root process")
        }
        return (pids[namespaceBook.level], Array(pids[(namespaceBook.level + 1)...]))
    }

    /// The namespaces of one process, each recorded at its first use.
    func collectNamespaces(_ process: FrozenTree.Process, _ record: inout ProcessRecord) throws(EngineError) {
        let pid = process.subject
        let links = Self.namespaceLinks("\(pid)")
        // The mount namespace comes last: what it shows depends on the others.
        for (name, kind) in Self.namespaceKinds.sorted(by: { a, b in a.name != "mnt" && b.name == "mnt" }) {
            guard let link = links[name] else {
                if namespaceBook.engine[name] == nil || process.isZombie { continue }
                throw refuse(pid, "namespace \(name)", "the kernel does not show it")
            }
            let number = try namespace(link, name, kind, of: pid)
            if number != 0 { record.namespaces.append(number) }
        }
        if process.isZombie { return }
        try checkThreads(process, links)
        if links["pid_for_children"] == nil {
            // The link cannot be read while the namespace has no process yet: nothing is known of it but that it is new.
            if namespaceBook.engine["pid_for_children"] != nil {
                let number = newNumber()
                var new = NamespaceRecord()
                new.number = number
                new.kind = .pid
                new.owner = owner(record)
                contents.namespaces.append(new)
                record.childNamespaces.append(number)
            }
        } else if let link = links["pid_for_children"], link != links["pid"] {
            record.childNamespaces.append(try childNamespace(link, "pid_for_children", .pid, pid))
        }
        if let link = links["time_for_children"], link != links["time"] {
            record.childNamespaces.append(try childNamespace(link, "time_for_children", .time, pid))
        }
    }

    private func owner(_ record: ProcessRecord) -> UInt32 {
        contents.namespaces.first { $0.kind == .user && record.namespaces.contains($0.number) }?.number ?? 0
    }

    private func childNamespace(
        _ link: String, _ name: String, _ kind: NamespaceKind, _ pid: Int32
    ) throws(EngineError) -> UInt32 {
        let number = try namespace(link, name, kind, of: pid)
        if number == 0 {
            throw refuse(pid, "namespace \(link)", "its children go back to a namespace outside the tree")
        }
        return number
    }

    /// Refuses threads in other namespaces than their process.
    private func checkThreads(_ process: FrozenTree.Process, _ links: [String: String]) throws(EngineError) {
        for task in process.tasks.dropFirst() where ahead[task]?.sharesNamespaces != true {
            for name in TasksAhead.threadNamespaces {
                let link = try? Files.link("/proc/\(task)/ns/\(name)")
                if link != links[name] {
                    throw refuse(task, "namespace \(link ?? name)", "it is in another namespace than its process")
                }
            }
        }
    }

    /// - Returns: 0 for a namespace that the restored process gets from the engine.
    private func namespace(
        _ link: String, _ name: String, _ kind: NamespaceKind, of pid: Int32
    ) throws(EngineError) -> UInt32 {
        if let known = namespaceBook.numbers[link] { return known }
        var record = NamespaceRecord()
        record.number = newNumber()
        record.kind = kind
        namespaceBook.numbers[link] = record.number
        namespaceBook.members[record.number] = pid
        let path = "/proc/\(pid)/ns/\(name)"
        let user = try EngineError.wrap("ask for the owner of \(link)", task: pid) { () throws(LinuxError) in
            try NamespaceHandle.related(path, .owner)
        }
        if let user {
            guard let number = namespaceBook.numbers[user] else {
                throw refuse(pid, "namespace \(link)", "its owner \(user) has no process in the tree")
            }
            record.owner = number
        } else if kind != .user {
            throw refuse(pid, "namespace \(link)", "its owner is above the engine's user namespace")
        }
        switch kind {
        case .user: try collectUser(&record, pid, link)
        case .uts: try collectHostName(&record, pid)
        case .ipc: try collectSettings(&record, pid, Namespaces.Flag.ipc, Self.ipcSettings)
        case .time: try collectTime(&record, pid, link, forChildren: name == "time_for_children")
        case .pid: try collectPid(&record, pid, link, path)
        case .network: try collectNetwork(&record, pid)
        case .cgroup: try collectCgroupRoots(&record, pid)
        case .mount: try collectMounts(&record, pid)
        }
        contents.namespaces.append(record)
        return record.number
    }

    private func collectUser(_ record: inout NamespaceRecord, _ pid: Int32, _ link: String) throws(EngineError) {
        func map(_ name: String) throws(EngineError) -> [IDMapValue] {
            let text = try EngineError.wrap("read \(name)", task: pid) { () throws(LinuxError) in
                try Files.text(of: "/proc/\(pid)/\(name)")
            }
            return text.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ").compactMap { UInt32($0) }
                guard words.count == 3 else { return nil }
                var value = IDMapValue()
                (value.inside, value.outside, value.count) = (words[0], words[1], words[2])
                return value
            }
        }
        record.userMap = try map("uid_map")
        record.groupMap = try map("gid_map")
        let text = (try? Files.text(of: "/proc/\(pid)/setgroups")) ?? ""
        record.deniesSetgroups = text.hasPrefix("deny")
    }

    private func collectHostName(_ record: inout NamespaceRecord, _ pid: Int32) throws(EngineError) {
        (record.hostName, record.domainName) = try EngineError.wrap("read the host name", task: pid) {
            () throws(LinuxError) in
            let visit = try Namespaces.Visit(pid, Namespaces.Flag.uts)
            defer { visit.end() }
            func name(_ file: String) throws(LinuxError) -> [UInt8] {
                Array(try Files.contents(of: "/proc/sys/kernel/\(file)").prefix { $0 != 0x0a })
            }
            return (try name("hostname"), try name("domainname"))
        }
    }

    static let ipcSettings = [
        "kernel/sem", "kernel/shmmax", "kernel/shmall", "kernel/shmmni", "kernel/shm_rmid_forced", "kernel/msgmax",
        "kernel/msgmnb", "kernel/msgmni", "fs/mqueue/queues_max", "fs/mqueue/msg_max", "fs/mqueue/msgsize_max",
        "fs/mqueue/msg_default", "fs/mqueue/msgsize_default", "kernel/auto_msgmni", "kernel/msg_next_id",
        "kernel/sem_next_id", "kernel/shm_next_id",
    ]

    /// Reads files below `/proc/sys` as the namespace sees them; what this kernel lacks is left out.
    func collectSettings(
        _ record: inout NamespaceRecord, _ pid: Int32, _ flag: UInt64, _ names: [String]
    ) throws(EngineError) {
        let visit = try EngineError.wrap("enter its namespaces", task: pid) { () throws(LinuxError) in
            try Namespaces.Visit(pid, flag)
        }
        defer { visit.end() }
        for name in names {
            guard let value = try? Files.contents(of: "/proc/sys/\(name)") else { continue }
            var setting = SettingValue()
            setting.name = name
            setting.value = value
            record.settings.append(setting)
        }
    }

    private func collectTime(
        _ record: inout NamespaceRecord, _ pid: Int32, _ link: String, forChildren: Bool
    ) throws(EngineError) {
        // The file shows the namespace of the children.
        if !forChildren, (try? Files.link("/proc/\(pid)/ns/time_for_children")) != link {
            throw refuse(pid, "namespace \(link)", "its children go to another, so that its own offsets do not show")
        }
        let text = try EngineError.wrap("read the clock offsets", task: pid) { () throws(LinuxError) in
            try Files.text(of: "/proc/\(pid)/timens_offsets")
        }
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count == 3, let seconds = Int64(words[1]), let rest = Int64(words[2]) else { continue }
            let offset = seconds &* 1_000_000_000 &+ rest
            if words[0] == "monotonic" || words[0] == "1" { record.monotonicOffsetNanoseconds = offset }
            if words[0] == "boottime" || words[0] == "7" { record.boottimeOffsetNanoseconds = offset }
        }
    }

    private func collectPid(
        _ record: inout NamespaceRecord, _ pid: Int32, _ link: String, _ path: String
    ) throws(EngineError) {
        let above = try? NamespaceHandle.related(path, .parent)
        let isRoots = pid == tree.processes.first?.subject
        if let above, !isRoots {
            guard let number = namespaceBook.numbers[above] else {
                throw refuse(pid, "namespace \(link)", "the PID namespace above it is not the tree's")
            }
            record.parent = number
        }
    }

    /// The mount namespace of a process; 0 when it is the root process's.
    func nestedMounts(_ process: Int32) -> UInt32 {
        guard let root = tree.processes.first?.pid else { return 0 }
        let number = mountNumber(process)
        return number == mountNumber(root) ? 0 : number
    }

    /// The mount namespace that a mount is in: mostly that of the process, else the one from which it got the open file;
    /// 0 for the root process's.
    func nestedMounts(holding mount: Int, _ process: Int32) -> UInt32 {
        guard let root = tree.processes.first?.pid else { return 0 }
        let own = nestedMounts(process)
        let others = contents.namespaces.filter { $0.kind == .mount }.map(\.number)
        for number in [own] + others where number != 0 && number != mountNumber(root) {
            if mountIDs[number]?.contains(mount) == true { return number }
        }
        return 0
    }

    /// Whether the root process's mount namespace shows the same file at a path.
    func rootShows(_ path: String, _ status: FileStatus, to process: Int32) -> Bool {
        guard let root = tree.processes.first?.subject, nestedMounts(process) != 0 else { return true }
        return (try? Files.status(of: visible(path, from: root)))?.identity == status.identity
    }

    /// The mount namespace of a process; 0 for the engine's.
    func mountNumber(_ process: Int32) -> UInt32 {
        let numbers = processNamespaces[processes[process] ?? process]?.namespaces ?? []
        return contents.namespaces.first { $0.kind == .mount && numbers.contains($0.number) }?.number ?? 0
    }

    /// An ID as a task in the process's user namespace sees it.
    func inside(_ id: UInt32, _ process: Int32, isGroup: Bool) -> UInt32 {
        let number: UInt32
        if let known = namespaceBook.users[process] {
            number = known
        } else {
            number = (try? Files.link("/proc/\(process)/ns/user")).flatMap { namespaceBook.numbers[$0] } ?? 0
            namespaceBook.users[process] = number
        }
        guard number != 0, let record = contents.namespaces.first(where: { $0.number == number }) else { return id }
        return (isGroup ? record.groupMap : record.userMap).inside(id)
    }
}

extension [IDMapValue] {
    /// The ID inside; the kernel's overflow ID when it is not mapped.
    func inside(_ id: UInt32) -> UInt32 {
        for line in self where id >= line.outside && id - line.outside < line.count {
            return line.inside &+ (id - line.outside)
        }
        return 65534
    }

    /// The ID outside; `nil` when it is not mapped.
    func outside(_ id: UInt32) -> UInt32? {
        for line in self where id >= line.inside && id - line.inside < line.count {
            return line.outside &+ (id - line.inside)
        }
        return nil
    }
}
