internal import CRImage
internal import LinuxKit

/// System V objects: those that the tree has attached, made or used last; all, when the IPC namespace is its own.
///
/// - Precondition: The engine visits the root's IPC namespace.
extension DumpCollector {
    /// Records the segment behind a VMA.
    ///
    /// - Parameters:
    ///   - id: The inode number of the mapping, which is the segment's ID.
    ///   - name: `/SYSV` and the key with which it was made.
    func segment(_ id: UInt64, inode: UInt32, name: String, of process: Int32, _ object: String) throws(EngineError) {
        guard let id = Int32(exactly: id), !contents.systemV.contains(where: { $0.kind == .segment && $0.id == id })
        else { return }
        let found: SystemV.Segment
        do {
            found = try SystemV.segment(id)
        } catch {
            throw refuse(process, object, "its segment \(id) is not in the IPC namespace of the tree: \(error)")
        }
        var record = SystemVRecord()
        record.kind = .segment
        record.id = id
        record.inode = inode
        record.sizeBytes = found.sizeBytes
        set(&record, found.permissions)
        // A removed segment has lost its key, but its name in the list of mappings still says it.
        record.isRemoved = found.permissions.mode & 0o1000 != 0
        if record.isRemoved, let key = UInt32(name.dropFirst(5).prefix(8), radix: 16) {
            record.key = Int32(bitPattern: key)
        }
        contents.systemV.append(record)
    }

    private func set(_ record: inout SystemVRecord, _ permissions: SystemV.Permissions) {
        record.key = permissions.key
        record.mode = permissions.mode & 0o777
        record.isLocked = permissions.mode & 0o2000 != 0
        record.uid = permissions.uid
        record.gid = permissions.gid
        record.creatorUid = permissions.creatorUid
        record.creatorGid = permissions.creatorGid
    }

    /// Records what no mapping leads to.
    func collectSystemV() throws(EngineError) {
        guard let root = tree.processes.first?.subject else { return }
        let pids = Set(tree.processes.map { Int64($0.pid) })
        let own = try? Files.link("/proc/\(root)/ns/ipc")
        let takesAll = own != namespaceBook.engine["ipc"]
        try refuseOtherNamespaces(own)
        var records: [SystemVRecord] = []
        var sets: [(id: Int32, values: [UInt16])] = []
        var opened: [(index: Int, fd: Int32, status: FileStatus)] = []
        let known = Set(contents.systemV.filter { $0.kind == .segment }.map { Int64($0.id) })
        try EngineError.wrap("read the System V objects", task: root) { () throws(LinuxError) in
            // Kernels without System V IPC have no such tables.
            for line in (try? SystemV.table("shm")) ?? [] where line.count > 6 && !known.contains(line[1]) {
                let user = [line[5], line[4]].first { pids.contains($0) }
                guard takesAll || user != nil, let id = Int32(exactly: line[1]) else { continue }
                let found = try SystemV.segment(id)
                var record = SystemVRecord()
                record.kind = .segment
                record.id = id
                record.sizeBytes = found.sizeBytes
                record.user = inner(Int32(truncatingIfNeeded: user ?? 0))
                set(&record, found.permissions)
                let fd = try SystemV.open(segment: id, sizeBytes: found.sizeBytes, writable: false)
                opened.append((records.count, fd, try Files.status(of: fd)))
                records.append(record)
            }
            for line in (try? SystemV.table("sem")) ?? [] where line.count > 3 {
                guard let id = Int32(exactly: line[1]) else { continue }
                let users = SystemV.lastUsers(ofSemaphores: id, count: Int(line[3])).filter {
                    pids.contains(Int64($0))
                }
                let found = try SystemV.semaphores(id)
                sets.append((id, found.values))
                guard takesAll || !users.isEmpty else { continue }
                var record = SystemVRecord()
                record.kind = .semaphores
                record.id = id
                record.user = inner(users.first ?? 0)
                record.values = found.values.map { UInt64($0) }
                set(&record, found.permissions)
                records.append(record)
            }
            for line in (try? SystemV.table("msg")) ?? [] where line.count > 6 {
                let user = [line[5], line[6]].first { pids.contains($0) }
                guard takesAll || user != nil, let id = Int32(exactly: line[1]) else { continue }
                let found = try SystemV.queue(id)
                var record = SystemVRecord()
                record.kind = .queue
                record.id = id
                record.user = inner(Int32(truncatingIfNeeded: user ?? 0))
                record.capacityBytes = found.capacityBytes
                set(&record, found.permissions)
                for index in 0..<Int(found.messages) {
                    var message = SystemVMessageValue()
                    (message.type, message.text) = try SystemV.message(id, at: index)
                    record.messages.append(message)
                }
                records.append(record)
            }
        }
        for (index, fd, status) in opened {
            var inode = InodeRecord()
            inode.number = newNumber()
            inode.kind = .systemVSegment
            inode.sizeBytes = status.sizeBytes
            inode.mode = status.mode
            if status.blockBytes > 65536 { inode.hugePageShift = UInt32(status.blockBytes.trailingZeroBitCount) }
            contents.inodes.append(inode)
            contentFiles.append(Content(inode: inode.number, fd: fd, sizeBytes: status.sizeBytes))
            records[index].inode = inode.number
        }
        try collectUndo(sets, takesAll: takesAll, &records)
        contents.systemV += records
    }

    /// Processes of a tree may have IPC namespaces of their own; only the root's is carried.
    private func refuseOtherNamespaces(_ own: String?) throws(EngineError) {
        var seen: Set<String?> = [own]
        for process in tree.processes where !process.isZombie {
            let link = try? Files.link("/proc/\(process.subject)/ns/ipc")
            guard seen.insert(link).inserted else { continue }
            let count = try EngineError.wrap("look into its IPC namespace", task: process.pid) {
                () throws(LinuxError) in
                let visit = try Namespaces.Visit(process.subject, Namespaces.Flag.ipc)
                defer { visit.end() }
                let queues = try MessageQueues.mount()
                defer { if let queues { Files.close(queues) } }
                let names = try queues.map { (fd) throws(LinuxError) in
                    try Files.names(in: Namespaces.reachable("/proc/self/fd/\(fd)"))
                }
                return ["shm", "sem", "msg"].reduce(names?.count ?? 0) {
                    $0 + ((try? SystemV.table($1).count) ?? 0)
                }
            }
            if count > 0 {
                throw refuse(
                    process.pid, "namespace \(link ?? "ipc")",
                    "it is not the root's IPC namespace, and \(count) System V objects and message queues are in it")
            }
        }
    }
}
