internal import CRImage
internal import LinuxKit

/// Descriptors that refer to tasks and namespaces, and what inotify watches.
extension DumpCollector {
    /// Recognizes files below `/proc/PID`, and namespaces.
    ///
    /// - Returns: Whether it was one; the record is complete then.
    func classifyHandle(
        _ record: inout OpenFileRecord, process: Int32, link: String, path: String, status: FileStatus, object: String
    ) throws(EngineError) -> Bool {
        guard status.kind == .regular || status.kind == .directory || status.kind == .symbolicLink else { return false }
        let isNamespace = Self.namespaceName(link) != nil
        guard isNamespace || link.hasPrefix("/proc/") else { return false }
        let type = try EngineError.wrap("look at the file system of \(object)", task: process) {
            () throws(LinuxError) in
            try Files.fileSystemType(of: path)
        }
        // NSFS_MAGIC, PROC_SUPER_MAGIC
        if type == 0x6e73_6673, let name = Self.namespaceName(link) {
            try namespace(&record, name, link, process, object)
            return true
        }
        guard type == 0x9fa0 else { return false }
        return try taskFile(&record, process: process, link: link, status: status, object: object)
    }

    /// `net` of `net:[4026531840]`.
    private static func namespaceName(_ link: String) -> String? {
        guard link.hasSuffix("]"), let colon = link.firstIndex(of: ":"), !link.hasPrefix("/") else { return nil }
        let name = String(link[..<colon])
        return ["mnt", "net", "ipc", "uts", "user", "pid", "cgroup", "time"].contains(name) ? name : nil
    }

    private func namespace(
        _ record: inout OpenFileRecord, _ name: String, _ link: String, _ process: Int32, _ object: String
    ) throws(EngineError) {
        for candidate in tree.processes where !candidate.isZombie {
            guard (try? Files.link("/proc/\(candidate.subject)/ns/\(name)")) == link else { continue }
            record.kind = .namespace
            record.handle.task = inner(candidate.pid)
            record.handle.path = name
            return
        }
        throw refuse(process, object, "no process of the tree is in this namespace")
    }

    private func taskFile(
        _ record: inout OpenFileRecord, process: Int32, link: String, status: FileStatus, object: String
    ) throws(EngineError) -> Bool {
        let isDeleted = link.hasSuffix(" (deleted)")
        var words = (isDeleted ? String(link.dropLast(10)) : link).split(separator: "/").map(String.init)
        guard words.count >= 2, words[0] == "proc", let task = Int32(words[1]) else { return false }
        // A name may be looked at again by now, of another task with the same number: then the inode is another one.
        let there = isDeleted ? nil : try? Files.status(of: visible(link, from: process), follow: false)
        let isAlive = there?.identity == status.identity
        record.kind = .taskFile
        record.handle.task = task
        words.removeFirst(2)
        if isAlive {
            // Every machine has a first process.
            // The numbers are those of the workload's own procfs.
            guard task == 1 || innerTids.values.contains(task) else {
                throw refuse(process, object, "it shows task \(task), which is outside the tree")
            }
            if let first = words.first, ["fdinfo", "map_files"].contains(first), words.count > 1 {
                throw refuse(process, object, "it shows a descriptor or a mapping of a task")
            }
        } else {
            record.handle.hasEnded = true
            record.handle.identity = UInt64(UInt32(bitPattern: task))
            // The folder of a thread that has ended stands for the one of its process.
            if words.count >= 2, words[0] == "task", Int32(words[1]) != nil { words.removeFirst(2) }
        }
        record.handle.path = words.joined(separator: "/")
        return true
    }

    /// A pidfd: of a task of the tree, or of one that has ended.
    ///
    /// - Parameter copy: The engine's duplicate of the descriptor.
    func collectPidfd(
        _ record: inout OpenFileRecord, _ copy: Int32, _ info: DescriptorInfo, process: Int32, object: String
    ) throws(EngineError) {
        guard let pid = info.pid else { throw refuse(process, object, "the kernel does not show its task") }
        if pid == -1 {
            record.handle.hasEnded = true
            let type = (try? Files.fileSystemType(of: "/proc/self/fd/\(copy)")) ?? 0
            let status = try? Files.status(of: copy)
            // Before pidfs all pidfds share one inode; then nobody can tell two of one task from those of two.
            record.handle.identity =
                type == 0x5049_4446 ? (status?.inode ?? 0) | 1 << 62 : UInt64(record.number) | 1 << 63
            record.handle.exitStatus = Pidfd.exitStatus(copy) ?? 0
            return
        }
        guard let known = innerTids[pid] else {
            throw refuse(process, object, "it names process \(pid), which is outside the tree")
        }
        record.handle.task = known
    }

    // MARK: inotify

    /// Watches that are resolved when all open files are known: what has lost its name is only reachable through those.
    func resolveWatches() throws(EngineError) {
        if inotifies.isEmpty { return }
        var records: [UInt32: InodeRecord] = [:]
        for record in contents.inodes { records[record.number] = record }
        var known: [FileIdentity: InodeRecord] = [:]
        for (key, number) in inodes { known[key.identity] = records[number] }
        for instance in inotifies {
            let folders = openMounts(
                of: instance.process, Set(instance.lines.compactMap { InotifyLine($0)?.identity.device }))
            defer { for fd in folders.values.joined() { Files.close(fd) } }
            let object = "fd \(instance.fd): inotify"
            for line in instance.lines {
                guard let watch = InotifyLine(line) else {
                    throw refuse(instance.process, object, "its watch is not understood (\(line))")
                }
                var value = InotifyWatchValue()
                value.watch = watch.watch
                // Kernels differ in which of their own marks they show.
                value.mask = watch.mask & 0x8400_0fff
                guard let found = try target(of: watch, process: instance.process, known, folders) else {
                    throw refuse(
                        instance.process, object,
                        "watch \(watch.watch) is on inode \(watch.identity.inode), to which no path is known")
                }
                (value.path, value.inode, value.mode) = (found.path, found.inode, found.mode & 0xf000)
                contents.openFiles[instance.file].watches.append(value)
            }
            contents.openFiles[instance.file].watches.sort { $0.watch < $1.watch }
        }
    }

    private func target(
        of watch: InotifyLine, process: Int32, _ known: [FileIdentity: InodeRecord], _ folders: [UInt64: [Int32]]
    ) throws(EngineError) -> (path: String, inode: UInt32, mode: UInt32)? {
        if let record = known[watch.identity] {
            if record.kind.hasContent || record.isRemoved { return ("", record.number, record.mode) }
            return (record.path, 0, record.mode)
        }
        if let path = pathByHandle(watch, process, folders) ?? pathBySearch(watch, process) {
            try checkText(path.0, process)
            return (path.0, 0, path.1)
        }
        return nil
    }

    /// - Returns: The path when it leads to the inode, and the inode's mode.
    private func confirm(_ path: String, _ watch: InotifyLine, _ process: Int32) -> (String, UInt32)? {
        guard path.hasPrefix("/"), let status = try? Files.status(of: visible(path, from: process), follow: false),
            status.identity == watch.identity
        else { return nil }
        return (path, status.mode)
    }

    /// A folder of each mount of these devices, by device.
    private func openMounts(of process: Int32, _ devices: Set<UInt64>) -> [UInt64: [Int32]] {
        guard let mounts = try? Procfs.mounts(process) else { return [:] }
        var folders: [UInt64: [Int32]] = [:]
        for mount in mounts where devices.contains(mount.device) {
            let path = visible(mount.mountPoint, from: process)
            guard let fd = try? Files.open(path, [.readOnly, .nonBlocking]) else { continue }
            folders[mount.device, default: []].append(fd)
        }
        return folders
    }

    private func pathByHandle(
        _ watch: InotifyLine, _ process: Int32, _ folders: [UInt64: [Int32]]
    ) -> (String, UInt32)? {
        if watch.handle.isEmpty { return nil }
        for folder in folders[watch.identity.device] ?? [] {
            guard let fd = try? Files.open(handle: watch.handle, type: watch.handleType, on: folder) else { continue }
            defer { Files.close(fd) }
            if let path = try? Files.link("/proc/self/fd/\(fd)"), let found = confirm(path, watch, process) {
                return found
            }
        }
        return nil
    }

    /// Looks where the workload is at home, for file systems without handles.
    private func pathBySearch(_ watch: InotifyLine, _ process: Int32) -> (String, UInt32)? {
        var folders = ["/etc", "/run", "/var/log", "/tmp", "/dev", "/"]
        if let home = try? Files.link("/proc/\(process)/cwd"), home.hasPrefix("/") { folders.insert(home, at: 0) }
        for key in inodes.keys where key.path.hasPrefix("/") { folders.append(Self.folder(of: key.path)) }
        var seen: Set<String> = []
        var looked = 0
        var index = 0
        while index < folders.count, looked < 20_000 {
            let folder = folders[index]
            index += 1
            guard seen.insert(folder).inserted else { continue }
            if let found = confirm(folder, watch, process) { return found }
            for name in (try? Files.names(in: visible(folder, from: process))) ?? [] {
                looked += 1
                let path = Self.join(folder, name)
                guard let status = try? Files.status(of: visible(path, from: process), follow: false) else { continue }
                if status.identity == watch.identity { return (path, status.mode) }
                if status.kind == .directory, status.device == watch.identity.device { folders.append(path) }
            }
        }
        return nil
    }
}

/// One line `inotify …` of fdinfo.
struct InotifyLine {
    private(set) var watch: Int32 = 0
    private(set) var mask: UInt32 = 0
    private(set) var identity = FileIdentity(device: 0, inode: 0)
    private(set) var handle: [UInt8] = []
    private(set) var handleType: Int32 = 0

    /// `inotify wd:1 ino:2f sdev:29 mask:fc6 ignored_mask:0 fhandle-bytes:c fhandle-type:1 f_handle:2f00…`, all in
    /// hexadecimal.
    init?(_ line: String) {
        var fields: [String: String] = [:]
        for word in line.split(separator: " ").dropFirst() {
            let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        guard let watch = fields["wd"].flatMap({ Int32($0, radix: 16) }),
            let inode = fields["ino"].flatMap({ UInt64($0, radix: 16) }),
            let device = fields["sdev"].flatMap({ UInt64($0, radix: 16) }),
            let mask = fields["mask"].flatMap({ UInt32($0, radix: 16) })
        else { return nil }
        self.watch = watch
        self.mask = mask
        // The kernel's own dev_t: 12 bits major, 20 bits minor.
        identity = FileIdentity(device: (device >> 20) << 32 | device & 0xfffff, inode: inode)
        guard let text = fields["f_handle"], let type = fields["fhandle-type"].flatMap({ Int32($0, radix: 16) }) else {
            return
        }
        let digits = Array(text)
        handleType = type
        handle = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(digits[$0...($0 + 1)]), radix: 16)
        }
    }
}
