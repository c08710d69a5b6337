internal import CRImage
internal import LinuxKit

/// Files that name a task, or lie in mounts of nested namespaces: opened by the engine when the tasks exist, and handed to
/// the stubs that have them.
extension RestoreFiles {
    func openChannel() throws(EngineError) {
        let isNeeded =
            contents.openFiles.contains(where: \.isLate) || contents.inodes.contains { $0.mountNamespace != 0 }
        guard isNeeded else { return }
        channel = try EngineError.wrap("make a channel to the tasks") { () throws(LinuxError) in
            let pair = try RestoreCalls.socketPair()
            return (try lift(pair.0, "channel"), try lift(pair.1, "channel"))
        }
    }

    /// Opens everything that names a task.
    ///
    /// - Parameter passing: Called with the number of each file of a task that has ended, while there still is a task.
    /// - Precondition: All tasks exist, and none runs.
    func openTaskFiles(
        _ tree: RestoreTree, passing: (UInt32) throws(EngineError) -> Void
    ) throws(EngineError) {
        var ended: [UInt64: [OpenFileRecord]] = [:]
        for file in contents.openFiles where file.mountNamespace != 0 { try openNested(file, tree) }
        for file in contents.openFiles where file.kind.namesTask {
            if file.handle.hasEnded {
                ended[file.handle.identity, default: []].append(file)
            } else {
                try open(file, task: tree.outer(file.handle.task), tree)
            }
        }
        for (_, files) in ended.sorted(by: { $0.key < $1.key }) {
            guard let first = files.first else { continue }
            let handle = first.handle
            try tree.withPassingTask(handle.task, endingWith: handle.exitStatus) { (task) throws(EngineError) in
                for file in files {
                    try open(file, task: task, tree)
                    try passing(file.number)
                }
            }
        }
    }

    private func open(_ file: OpenFileRecord, task: Int32, _ tree: RestoreTree) throws(EngineError) {
        let object = "\(file.kind) of task \(file.handle.task)"
        openFiles[file.number] = try EngineError.wrap("open \(object)") { () throws(LinuxError) in
            let fd = try lift(try openTaskFile(file, task, tree), object)
            try setFlags(file, fd)
            if file.offset != 0, file.kind == .taskFile, file.flags & 0o10000000 == 0 {
                try RestoreCalls.seek(fd, to: file.offset, object)
            }
            return fd
        }
    }

    private func openTaskFile(_ file: OpenFileRecord, _ task: Int32, _ tree: RestoreTree) throws(LinuxError) -> Int32 {
        switch file.kind {
        case .pidfd:
            // PIDFD_NONBLOCK, PIDFD_THREAD
            return Int32(
                try Kernel.call(
                    .pidfd_open, Kernel.number(task), UInt64(file.flags & 0o4200), on: "task \(task)"))
        case .namespace: return try RestoreCalls.open("/proc/\(task)/ns/\(file.handle.path)", rawFlags: 0)
        default:
            var words = file.handle.path.split(separator: "/").map(String.init)
            if words.count >= 2, words[0] == "task", let thread = Int32(words[1]) {
                words[1] = "\(tree.outer(thread))"
            }
            let path = (["/proc/\(task)"] + words).joined(separator: "/")
            // Access mode, O_DIRECTORY, O_PATH, O_LARGEFILE; the last component may be one of proc's own links.
            let flags = UInt64(file.flags & 0o10700003)
            // Never through one of those links, and without a trace of that in the flags.
            let found = try RestoreCalls.open(path, rawFlags: 0o10400000)
            if flags & 0o10400000 == 0o10400000 { return found }
            defer { Files.close(found) }
            return try RestoreCalls.open("/proc/self/fd/\(found)", rawFlags: flags & ~0o400000)
        }
    }

    /// Gives a stub's table those files of `numbers` that were opened after the stub's birth.
    func deliver(_ numbers: [UInt32], to stub: RestoreStub) throws(EngineError) {
        if channel.read < 0 { return }
        let late = Set(contents.openFiles.lazy.filter(\.isLate).map(\.number))
        for number in Set(numbers).intersection(late).sorted() {
            if let fd = openFiles[number] { try hand(fd, to: stub) }
        }
    }

    /// Gives a stub's table a descriptor of the engine's, under the same number.
    private func hand(_ fd: Int32, to stub: RestoreStub) throws(EngineError) {
        try EngineError.wrap("hand fd \(fd) to the task", task: stub.tid) { () throws(LinuxError) in
            try RestoreCalls.send(fd, through: channel.write)
        }
        let message = try stub.put(PassedDescriptor.message(at: stub.area.data, fd: -1))
        // MSG_DONTWAIT | MSG_CMSG_CLOEXEC
        try stub.call(.recvmsg, [UInt64(channel.read), message, 0x4000_0040], doing: "take over fd \(fd)")
        let got = try stub.remote.read(at: message + UInt64(PassedDescriptor.offset), count: 4).half(at: 0)
        if got == UInt32(bitPattern: fd) { return }
        try stub.call(.dup3, [UInt64(got), UInt64(fd), 0o2000000], doing: "take over fd \(fd)")
        try stub.call(.close, [UInt64(got)], doing: "take over fd \(fd)")
    }

    // MARK: Nested mount namespaces

    private func openNested(_ file: OpenFileRecord, _ tree: RestoreTree) throws(EngineError) {
        guard let holder = tree.namespaces?.holders[file.mountNamespace] else {
            throw .image("open file \(file.number)", why: "nobody is in its mount namespace")
        }
        try seeing(holder) { () throws(EngineError) in
            openFiles[file.number] = try EngineError.wrap("open \(describe(file)) in a nested mount namespace") {
                () throws(LinuxError) in try lift(try open(file), describe(file))
            }
        }
    }

    /// Opens the files that a process maps and that only its own mounts show.
    ///
    /// - Precondition: The stub is in its mount namespace.
    func openMapped(_ space: AddressSpaceRecord, by stub: RestoreStub) throws(EngineError) {
        let mapped = Set(space.vmas.map(\.inode) + [space.executable])
        let nested = contents.inodes.filter { $0.mountNamespace != 0 && mapped.contains($0.number) }
        guard let number = nested.first?.mountNamespace else { return }
        try seeing(stub) { () throws(EngineError) in try openMapped(space, nested: number) }
        for inode in nested {
            if let fd = inodes[inode.number] { try hand(fd, to: stub) }
            if let fd = readers[inode.number] { try hand(fd, to: stub) }
        }
    }

    private func seeing(
        _ stub: RestoreStub, _ body: () throws(EngineError) -> Void
    ) throws(EngineError) {
        let visit = try EngineError.wrap("enter a nested mount namespace", task: stub.tid) { () throws(LinuxError) in
            try Namespaces.Visit(stub.outer, Namespaces.Flag.mount)
        }
        defer { visit.end() }
        try body()
    }

    // MARK: inotify

    /// The inotify instances, which are kept open to the end.
    var inotifies: Set<Int32> {
        Set(contents.openFiles.filter { $0.kind == .inotify }.compactMap { openFiles[$0.number] })
    }

    /// Which inodes without a path inotify watches; they must stay open until it does.
    var watchedInodes: Set<Int32> {
        let numbers = Set(contents.openFiles.flatMap { $0.watches.map(\.inode) })
        return Set(contents.openFiles.filter { numbers.contains($0.inode) }.compactMap { openFiles[$0.number] })
    }

    /// Adds the watches, when nothing that the engine does can be an event any more.
    func watch() throws(EngineError) {
        for file in contents.openFiles where !file.watches.isEmpty {
            guard let fd = openFiles[file.number] else { continue }
            var next: Int32 = 1
            for watch in file.watches {
                try EngineError.wrap("watch \(watch.path)") { () throws(LinuxError) in
                    try add(watch, to: fd, &next)
                }
            }
        }
    }

    private func add(_ watch: InotifyWatchValue, to fd: Int32, _ next: inout Int32) throws(LinuxError) {
        let place: Int32
        var own: Int32 = -1
        if watch.inode != 0 {
            let file = contents.openFiles.first { $0.inode == watch.inode && openFiles[$0.number] != nil }
            guard let file, let opened = openFiles[file.number] else {
                throw .call("inotify_add_watch", object: "a file without a name", .noEntry)
            }
            place = opened
        } else {
            // O_PATH | O_NOFOLLOW
            own = try Files.openPlain(watch.path, rawFlags: 0o10400000)
            place = own
        }
        defer { if own >= 0 { Files.close(own) } }
        if watch.watch != next { Files.setNextWatch(of: fd, watch.watch) }
        // The kernel counts up from 1 in each instance; bound the way for damaged images.
        for _ in 0..<1_000_000 {
            let got = try Files.addWatch(to: fd, "/proc/self/fd/\(place)", mask: watch.mask)
            next = got &+ 1
            if got == watch.watch { return }
            Files.removeWatch(from: fd, got)
            // Removing leaves an event behind, which nobody may see.
            try Files.drain(fd)
            guard got < watch.watch else { break }
        }
        throw .call("inotify_add_watch", object: "watch \(watch.watch)", .invalid)
    }
}
