extension ImageContents {
    /// Handles, watches, locks and names of what has lost its own.
    func handlesFit() throws(ImageError) {
        let files = Set(openFiles.map(\.number))
        let inodeNumbers = Set(inodes.map(\.number))
        let spaces = Set([0] + namespaces.filter { $0.kind == .mount }.map(\.number))
        let slash = UInt8(ascii: "/")
        for inode in inodes {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "inode \(inode.number)", why: why) }
            guard inode.otherName.isEmpty || inode.otherName.utf8.first == slash else {
                throw fail("its other name is not absolute")
            }
            guard spaces.contains(inode.mountNamespace), inode.mountNamespace == 0 || !inode.kind.hasContent else {
                throw fail("the mounts that show it are not in the image")
            }
            guard !inode.isRemoved || !inode.kind.hasContent else {
                throw fail("it has content of its own and a removed name")
            }
            guard !inode.path.utf8.contains(0), !inode.otherName.utf8.contains(0), !inode.target.utf8.contains(0) else {
                throw fail("its name holds a zero byte")
            }
        }
        for file in openFiles {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "open file \(file.number)", why: why) }
            for watch in file.watches {
                guard watch.watch > 0, watch.path.isEmpty != (watch.inode == 0),
                    watch.path.isEmpty || watch.path.utf8.first == slash,
                    watch.inode == 0 || inodeNumbers.contains(watch.inode)
                else { throw fail("its watch \(watch.watch) watches nothing") }
            }
            guard Self.isBelow(file.handle.path) else { throw fail("its path leads out of the task's folder") }
            if file.kind.namesTask, !file.handle.hasEnded {
                guard file.handle.task > 0 else { throw fail("it names no task") }
            }
            guard spaces.contains(file.mountNamespace), file.mountNamespace == 0 || file.kind == .inode else {
                throw fail("the mounts in which it was opened are not in the image")
            }
            guard (file.kind == .external) == !file.externalName.isEmpty else {
                throw fail("it is external and has no name, or the other way round")
            }
            if file.kind == .namespace, file.handle.path.isEmpty || file.handle.path.utf8.contains(slash) {
                throw fail("it names no namespace")
            }
        }
        for system in fileSystems {
            for file in [system.workingDirectoryFile, system.rootFile] where file != 0 && !files.contains(file) {
                throw .inconsistent(record: "file system \(system.number)", why: "open file \(file) is not there")
            }
        }
        let tables = Set(fileTables.map(\.number))
        let systems = Set(fileSystems.map(\.number))
        for task in tasks {
            guard task.fileTable == 0 || tables.contains(task.fileTable) && task.tid != task.process,
                task.fileSystem == 0 || systems.contains(task.fileSystem) && task.tid != task.process
            else { throw .inconsistent(record: "task \(task.tid)", why: "its own tables are not there") }
        }
        try locksFit()
    }

    /// Whether a path stays below the folder where it starts.
    private static func isBelow(_ path: String) -> Bool {
        !path.utf8.contains(0) && path.utf8.first != UInt8(ascii: "/")
            && !path.split(separator: "/").contains { $0 == ".." || $0 == "." }
    }

    private func locksFit() throws(ImageError) {
        var tables: [UInt32: [Int32: UInt32]] = [:]
        for table in fileTables {
            tables[table.number] = Dictionary(
                table.entries.map { ($0.fd, $0.openFile) }, uniquingKeysWith: { first, _ in first })
        }
        var own: [Int32: UInt32] = [:]
        for process in processes where !process.isZombie { own[process.pid] = process.fileTable }
        for task in tasks where task.fileTable != 0 { own[task.tid] = task.fileTable }
        for lock in fileLocks {
            func fail(_ why: String) -> ImageError {
                .inconsistent(record: "lock of open file \(lock.openFile)", why: why)
            }
            guard let table = own[lock.process], tables[table]?[lock.fd] == lock.openFile else {
                throw fail("task \(lock.process) has not got the file as fd \(lock.fd)")
            }
            guard lock.type <= 2, lock.first <= lock.last, lock.last <= UInt64(Int64.max) else {
                throw fail("its type or range is none")
            }
        }
    }
}

extension OpenFileKind {
    /// Whether it refers to a task, which must exist before it can be opened.
    public var namesTask: Bool { self == .pidfd || self == .taskFile || self == .namespace }
}

extension OpenFileRecord {
    /// Whether it can only be opened when there are tasks: it names one, or only a nested mount namespace shows it.
    public var isLate: Bool { kind.namesTask || mountNamespace != 0 }
}
