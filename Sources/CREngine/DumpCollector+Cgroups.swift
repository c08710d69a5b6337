internal import CRImage
internal import LinuxKit

/// Cgroups met so far.
struct CgroupBook {
    /// `hierarchy:path` to the record's number.
    var numbers: [String: UInt32] = [:]
    var engine: [CgroupMembership] = []
    /// Where the engine sees each hierarchy.
    var mounts: [CgroupMount] = []
    /// Cgroups of version 2 in which a process's tasks may part.
    var threaded: Set<String> = []
}

extension DumpCollector {
    /// Files that say how a cgroup limits its tasks; those that are not there or cannot be written are left out.
    private static let limits: Set<String> = [
        "cpu.max", "cpu.weight", "cpu.idle", "cpuset.cpus", "cpuset.mems", "memory.max", "memory.high", "memory.low",
        "memory.min", "memory.swap.max", "pids.max", "io.max", "io.weight", "cgroup.max.depth",
        "cgroup.max.descendants", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes",
        "memory.soft_limit_in_bytes", "notify_on_release", "memory.swappiness", "net_prio.ifpriomap",
        "net_cls.classid", "memory.oom.group",
    ]

    /// Threads of a process that are asked one by one, where version 1 lets each have a cgroup of its own.
    private static let mostThreads = 64

    /// Notes the cgroups of a process.
    ///
    /// - Returns: Those of its threads that have others, by the TID of the image.
    func collectCgroups(
        _ process: FrozenTree.Process, _ record: inout ProcessRecord
    ) throws(EngineError) -> [Int32: [UInt32]] {
        let memberships = try memberships(of: process.subject)
        record.cgroups = numbers(of: memberships)
        let threads = process.tasks.filter { $0 != process.subject }
        let mayPart = memberships.contains {
            $0.hierarchy.isEmpty ? cgroupBook.threaded.contains($0.path) : threads.count < Self.mostThreads
        }
        var own: [Int32: [UInt32]] = [:]
        for task in threads where mayPart && !(process.leaderHasEnded && task == process.pid) {
            let found = try self.memberships(of: task)
            if found != memberships { own[inner(task)] = numbers(of: found) }
        }
        return own
    }

    private func memberships(of task: Int32) throws(EngineError) -> [CgroupMembership] {
        try EngineError.wrap("read its cgroups", task: task) { () throws(LinuxError) in
            try Cgroups.memberships(of: task)
        }
    }

    private func numbers(of memberships: [CgroupMembership]) -> [UInt32] {
        if cgroupBook.engine.isEmpty {
            cgroupBook.engine = (try? Cgroups.memberships(of: Int32(Kernel.attempt(.getpid)))) ?? []
            cgroupBook.mounts = (try? Cgroups.mounts()) ?? []
        }
        return memberships.compactMap { membership in
            let key = "\(membership.hierarchy):\(membership.path)"
            if cgroupBook.numbers[key] == nil {
                var cgroup = CgroupRecord()
                cgroup.number = newNumber()
                cgroup.hierarchy = membership.hierarchy
                cgroup.path = membership.path
                if let folder = Cgroups.folder(membership, cgroupBook.mounts) {
                    settings(&cgroup, folder)
                    cgroup.isFrozen = tree.wasFrozen(folder)
                }
                cgroupBook.numbers[key] = cgroup.number
                contents.cgroups.append(cgroup)
            }
            return cgroupBook.numbers[key]
        }
    }

    private func settings(_ cgroup: inout CgroupRecord, _ folder: String) {
        if cgroup.path == "/" { return }
        cgroup.isCreated = true
        if let type = try? Files.text(of: folder + "/cgroup.type") {
            cgroup.isThreaded = type.hasPrefix("threaded")
            // `domain threaded` is what such a group is part of.
            if type.contains("threaded") { cgroupBook.threaded.insert(cgroup.path) }
        }
        for name in ((try? Files.names(in: folder)) ?? []).sorted() where Self.limits.contains(name) {
            guard let value = try? Files.contents(of: "\(folder)/\(name)") else { continue }
            var setting = SettingValue()
            setting.name = name
            setting.value = value
            cgroup.settings.append(setting)
        }
    }

    /// Which cgroup each hierarchy of a cgroup namespace shows as its root.
    func collectCgroupRoots(_ record: inout NamespaceRecord, _ pid: Int32) throws(EngineError) {
        let (outside, inside) = try EngineError.wrap("read its cgroups", task: pid) { () throws(LinuxError) in
            let outside = try Cgroups.memberships(of: pid)
            let visit = try Namespaces.Visit(pid, Namespaces.Flag.cgroup)
            defer { visit.end() }
            return (outside, try Cgroups.memberships(of: pid))
        }
        for membership in outside {
            guard let seen = inside.first(where: { $0.hierarchy == membership.hierarchy }) else { continue }
            var root = membership.path
            if seen.path != "/" {
                guard !seen.path.hasPrefix("/.."), root.hasSuffix(seen.path) else {
                    throw refuse(pid, "cgroup \(membership.path)", "it lies outside the root of its cgroup namespace")
                }
                root = String(root.dropLast(seen.path.utf8.count))
            }
            var setting = SettingValue()
            setting.name = membership.hierarchy
            setting.value = Array((root.isEmpty ? "/" : root).utf8)
            record.settings.append(setting)
        }
    }
}
