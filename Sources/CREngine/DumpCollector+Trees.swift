internal import CRImage
internal import LinuxKit

/// What file systems in memory hold, read from a copy of the mount namespace.
extension DumpCollector {
    /// Content up to this size stands in the record itself.
    private static let inlineBytes: UInt64 = 4096
    /// How much content the records of a namespace hold together: one has at most 64 MiB.
    private static let inlineTotal: UInt64 = 16 << 20

    /// Reads the content of every file system that the image must carry.
    ///
    /// The engine makes a copy of the namespace for itself, in which it can take away what is mounted upon a folder; the
    /// workload's own mounts are not touched.
    func collectTrees(_ record: inout NamespaceRecord, _ pid: Int32, _ systems: [UInt64: Int]) throws(EngineError) {
        var wanted: [UInt64: Int] = [:]
        for (device, position) in systems {
            let system = record.fileSystems[position]
            if system.isOwn, Self.inMemory.contains(system.type) || Self.mustBeEmpty[system.type] != nil {
                wanted[device] = position
            }
        }
        if wanted.isEmpty { return }
        // Each larger file stays open until its content is written.
        _ = RestoreCalls.raiseFileLimit(to: 0)
        let visit = try EngineError.wrap("enter its mount namespace", task: pid) { () throws(LinuxError) in
            let visit = try Namespaces.Visit(pid, Namespaces.Flag.mount)
            try Namespaces.copyMounts()
            // MS_REC | MS_PRIVATE
            try Files.changePropagation("/", 1 << 18 | 1 << 14)
            return visit
        }
        defer { visit.end() }
        while !wanted.isEmpty {
            try checkInterruption()
            let table = try EngineError.wrap("read the copied mounts", task: pid) { () throws(LinuxError) in
                try Procfs.ownMounts()
            }
            var covering: String?
            var isProgress = false
            for entry in table {
                guard let position = wanted[entry.device] else { continue }
                guard entry.root == "/" || !table.contains(where: { $0.device == entry.device && $0.root == "/" })
                else {
                    continue
                }
                let shown = Self.mountShown(at: entry.mountPoint)
                if shown == entry.id {
                    try collectTree(&record.fileSystems[position], entry, pid)
                    wanted[entry.device] = nil
                    isProgress = true
                } else {
                    covering = table.first { $0.id == shown }?.mountPoint
                }
            }
            if isProgress { continue }
            guard let path = covering else {
                throw refuse(pid, "mount namespace", "a file system in memory has no mount that shows it")
            }
            try uncover(path, pid)
        }
    }

    /// The mount that one gets to at a path, or on the way to it where the path is hidden altogether.
    private static func mountShown(at path: String) -> Int? {
        var path = path
        while true {
            if let fd = try? Files.open(path, [.pathOnly, .noFollow]) {
                defer { Files.close(fd) }
                return try? Files.mountID(of: fd)
            }
            guard path != "/", let slash = path.lastIndex(of: "/") else { return nil }
            path = slash == path.startIndex ? "/" : String(path[..<slash])
        }
    }

    /// Takes away the topmost mount on a mount point.
    private func uncover(_ path: String, _ pid: Int32) throws(EngineError) {
        if path == "/" || (try? Files.unmount(path)) == nil {
            throw refuse(pid, "mount \(path)", "what it hides cannot be read")
        }
    }

    /// File systems that are made anew, and must not hold anything then.
    private static let mustBeEmpty: [String: Set<String>] = [
        "mqueue": [], "hugetlbfs": [], "binfmt_misc": ["register", "status"],
    ]

    private func collectTree(
        _ system: inout MountedFileSystemValue, _ entry: MountEntry, _ pid: Int32
    ) throws(EngineError) {
        let object = "mount \(entry.mountPoint) (\(system.type))"
        if entry.root != "/" {
            throw refuse(pid, object, "its root folder is mounted nowhere, so that its content cannot be read")
        }
        // One mount without what is mounted upon it.
        let root = try EngineError.wrap("open \(object)", task: pid) { () throws(LinuxError) in
            try Self.openAlone(entry.mountPoint)
        }
        defer { Files.close(root) }
        if let allowed = Self.mustBeEmpty[system.type] {
            let names = (try? Files.names(in: root, object: object)) ?? []
            if let name = names.map({ String(decoding: $0, as: UTF8.self) }).first(where: { !allowed.contains($0) }) {
                throw refuse(pid, object, "it holds '\(name)', which is not carried")
            }
            return
        }
        var known: [FileIdentity: String] = [:]
        try walk(root, "", &system.entries, &known, object, pid)
    }

    /// The root of a mount, without what is mounted upon it where that can be had.
    private static func openAlone(_ path: String) throws(LinuxError) -> Int32 {
        do throws(LinuxError) {
            let clone = try Files.cloneMount(path)
            defer { Files.close(clone) }
            return try Files.open("/proc/self/fd/\(clone)", .readOnly)
        } catch {
            // The mounts of a user namespace are locked together; then what is mounted upon it stays there.
            guard error.errno == .invalid else { throw error }
        }
        return try Files.open(path, [.readOnly, .directory])
    }

    private func walk(
        _ folder: Int32, _ path: String, _ entries: inout [FileEntryValue], _ known: inout [FileIdentity: String],
        _ object: String, _ pid: Int32
    ) throws(EngineError) {
        try checkInterruption()
        do {
            let device = try Files.status(of: folder).device
            entries.append(try self.entry(folder, path, &known))
            for bytes in try Files.names(in: folder, object: path) {
                let name = String(decoding: bytes, as: UTF8.self)
                guard name.utf8.elementsEqual(bytes) else {
                    throw refuse(pid, "\(object), \(path)/\(name)", "its name is not valid UTF-8")
                }
                let below = path.isEmpty ? name : "\(path)/\(name)"
                let fd = try Files.open(at: folder, name, [.pathOnly, .noFollow])
                defer { Files.close(fd) }
                let status = try Files.status(of: fd)
                if status.device != device {
                    // A mount point that something is mounted upon; what it hides is empty as a rule.
                    var hidden = FileEntryValue()
                    hidden.path = below
                    hidden.mode = status.kind == .directory ? 0o40755 : 0o100644
                    (hidden.uid, hidden.gid) = (entries.first?.uid ?? 0, entries.first?.gid ?? 0)
                    entries.append(hidden)
                } else if status.kind == .directory {
                    // O_NOATIME
                    let flags = Files.OpenFlags(rawValue: 0o1000000).union(.directory).union(.noFollow)
                    let inner = try Files.open(at: folder, name, flags)
                    defer { Files.close(inner) }
                    try walk(inner, below, &entries, &known, object, pid)
                } else {
                    entries.append(try self.entry(fd, below, &known))
                }
            }
        } catch let error as LinuxError {
            throw .system(error, task: pid, doing: "read \(object)")
        } catch let error as EngineError {
            throw error
        } catch {
            throw refuse(pid, object, "it cannot be read")
        }
    }

    /// One file by a descriptor that may be O_PATH.
    private func entry(
        _ fd: Int32, _ path: String, _ known: inout [FileIdentity: String]
    ) throws(LinuxError) -> FileEntryValue {
        let status = try Files.status(of: fd)
        var value = FileEntryValue()
        value.path = path
        value.mode = status.mode
        value.uid = status.uid
        value.gid = status.gid
        value.device = status.specialDevice
        value.modifiedNanoseconds = status.modifiedNanoseconds
        if status.kind != .directory, status.links > 1 {
            if let first = known[status.identity] {
                value.hardLink = first
                return value
            }
            known[status.identity] = path
        }
        value.attributes = try Files.attributes(of: fd).map { FileAttributeValue(name: $0.name, value: $0.value) }
        if status.kind == .symbolicLink { value.content = try Files.link(at: fd, "") }
        guard status.kind == .regular else { return value }
        value.sizeBytes = status.sizeBytes
        if status.sizeBytes == 0 { return value }
        let file = try Files.open("/proc/self/fd/\(fd)", Files.OpenFlags(rawValue: 0o1000000))
        if status.sizeBytes <= Self.inlineBytes, inlineSum + status.sizeBytes <= Self.inlineTotal {
            inlineSum += status.sizeBytes
            defer { Files.close(file) }
            value.content = try Files.prefix(of: file, count: Int(status.sizeBytes))
        } else {
            value.number = newNumber()
            contentFiles.append(Content(inode: value.number, fd: file, sizeBytes: status.sizeBytes))
        }
        return value
    }
}
