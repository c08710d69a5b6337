internal import CRImage
internal import LinuxKit

/// The open files of the image, opened once by the engine.
///
/// The stubs are forked from the engine, so they inherit every descriptor; all numbers lie above every number that the
/// workload uses, so that dup3(2) in the stub never overwrites one that is still needed.
final class RestoreFiles {
    /// Open file number to the engine's descriptor.
    var openFiles: [UInt32: Int32] = [:]
    /// Inode number to a descriptor to map it, or to fill it.
    var inodes: [UInt32: Int32] = [:]
    var notes: [String] = []
    /// Files of carried file systems whose content comes in page runs.
    var content: (UInt32) -> (fd: Int32, sizeBytes: UInt64)? = { _ in nil }
    private var mine: [Int32] = []
    /// Where inodes can be opened that have lost their name; see `RestoreFiles+Names.swift`.
    var places: [UInt32: String] = [:]
    /// Names and folders that last only while everything is opened.
    var passingNames: [String] = []
    var passingFolders: [String] = []
    /// Open files that the engine has under a number of the workload; see ``chooseHomes()``.
    var homes: [UInt32: Int32] = [:]
    /// Folders of ended tasks that everybody who works there has entered.
    var passedFolders: Set<UInt32> = []
    /// Through which stubs get what is opened after their birth; both ends are inherited.
    var channel: (read: Int32, write: Int32) = (-1, -1)
    /// The lowest number that is free for the engine's descriptors.
    let base: Int32
    let contents: ImageContents
    var inodeRecords: [UInt32: InodeRecord] = [:]
    private var pipeEnds: [UInt32: (read: Int32, write: Int32)] = [:]
    /// The first open file on each end of a pipe, and on a pipe that has a name.
    private var firstEnds: [UInt32: (read: OpenFileRecord?, write: OpenFileRecord?, fifo: OpenFileRecord?)] = [:]
    let sockets: RestoreSockets
    let terminals: RestoreTerminals
    let systemV: RestoreSystemV
    /// By which names message queues can be opened.
    var queueNames: [UInt32: String] = [:]
    private var temporary: [Int32] = []

    init(_ contents: ImageContents, tcp: TCPConnections = .keep) {
        self.contents = contents
        systemV = RestoreSystemV(contents)
        sockets = RestoreSockets(contents, tcp: tcp)
        terminals = RestoreTerminals(contents)
        let wanted = contents.fileTables.flatMap { $0.entries.map(\.fd) }
        let watched = contents.openFiles.flatMap { $0.epollTargets.map(\.fd) }
        // Below 64 are the engine's own descriptors, which stubs must not mistake for the workload's.
        base = max(64, (wanted + watched).max() ?? 0) + 1
        for inode in contents.inodes { inodeRecords[inode.number] = inode }
        // Before the root's stub is there, which inherits it.
        let room = UInt64(base) + UInt64(contents.openFiles.count + 3 * contents.inodes.count + 256)
        if RestoreCalls.raiseFileLimit(to: room) < room { chooseHomes() }
        // As long as nobody shares it the table of descriptors grows at once; later the kernel waits until no processor
        // looks at the old one (synchronize_rcu), for some ten milliseconds.
        if let fd = try? Files.open("/", .pathOnly) {
            if let last = try? RestoreCalls.control(fd, 1030, room - 1, "a folder") { Files.close(Int32(last)) }
            Files.close(fd)
        }
    }

    /// Closes the engine's copies; the stubs keep theirs.
    func close() {
        systemV.undo()
        sockets.inet.abandon()
        closeMost(but: [])
    }

    /// - Parameter kept: Descriptors that stay open until ``close()``.
    func closeMost(but kept: Set<Int32>) {
        sockets.close()
        for fd in mine + temporary where !kept.contains(fd) { Files.close(fd) }
        mine = mine.filter { kept.contains($0) }
        temporary = []
        removePassingNames()
        removeQueueNames()
    }

    /// Closes what is there only to fill, map or enter inodes.
    func closeInodes() {
        let given = Set(openFiles.values)
        let fds = Set(Array(inodes.values) + Array(readers.values) + Array(writers.values)).subtracting(given)
        for fd in fds { Files.close(fd) }
        mine.removeAll { fds.contains($0) }
        inodes = [:]
        readers = [:]
        writers = [:]
    }

    /// Moves a descriptor above ``base``.
    func lift(_ fd: Int32, _ object: @autoclosure () -> String) throws(LinuxError) -> Int32 {
        // F_DUPFD_CLOEXEC
        let lifted = Int32(try RestoreCalls.control(fd, 1030, UInt64(base), object()))
        Files.close(fd)
        mine.append(lifted)
        return lifted
    }

    /// Moves a descriptor to the number that it has in the workload, where that is free for it.
    func settle(_ fd: Int32, _ file: OpenFileRecord) throws(LinuxError) -> Int32? {
        guard let home = homes[file.number] else { return nil }
        let settled = Int32(try RestoreCalls.control(fd, 1030, UInt64(home), describe(file)))  // F_DUPFD_CLOEXEC
        guard settled == home else {
            Files.close(settled)
            return nil
        }
        Files.close(fd)
        mine.append(settled)
        return settled
    }

    /// Moves a descriptor to where it stays until the workload has it.
    private func keep(_ fd: Int32, for file: OpenFileRecord) throws(LinuxError) -> Int32 {
        if let settled = try settle(fd, file) { return settled }
        return try lift(fd, describe(file))
    }

    /// Opens everything.
    func open() throws(EngineError) {
        try openChannel()
        try makePassingNames()
        for inode in contents.inodes where inode.kind.hasContent && inode.kind != .systemVSegment { try create(inode) }
        try systemV.create { (inode, fd) throws(LinuxError) in
            inodes[inode] = try lift(fd, "System V segment")
        }
        for space in contents.addressSpaces { try openMapped(space) }
        findPipeEnds()
        for pipe in contents.pipes { try create(pipe) }
        try openMessageQueues()
        try sockets.open { (fd, object) throws(LinuxError) in try lift(fd, object) }
        for inode in contents.inodes where inode.kind == .packetRing {
            inodes[inode.number] = sockets.descriptors[UInt32(truncatingIfNeeded: inode.device)]
        }
        try terminals.create { (fd, object) throws(LinuxError) in try lift(fd, object) }
        for file in contents.openFiles {
            if file.kind == .socket {
                // Those that need a task to be made come later.
                if let fd = sockets.descriptors[file.socket] { openFiles[file.number] = fd }
                continue
            }
            if file.isLate || file.kind == .external || openFiles[file.number] != nil { continue }
            let fd = try EngineError.wrap("open \(describe(file))") { () throws(LinuxError) in
                try keep(try open(file), for: file)
            }
            openFiles[file.number] = fd
        }
        try terminals.finish { fd in
            mine.removeAll { $0 == fd }
            Files.close(fd)
        }
        for process in contents.processes { terminals.consoles[process.consoleFile] = openFiles[process.consoleFile] }
        notes += terminals.notes
        // Only now: a pipe that has lost one side must not lose it before its content is in it.
        for (number, ends) in pipeEnds {
            if firstEnds[number]?.read == nil { Files.close(ends.read) }
            if firstEnds[number]?.write == nil { Files.close(ends.write) }
        }
        for fd in temporary { Files.close(fd) }
        temporary = []
        removePassingNames()
        removeQueueNames()
    }

    func describe(_ file: OpenFileRecord) -> String {
        let path = inodeRecords[file.inode]?.path ?? file.terminalPath
        return path.isEmpty ? "\(file.kind) \(file.number)" : path
    }

    // MARK: Inodes

    private func create(_ inode: InodeRecord) throws(EngineError) {
        let fd = try EngineError.wrap("create \(inode.kind) \(inode.path)") { () throws(LinuxError) in
            var fd: Int32
            switch inode.kind {
            case .deleted: fd = try createNameless(inode)
            case .memfd: fd = try Files.memfd(inode.path, hugePageShift: inode.hugePageShift)
            default: fd = try createSharedMemory(inode)
            }
            fd = try lift(fd, inode.path)
            if inode.kind == .sharedMemory { return fd }
            try RestoreCalls.truncate(fd, inode.sizeBytes)
            // Before any seal: one that forbids executing forbids writing too where the mode allows executing.
            if inode.kind == .memfd { dress(fd, inode) }
            return fd
        }
        inodes[inode.number] = fd
        if programs.contains(inode.number) {
            writers[inode.number] = fd
            inodes[inode.number] = try EngineError.wrap("open the program \(inode.path)") { () throws(LinuxError) in
                try lift(try RestoreCalls.open("/proc/self/fd/\(fd)", rawFlags: 0), inode.path)
            }
            return
        }
        if inode.kind == .memfd || inode.isLinkable {
            writers[inode.number] = try EngineError.wrap("open \(inode.kind) \(inode.path)") { () throws(LinuxError) in
                try lift(try RestoreCalls.open("/proc/self/fd/\(fd)", rawFlags: 2), inode.path)
            }
        }
    }

    /// Programs that have lost their name. While one is open for writing, no process can show it as its own.
    lazy var programs: Set<UInt32> = Set(
        contents.addressSpaces.map(\.executable).filter { number in
            inodeRecords[number].map { $0.kind == .deleted && !$0.isWritten } ?? false
        })

    /// Whether a program's content is yet to come.
    func isUnfinished(_ program: UInt32) -> Bool { programs.contains(program) && writers[program] != nil }

    /// Takes from the root's stub what only the engine writes to.
    func keepWriters(from root: RestoreStub) throws(EngineError) {
        for number in programs {
            if let fd = writers[number] { try root.call(.close, [UInt64(fd)], doing: "leave a program to the engine") }
        }
    }

    /// Ends writing to programs, so that they can run.
    func finishPrograms() {
        for number in programs {
            guard let fd = writers.removeValue(forKey: number) else { continue }
            Files.close(fd)
            mine.removeAll { $0 == fd }
        }
    }

    /// Seals go on when the content is in.
    func seal() throws(EngineError) {
        try systemV.removeMarked()
        notes += systemV.notes
        for inode in contents.inodes where inode.kind == .memfd && inode.seals != 0 {
            guard let fd = inodes[inode.number] else { continue }
            try EngineError.wrap("seal memfd \(inode.path)") { () throws(LinuxError) in
                _ = try RestoreCalls.control(fd, 1033, UInt64(inode.seals), inode.path)  // F_ADD_SEALS
            }
        }
        setTimes()
    }

    /// Shared anonymous memory can only be mapped; the mapping leads to a descriptor.
    private func createSharedMemory(_ inode: InodeRecord) throws(LinuxError) -> Int32 {
        do {
            return try RestoreCalls.sharedMemory(bytes: inode.sizeBytes, hugePageShift: inode.hugePageShift)
        } catch {
            guard error.errno == .notPermitted || error.errno == .noEntry else { throw error }
            notes.append("shared anonymous memory shows as a memfd: \(error)")
            let fd = try Files.memfd("shared-memory", hugePageShift: inode.hugePageShift)
            try RestoreCalls.truncate(fd, inode.sizeBytes)
            return fd
        }
    }

    /// What to map for a VMA: a shared mapping that must never become writable comes from a descriptor for reading.
    func descriptor(toMap vma: VMAValue) -> Int32? {
        if vma.kind == .sharedFile, !vma.flags.contains(.mayWrite), let fd = readers[vma.inode] { return fd }
        return inodes[vma.inode]
    }

    func sizeBytes(of inode: UInt32) -> UInt64 { inodeRecords[inode]?.sizeBytes ?? 0 }

    /// Where to write the content of an inode.
    func descriptor(toFill inode: UInt32) -> Int32? { writers[inode] ?? inodes[inode] }

    /// - Parameter nested: Number of the mount namespace that the engine sees; 0 for the root process's.
    func openMapped(_ space: AddressSpaceRecord, nested: UInt32 = 0) throws(EngineError) {
        var writable: Set<UInt32> = []
        var wanted: [UInt32] = space.executable == 0 ? [] : [space.executable]
        for vma in space.vmas where vma.inode != 0 {
            wanted.append(vma.inode)
            if vma.kind == .sharedFile, vma.flags.contains(.mayWrite) || vma.protection & 2 != 0 {
                writable.insert(vma.inode)
            }
        }
        for number in wanted {
            guard let inode = inodeRecords[number], !inode.kind.hasContent, inode.kind != .packetRing,
                inode.mountNamespace == nested
            else { continue }
            if inodes[number] != nil, !writable.contains(number) || writableInodes.contains(number) { continue }
            let isWritable = writable.contains(number)
            inodes[number] = try EngineError.wrap("open the mapped file \(inode.path)") { () throws(LinuxError) in
                try lift(try Files.openPlain(place(of: inode), rawFlags: isWritable ? 2 : 0), inode.path)
            }
            if isWritable { writableInodes.insert(number) }
        }
        for vma in space.vmas where vma.kind == .sharedFile && !vma.flags.contains(.mayWrite) {
            guard readers[vma.inode] == nil, let fd = inodes[vma.inode],
                inodeRecords[vma.inode]?.kind != .packetRing
            else { continue }
            readers[vma.inode] = try EngineError.wrap("open the mapped file for reading") { () throws(LinuxError) in
                try lift(try RestoreCalls.open("/proc/self/fd/\(fd)", rawFlags: 0), "a mapped file")
            }
        }
    }

    private var writableInodes: Set<UInt32> = []
    /// Descriptors for reading, of inodes that are mapped so.
    var readers: [UInt32: Int32] = [:]
    /// Descriptors to fill memfds with: their first ones go to the workload.
    private var writers: [UInt32: Int32] = [:]
    private var givenAway: Set<UInt32> = []

    // MARK: Pipes

    private func findPipeEnds() {
        for file in contents.openFiles where file.pipe != 0 {
            var ends = firstEnds[file.pipe] ?? (nil, nil, nil)
            switch (file.kind, file.flags & 0o3) {
            case (.fifo, _): ends.fifo = ends.fifo ?? file
            case (.pipe, 0): ends.read = ends.read ?? file
            case (.pipe, 1): ends.write = ends.write ?? file
            default: continue
            }
            firstEnds[file.pipe] = ends
        }
    }

    private func create(_ pipe: PipeRecord) throws(EngineError) {
        try EngineError.wrap("create pipe \(pipe.number)") { () throws(LinuxError) in
            let first = firstEnds[pipe.number]
            if let named = first?.fifo, let inode = inodeRecords[named.inode] {
                // Open for both, so that no open below waits for the other side, and the content has a place to stay.
                let fd = try Files.openPlain(place(of: inode), rawFlags: 0o4002)
                temporary.append(fd)
                try fill(pipe, through: fd)
            } else {
                var ends = try Files.pipe()
                try fill(pipe, through: ends.write)
                if let file = first?.read {
                    try setFlags(file, ends.read)
                    ends.read = try keep(ends.read, for: file)
                    openFiles[file.number] = ends.read
                }
                if let file = first?.write {
                    try setFlags(file, ends.write)
                    ends.write = try keep(ends.write, for: file)
                    openFiles[file.number] = ends.write
                }
                pipeEnds[pipe.number] = ends
            }
        }
    }

    private func fill(_ pipe: PipeRecord, through fd: Int32) throws(LinuxError) {
        // F_SETPIPE_SZ
        let answer = Kernel.attempt(.fcntl, UInt64(fd), 1031, UInt64(pipe.capacityBytes))
        if Kernel.errno(of: answer) != nil {
            notes.append("pipe \(pipe.number) could not get its capacity of \(pipe.capacityBytes) bytes")
        }
        if pipe.content.isEmpty { return }
        // O_NONBLOCK, so that content that does not fit is an error rather than a wait for ever.
        let packets = !pipe.packets.isEmpty
        try RestoreCalls.control(fd, 4, packets ? 0o44000 : 0o4000, "pipe \(pipe.number)")  // F_SETFL
        var offset = 0
        let pieces = packets ? pipe.packets.map { Int($0) } : [pipe.content.count]
        for count in pieces where count > 0 {
            try Files.write(fd, Array(pipe.content[offset..<(offset + count)]))
            offset += count
        }
    }

    // MARK: Open files

    /// Access mode and what open(2) must be told: O_DIRECTORY, O_PATH, O_SYNC, O_DSYNC, O_NOFOLLOW, O_LARGEFILE.
    static let openOnly: UInt32 = 0o3 | 0o200000 | 0o10000000 | 0o4010000 | 0o400000 | 0o100000
    /// What F_SETFL can change: O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME.
    private static let settable: UInt32 = 0o2000 | 0o4000 | 0o20000 | 0o40000 | 0o1000000

    func open(_ file: OpenFileRecord) throws(LinuxError) -> Int32 {
        let fd: Int32
        switch file.kind {
        case .inode: fd = try openInode(file)
        case .pipe: fd = try openPipeEnd(file)
        case .fifo:
            // Without O_NONBLOCK the open could wait for the other side.
            guard let inode = inodeRecords[file.inode] else {
                throw .call("open", object: describe(file), .badDescriptor)
            }
            fd = try Files.openPlain(place(of: inode), rawFlags: UInt64(file.flags & 0o3) | 0o4000)
        case .eventfd: fd = try RestoreCalls.eventfd(count: file.eventCount, isSemaphore: file.eventIsSemaphore)
        case .epoll:
            fd = try RestoreCalls.epoll()
            if file.epollPolling != 0 {
                do throws(LinuxError) { try Files.setPollParameters(of: fd, file.epollPolling) } catch {
                    notes.append("\(describe(file)) does not poll network devices as it did: \(error)")
                }
            }
        case .signalfd: fd = try RestoreCalls.signalfd(mask: file.signalMask)
        case .timerfd: fd = try RestoreCalls.timerfd(clock: file.timer.clock)
        case .inotify: fd = try Files.inotify()
        case .socket, .pidfd, .taskFile, .namespace, .external:
            throw .call("open", object: describe(file), .badDescriptor)
        case .terminalMaster, .terminalSlave: fd = try terminals.open(file)
        }
        try setFlags(file, fd)
        return fd
    }

    func setFlags(_ file: OpenFileRecord, _ fd: Int32) throws(LinuxError) {
        if file.flags & 0o10000000 != 0 { return }
        let wanted = UInt64(file.flags & Self.settable)
        let now = try RestoreCalls.control(fd, 3, 0, describe(file)) & UInt64(Self.settable)  // F_GETFL
        if wanted != now { try RestoreCalls.control(fd, 4, wanted, describe(file)) }
        if file.ownerSignal != 0 {
            try RestoreCalls.control(fd, 10, UInt64(file.ownerSignal), describe(file))  // F_SETSIG
        }
    }

    /// Makes the sockets that need a task to be made by.
    func connectSockets(_ root: RestoreStub, _ tree: RestoreTree) throws(EngineError) {
        let first = max(mine.max() ?? 0, base) + 1
        mine += try sockets.connect(root, tree, firstNumber: first)
        for file in contents.openFiles where file.kind == .socket {
            if let fd = sockets.descriptors[file.socket] { openFiles[file.number] = fd }
        }
    }

    /// Gives sockets what must wait until they are connected and filled.
    ///
    /// - Precondition: All tasks exist, and none runs.
    func finishSockets(outer: (Int32) -> Int32) throws(EngineError) {
        try sockets.finish(openFiles, outer: outer)
        notes += sockets.notes
        for file in contents.openFiles where file.kind == .socket {
            guard let fd = openFiles[file.number] else { continue }
            try EngineError.wrap("set the flags of \(describe(file))") { () throws(LinuxError) in
                try setFlags(file, fd)
            }
        }
    }

    private func openInode(_ file: OpenFileRecord) throws(LinuxError) -> Int32 {
        let fd: Int32
        let flags = UInt64(file.flags & Self.openOnly)
        let inode = inodeRecords[file.inode]
        if let content = inodes[file.inode], let inode,
            inode.kind == .memfd && flags & 3 == 2 || inode.isLinkable && flags & ~0o100000 == 2,
            givenAway.insert(file.inode).inserted
        {
            // What was made without a name shows that in its flags, for a later dump.
            // The descriptor that memfd_create(2) gave does not count as open for writing, any later one does: with that
            // the file could not be executed. F_DUPFD_CLOEXEC
            fd = Int32(try RestoreCalls.control(content, 1030, 0, describe(file)))
        } else if let content = inodes[file.inode], inodeRecords[file.inode]?.kind == .messageQueue {
            fd = try openQueue(file, content)
        } else if let content = inodes[file.inode], inodeRecords[file.inode]?.kind.hasContent == true {
            // The same inode, an open file of its own. O_TMPFILE leaves O_DIRECTORY in the flags.
            fd = try RestoreCalls.open("/proc/self/fd/\(content)", rawFlags: flags & ~0o600000)
        } else if let inode = inodeRecords[file.inode], let content = inodes[file.inode], inode.isRemoved,
            inode.kind == .directory
        {
            fd = try RestoreCalls.open("/proc/self/fd/\(content)", rawFlags: flags & ~0o400000)
        } else {
            guard let inode = inodeRecords[file.inode] else {
                throw .call("open", object: describe(file), .badDescriptor)
            }
            fd = try Files.openPlain(place(of: inode), rawFlags: flags | 0o4000 | 0o400)  // O_NONBLOCK|O_NOCTTY
        }
        if file.flags & 0o10000000 == 0, inodeRecords[file.inode]?.kind != .device, file.offset != 0 {
            try RestoreCalls.seek(fd, to: file.offset, describe(file))
        }
        return fd
    }

    private func openPipeEnd(_ file: OpenFileRecord) throws(LinuxError) -> Int32 {
        guard let ends = pipeEnds[file.pipe] else { throw .call("pipe2", object: describe(file), .badDescriptor) }
        let mode = file.flags & 0o3
        let end = mode == 0 ? ends.read : ends.write
        // The first ones are the pipe's own ends; this is a further one, as /proc/self/fd gives it.
        return try RestoreCalls.open("/proc/self/fd/\(end)", rawFlags: UInt64(mode))
    }

    /// Arms the timers and names who is signalled; at the very end, when the tasks exist.
    ///
    /// - Parameter outer: TID of the image to the TID that the engine sees.
    func arm(outer: (Int32) -> Int32) throws(EngineError) {
        for file in contents.openFiles {
            guard let fd = openFiles[file.number] else { continue }
            try EngineError.wrap("set up \(describe(file))") { () throws(LinuxError) in
                if file.ownerID != 0 {
                    let id = file.ownerID < 0 ? -outer(-file.ownerID) : outer(file.ownerID)
                    try RestoreCalls.setOwner(
                        of: fd, kind: file.ownerKind, id: id,
                        as: (user: file.ownerUser, effective: file.ownerEffectiveUser))
                }
                guard file.kind == .timerfd else { return }
                try RestoreCalls.setTimer(fd, file.timer)
                if file.timer.ticks != 0 { try RestoreCalls.setTicks(fd, file.timer.ticks) }
            }
        }
    }
}
