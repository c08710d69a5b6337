internal import CRImage
internal import LinuxKit

/// The mounts of a namespace, and where the restore will find what they show.
extension DumpCollector {
    /// File systems that the restore can make anew without carrying content.
    private static let made: Set<String> = [
        "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "tmpfs", "ramfs", "overlay", "securityfs", "debugfs",
        "tracefs", "fusectl", "configfs", "pstore", "efivarfs", "hugetlbfs", "devtmpfs", "binfmt_misc",
    ]
    /// Of these, those whose content lives in memory only.
    static let inMemory: Set<String> = ["tmpfs", "ramfs"]

    private static let flagNames: [String: UInt64] = [
        "ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "nosymfollow": 256, "noatime": 1024, "nodiratime": 2048,
        "relatime": 1 << 21,
    ]

    /// What a mount namespace shows, as a task of it sees it.
    func mountTable(_ pid: Int32) throws(EngineError) -> [MountEntry] {
        try EngineError.wrap("read the mounts", task: pid) { () throws(LinuxError) in
            // A task may live in a chroot and see less than all.
            let visit = try Namespaces.Visit(pid, Namespaces.Flag.mount)
            defer { visit.end() }
            return try Procfs.ownMounts()
        }
    }

    private func visitMounts(of pid: Int32) throws(EngineError) -> Namespaces.Visit {
        try EngineError.wrap("enter a mount namespace", task: pid) { () throws(LinuxError) in
            try Namespaces.Visit(pid, Namespaces.Flag.mount)
        }
    }

    func collectMounts(_ record: inout NamespaceRecord, _ pid: Int32) throws(EngineError) {
        let entries = try mountTable(pid)
        mountIDs[record.number] = Set(entries.map(\.id))
        // The root's own namespace is put together from the engine's, all others from the root's.
        let provider: [MountEntry]
        let rootPid = tree.processes.first?.subject ?? pid
        if contents.namespaces.allSatisfy({ $0.kind != .mount }) {
            provider = try EngineError.wrap("read the engine's mounts") { () throws(LinuxError) in
                try Procfs.ownMounts()
            }
        } else {
            provider = try mountTable(rootPid)
        }
        let isFirst = contents.namespaces.allSatisfy { $0.kind != .mount }
        // Paths of the provider mean something in its own namespace.
        let visit = isFirst ? nil : try visitMounts(of: rootPid)
        defer { visit?.end() }
        let ids = Set(entries.map(\.id))
        guard
            let root = entries.first(where: { $0.mountPoint == "/" && !ids.contains($0.parent) })
                ?? entries.first(where: { $0.mountPoint == "/" })
        else { throw refuse(pid, "mount namespace", "it has no root mount") }
        let files = try EngineError.wrap("look at the mounts", task: pid) { () throws(LinuxError) in
            try plainMountPoints(entries, pid)
        }
        var systems: [UInt64: Int] = [:]
        var numbers: [Int: UInt32] = [:]
        for entry in Self.ordered(entries, root: root.id) {
            try checkText(entry.mountPoint + entry.root, pid)
            if entry.mountPoint.hasSuffix("//deleted") {
                throw refuse(pid, "mount \(entry.mountPoint)", "its mount point was removed")
            }
            let position = systems[entry.device] ?? record.fileSystems.count
            if systems[entry.device] == nil {
                systems[entry.device] = position
                var system = MountedFileSystemValue()
                system.type = entry.fileSystem
                system.source = entry.source
                system.options = entry.superOptions
                system.isOwn = true
                record.fileSystems.append(system)
            }
            var mount = MountValue()
            mount.id = UInt32(numbers.count + 1)
            mount.parent = entry.id == root.id ? 0 : numbers[entry.parent] ?? 0
            numbers[entry.id] = mount.id
            mount.mountPoint = entry.mountPoint
            mount.root = entry.root
            mount.fileSystem = UInt32(position)
            mount.isRootRemoved = entry.root.hasSuffix("//deleted")
            if mount.isRootRemoved { mount.root = String(entry.root.dropLast(9)) }
            for option in entry.options.split(separator: ",") { mount.flags |= Self.flagNames[String(option)] ?? 0 }
            mount.isFolder = !files.contains(entry.mountPoint)
            try propagation(&mount, entry, entries, provider, pid, isFirst: isFirst)
            if let name = externals["mnt[\(entry.mountPoint)]"] {
                mount.externalName = name
            }
            mount.externalPath = mount.isRootRemoved ? "" : externalPath(entry, provider, pid)
            if !mount.externalName.isEmpty || !mount.externalPath.isEmpty {
                record.fileSystems[position].isOwn = false
            }
            record.mounts.append(mount)
        }
        try checkSources(record, pid)
        try collectTrees(&record, pid, systems)
    }

    /// Parents before children; of those on one parent, deeper ones first: a mount never hides another's mount point.
    private static func ordered(_ entries: [MountEntry], root: Int) -> [MountEntry] {
        let children = Dictionary(grouping: entries.filter { $0.id != root }, by: \.parent)
        var result: [MountEntry] = []
        func visit(_ entry: MountEntry) {
            result.append(entry)
            let below = (children[entry.id] ?? []).enumerated().sorted { a, b in
                let lengths = (a.element.mountPoint.utf8.count, b.element.mountPoint.utf8.count)
                return lengths.0 == lengths.1 ? a.offset < b.offset : lengths.0 > lengths.1
            }
            for child in below { visit(child.element) }
        }
        if let first = entries.first(where: { $0.id == root }) { visit(first) }
        return result
    }

    /// Mount points that are no folders.
    private func plainMountPoints(_ entries: [MountEntry], _ pid: Int32) throws(LinuxError) -> Set<String> {
        let visit = try Namespaces.Visit(pid, Namespaces.Flag.mount)
        defer { visit.end() }
        return Set(
            entries.map(\.mountPoint).filter { path in
                (try? Files.status(of: path, follow: false)).map { $0.kind != .directory } ?? false
            })
    }

    private func propagation(
        _ mount: inout MountValue, _ entry: MountEntry, _ entries: [MountEntry], _ provider: [MountEntry], _ pid: Int32,
        isFirst: Bool
    ) throws(EngineError) {
        let object = "mount \(entry.mountPoint)"
        mount.isUnbindable = entry.propagation.contains("unbindable")
        let shared = entry.group("shared")
        if shared != 0 {
            if isFirst, provider.contains(where: { $0.group("shared") == shared }) {
                throw refuse(pid, object, "it shares its mount events with mounts outside of the namespace")
            }
            mount.group = UInt32(truncatingIfNeeded: shared)
        }
        let master = entry.group("master")
        guard master != 0 else { return }
        mount.master = UInt32(truncatingIfNeeded: master)
        if entries.contains(where: { $0.group("shared") == master }) { return }
        guard provider.contains(where: { $0.group("shared") == master }) else {
            throw refuse(pid, object, "it gets mount events from a mount that is in another namespace")
        }
        mount.isMasterExternal = isFirst
    }

    /// Where the provider shows what a mount shows; empty when nowhere.
    private func externalPath(_ entry: MountEntry, _ provider: [MountEntry], _ pid: Int32) -> String {
        for other in provider where other.device == entry.device {
            guard let rest = Self.below(entry.root, other.root) else { continue }
            let path = other.mountPoint == "/" ? (rest.isEmpty ? "/" : rest) : other.mountPoint + rest
            // Something else may be mounted upon it there.
            guard let status = try? Files.status(of: path, follow: false), shows(status, entry) else { continue }
            let last = provider.last {
                path == $0.mountPoint || path.hasPrefix($0.mountPoint == "/" ? "/" : $0.mountPoint + "/")
            }
            if let last, last.device != other.device { continue }
            return path
        }
        return ""
    }

    /// `rest` of `path` behind `folder`; `nil` when it is not below.
    static func below(_ path: String, _ folder: String) -> String? {
        if folder == "/" { return path == "/" ? "" : path }
        if path == folder { return "" }
        return path.hasPrefix(folder + "/") ? String(path.dropFirst(folder.utf8.count)) : nil
    }

    private func shows(_ status: FileStatus, _ entry: MountEntry) -> Bool {
        // Subvolumes have device numbers of their own, which mountinfo does not show.
        status.device == entry.device || entry.fileSystem == "btrfs"
    }

    /// Refuses mounts of file systems that can be had from nowhere.
    private func checkSources(_ record: NamespaceRecord, _ pid: Int32) throws(EngineError) {
        for (position, system) in record.fileSystems.enumerated() {
            let mounts = record.mounts.filter { Int($0.fileSystem) == position }
            for mount in mounts where mount.externalName.isEmpty && mount.externalPath.isEmpty {
                let object = "mount \(mount.mountPoint) (\(system.type) \(system.source)\(mount.root))"
                if system.isOwn {
                    guard Self.made.contains(system.type) else {
                        throw refuse(
                            pid, object,
                            "this file system cannot be made anew; declare it: --external 'mnt[\(mount.mountPoint)]:NAME'"
                        )
                    }
                    continue
                }
                // Another mount of the namespace must show the folder.
                let isShown = mounts.contains {
                    !($0.externalName.isEmpty && $0.externalPath.isEmpty)
                        && Self.below(mount.root, $0.root) != nil
                }
                if !isShown {
                    throw refuse(
                        pid, object,
                        "the folder that it shows cannot be reached from outside; declare it: "
                            + "--external 'mnt[\(mount.mountPoint)]:NAME'")
                }
            }
        }
    }
}
