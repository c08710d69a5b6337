internal import CRImage
internal import LinuxKit

/// UNIX sockets: names, peers, who waits to be accepted, and what is in the queues.
extension DumpCollector {
    /// Notes a UNIX socket; the rest follows when all descriptors are known.
    func collectUnixSocket(_ socket: KnownSocket, _ record: SocketRecord, inode: UInt64) {
        var unix = UnixSocketRecord()
        unix.socket = record.number
        unixSockets.append((inode, socket, record.type))
        contents.unixSockets.append(unix)
    }

    /// Completes all UNIX sockets. Descriptors that travel in messages can bring further ones, and files of any kind.
    func collectUnixSockets() throws(EngineError) {
        guard !unixSockets.isEmpty else { return }
        let all: [UInt32: UnixDiagnostics.Socket]
        do throws(LinuxError) { all = try UnixDiagnostics.sockets() } catch {
            guard error.errno == .noEntry || error.errno == .notSupported, let first = unixSockets.first?.socket else {
                throw .system(error, task: nil, doing: "list the UNIX sockets")
            }
            throw refuse(first.process, first.object, "this kernel does not show UNIX sockets (unix_diag)")
        }
        var index = 0
        while index < unixSockets.count {
            try checkInterruption()
            let (inode, socket, type) = unixSockets[index]
            guard let shown = UInt32(exactly: inode).flatMap({ all[$0] }) else {
                throw refuse(
                    socket.process, socket.object, "the kernel does not show it in the tree's network namespace")
            }
            var record = contents.unixSockets[index]
            try describe(&record, socket, shown, type)
            try name(&record, socket)
            try messages(&record, socket, shown, type)
            contents.unixSockets[index] = record
            index += 1
        }
        var listeners: [UInt32: UInt32] = [:]
        for socket in all.values { for client in socket.waiting { listeners[client] = socket.inode } }
        for index in unixSockets.indices {
            guard let inode = UInt32(exactly: unixSockets[index].inode), let shown = all[inode] else { continue }
            try connect(&contents.unixSockets[index], unixSockets[index].socket, shown, all, listeners)
        }
    }

    private func describe(
        _ record: inout UnixSocketRecord, _ socket: KnownSocket, _ shown: UnixDiagnostics.Socket, _ type: UInt32
    ) throws(EngineError) {
        record.state = shown.state == 10 ? .listening : shown.peer == nil ? .idle : .connected
        record.shutdown = UInt32(shown.shutdown)
        if record.state == .listening { record.backlog = Int32(truncatingIfNeeded: shown.unread) }
        let (credentials, groups, events) = try EngineError.wrap("ask about \(socket.object)", task: socket.process) {
            () throws(LinuxError) in
            // SO_PEERCRED; SO_PEERGROUPS; POLLPRI
            let credentials = try SocketCalls.option(socket.copy, 1, 17, capacity: 12)
            let groups =
                (try? SocketCalls.option(socket.copy, 1, 59, capacity: 256))
                ?? (try? SocketCalls.option(socket.copy, 1, 59, capacity: 65536 * 4)) ?? []
            return (credentials, groups, try Files.poll(socket.copy, events: 2))
        }
        if events & 2 != 0 { throw refuse(socket.process, socket.object, "urgent data (MSG_OOB) waits in it") }
        record.isReset = events & 8 != 0
        let pid = Int32(bitPattern: credentials.half(at: 0))
        guard credentials.count == 12, pid != 0 || credentials.half(at: 4) != .max else { return }
        record.peerCredentials.isPresent = true
        record.peerCredentials.pid = inner(pid)
        record.peerCredentials.uid = credentials.half(at: 4)
        record.peerCredentials.gid = credentials.half(at: 8)
        record.peerGroups = stride(from: 0, to: groups.count - 3, by: 4).map { UInt64(groups.half(at: $0)) }
    }

    private func name(_ record: inout UnixSocketRecord, _ socket: KnownSocket) throws(EngineError) {
        let object = socket.object
        record.name = try EngineError.wrap("read the name of \(object)", task: socket.process) {
            () throws(LinuxError) in Array(try SocketCalls.localAddress(socket.copy).dropFirst(2))
        }
        guard record.isPathName else { return }
        let found = try EngineError.wrap("find the file of \(object)", task: socket.process) {
            () throws(LinuxError) -> (link: String, status: FileStatus)? in
            guard let file = try SocketCalls.file(ofName: socket.copy) else { return nil }
            defer { Files.close(file) }
            return (try Files.link("/proc/self/fd/\(file)"), try Files.status(of: file))
        }
        guard let found else { return }
        (record.fileMode, record.fileUid, record.fileGid) = (found.status.mode, found.status.uid, found.status.gid)
        if found.status.links == 0 { return }
        let path = found.link
        try checkText(path, socket.process)
        if path.hasSuffix(" (deleted)") || !path.hasPrefix("/") {
            throw refuse(socket.process, "\(object), \(path)", "its name was removed while its file has other names")
        }
        let there = try? Files.status(of: visible(path, from: socket.process), follow: false)
        guard there?.identity == found.status.identity else {
            throw refuse(
                socket.process, "\(object), \(path)", "its name is hidden by something that was mounted over it")
        }
        guard rootShows(path, found.status, to: socket.process) else {
            throw refuse(
                socket.process, "\(object), \(path)",
                "the mount namespace of the root process does not show its name there")
        }
        record.path = path
    }

    // MARK: Queues

    private func messages(
        _ record: inout UnixSocketRecord, _ socket: KnownSocket, _ shown: UnixDiagnostics.Socket, _ type: UInt32
    ) throws(EngineError) {
        // A stream that was never connected has no queue to read.
        if record.state == .listening || type != 2 && record.state == .idle { return }
        let readable = shown.readable
        let queue: [UnixQueue.Message]
        do throws(LinuxError) {
            if record.isReset, type != 1 {
                // The pending error would be reported, and taken away, by the first look.
                guard try Files.poll(socket.copy, events: 1) & 1 == 0 || readable == 0 else {
                    throw .malformed(socket.object, why: "a pending error hides what follows")
                }
                return
            }
            queue = try UnixQueue.peek(socket.copy, type: type, readable: readable)
        } catch {
            if case .malformed(_, let why) = error {
                throw refuse(socket.process, socket.object, "in its queue, \(why)")
            }
            throw .system(error, task: socket.process, doing: "read the queue of \(socket.object)")
        }
        inFlight += queue.flatMap(\.files)
        for message in queue {
            var value = UnixMessageValue()
            value.bytes = message.bytes
            value.sender = message.sender
            if message.hasCredentials {
                value.credentials.isPresent = true
                value.credentials.pid = inner(message.pid)
                value.credentials.uid = message.uid
                value.credentials.gid = message.gid
            }
            for file in message.files { value.files.append(UInt64(try travelling(file, in: socket))) }
            record.messages.append(value)
        }
    }

    /// The number of an open file that is on its way in a message; the engine has a duplicate of it.
    private func travelling(_ fd: Int32, in socket: KnownSocket) throws(EngineError) -> UInt32 {
        let own = Int32(Kernel.attempt(.getpid))
        do throws(EngineError) {
            let (pidfd, link, info) = try EngineError.wrap("look at what travels through \(socket.object)") {
                () throws(LinuxError) in
                (try Pidfd.open(own), try Procfs.descriptorLink(own, fd), try Procfs.descriptorInfo(own, fd))
            }
            defer { Files.close(pidfd) }
            return try openFile(process: own, pidfd: pidfd, fd: fd, link: link, info: info)
        } catch .refused(var refusal) {
            refusal.task = socket.process
            refusal.object += ", on its way through \(socket.object)"
            throw .refused(refusal)
        }
    }

    // MARK: Connections

    private func connect(
        _ record: inout UnixSocketRecord, _ socket: KnownSocket, _ shown: UnixDiagnostics.Socket,
        _ all: [UInt32: UnixDiagnostics.Socket], _ listeners: [UInt32: UInt32]
    ) throws(EngineError) {
        for client in shown.waiting {
            // Once it is accepted all of it can be seen.
            if sockets[UInt64(client)] == nil || all[client]?.unread ?? 0 > 0 { network.awaitReaders() }
            guard client != 0 else {
                throw refuse(
                    socket.process, socket.object,
                    "a connection waits to be accepted whose other end is closed; what it has sent cannot be seen")
            }
            guard let known = sockets[UInt64(client)] else {
                throw refuse(
                    socket.process, socket.object, "a connection from outside the tree waits to be accepted")
            }
            if all[client]?.unread ?? 0 > 0 {
                throw refuse(
                    known.process, known.object,
                    "it has sent data through a connection that is not accepted yet; they cannot be seen")
            }
            record.waiting.append(UInt64(known.number))
        }
        guard let peer = shown.peer else { return }
        if peer != 0 {
            guard let known = sockets[UInt64(peer)] else {
                return try connectOutside(&record, socket, own: shown.inode, peer: peer)
            }
            record.peer = known.number
            return
        }
        if let listener = listeners[shown.inode] {
            guard sockets[UInt64(listener)] != nil else {
                // Once it is accepted its peer can be named.
                network.awaitReaders()
                throw refuse(
                    socket.process, socket.object, "it waits for socket:[\(listener)] outside the tree to accept it")
            }
            return
        }
        record.peerName = peerName(socket)
    }

    func peerName(_ socket: KnownSocket) -> [UInt8] {
        Array(((try? SocketCalls.peerAddress(socket.copy)) ?? [])?.dropFirst(2) ?? [])
    }
}
