extension ImageContents {
    /// Checks namespaces, mounts, carried file systems and cgroups: restore follows them without looking twice.
    func namespacesFit() throws(ImageError) {
        var kinds: [UInt32: NamespaceKind] = [:]
        for record in namespaces {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "namespace \(record.number)", why: why) }
            guard record.owner == 0 || namespaces.contains(where: { $0.number == record.owner && $0.kind == .user }),
                record.owner != record.number
            else { throw fail("its owner is no user namespace of the image") }
            guard record.parent == 0 || kinds[record.parent] == .pid else {
                throw fail("the PID namespace above it does not come before it")
            }
            guard record.hostName.count <= 64, record.domainName.count <= 64 else { throw fail("its name is too long") }
            guard record.userMap.count <= 340, record.groupMap.count <= 340 else {
                throw fail("its ID maps are too long")
            }
            for setting in record.settings where record.kind != .cgroup && !Self.isPlain(setting.name) {
                throw fail("setting '\(setting.name)' is no path below /proc/sys")
            }
            for payload in record.addresses + record.routes + record.rules + record.neighbours
            where payload.count < 8 || payload.count > 65000 {
                throw fail("a netlink message has \(payload.count) bytes")
            }
            for link in record.links where link.name.utf8.count > 15 || link.peerName.utf8.count > 15 {
                throw fail("the name of interface '\(link.name)' is too long")
            }
            try mountsFit(record)
            for system in record.fileSystems { try entriesFit(system, record) }
            kinds[record.number] = record.kind
        }
        let known = Set(cgroups.map(\.number))
        for process in processes {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "process \(process.pid)", why: why) }
            var seen: Set<NamespaceKind> = []
            for number in process.namespaces {
                guard let kind = kinds[number], seen.insert(kind).inserted else {
                    throw fail("it is in a namespace that the image does not hold, or in two of a kind")
                }
            }
            for number in process.childNamespaces where kinds[number] != .pid && kinds[number] != .time {
                throw fail("its children are in a namespace that the image does not hold")
            }
            guard process.cgroups.allSatisfy({ known.contains($0) }) else {
                throw fail("it is in a cgroup that the image does not hold")
            }
            guard process.innerPids.count <= 32, process.innerPids.allSatisfy({ $0 > 0 }) else {
                throw fail("its PIDs in nested namespaces are none")
            }
        }
        for task in tasks where task.innerTids.count > 32 || !task.innerTids.allSatisfy({ $0 > 0 }) {
            throw .inconsistent(record: "task \(task.tid)", why: "its TIDs in nested namespaces are none")
        }
        for task in tasks where !task.cgroups.allSatisfy({ known.contains($0) }) {
            throw .inconsistent(
                record: "task \(task.tid)", why: "it is in a cgroup that the image does not hold")
        }
        for cgroup in cgroups {
            guard cgroup.path.hasPrefix("/"), !cgroup.path.split(separator: "/").contains("..") else {
                throw .inconsistent(record: "cgroup \(cgroup.number)", why: "'\(cgroup.path)' is no path of a cgroup")
            }
        }
    }

    /// Whether a relative path names something below a folder and nothing else.
    static func isPlain(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !path.isEmpty && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.utf8.contains(0) }
    }

    private func mountsFit(_ record: NamespaceRecord) throws(ImageError) {
        var known: Set<UInt32> = []
        for mount in record.mounts {
            func fail(_ why: String) -> ImageError {
                .inconsistent(record: "namespace \(record.number), mount \(mount.mountPoint)", why: why)
            }
            guard mount.id != 0, known.isEmpty == (mount.parent == 0), known.isEmpty || known.contains(mount.parent)
            else { throw fail("the mount that it is on does not come before it") }
            guard known.insert(mount.id).inserted else { throw fail("its number is used twice") }
            guard Int(mount.fileSystem) < record.fileSystems.count else { throw fail("it has no file system") }
            for path in [mount.mountPoint, mount.root]
            where path != "/" && !(path.hasPrefix("/") && Self.isPlain(String(path.dropFirst()))) {
                // Roots of namespace files and of hidden parts have other forms.
                if path == mount.root, record.fileSystems[Int(mount.fileSystem)].isOwn == false { continue }
                throw fail("'\(path)' is not absolute")
            }
            guard mount.externalPath.isEmpty || mount.externalPath.hasPrefix("/") else {
                throw fail("'\(mount.externalPath)' is not absolute")
            }
        }
    }

    /// Nothing may be made through a symbolic link: it could lead out of the file system.
    private func entriesFit(_ system: MountedFileSystemValue, _ record: NamespaceRecord) throws(ImageError) {
        var folders: Set<String> = [""]
        var names: Set<String> = []
        for entry in system.entries {
            func fail(_ why: String) -> ImageError {
                .inconsistent(record: "namespace \(record.number), \(system.type), '\(entry.path)'", why: why)
            }
            guard names.insert(entry.path).inserted else { throw fail("it is there twice") }
            if entry.path.isEmpty {
                guard entry.mode & 0xf000 == 0x4000 else { throw fail("the root is no folder") }
                continue
            }
            guard Self.isPlain(entry.path) else { throw fail("it is no path") }
            let parent = entry.path.lastIndex(of: "/").map { String(entry.path[..<$0]) } ?? ""
            guard folders.contains(parent) else { throw fail("its folder does not come before it") }
            guard entry.hardLink.isEmpty || names.contains(entry.hardLink) && !folders.contains(entry.hardLink) else {
                throw fail("the file that it is a name of does not come before it")
            }
            if entry.hardLink.isEmpty, entry.mode & 0xf000 == 0x4000 { folders.insert(entry.path) }
            guard entry.number == 0 || entry.mode & 0xf000 == 0x8000 else { throw fail("it is no file with content") }
            guard entry.number != 0 || UInt64(entry.content.count) <= 1 << 20 else { throw fail("it is too large") }
        }
    }
}
