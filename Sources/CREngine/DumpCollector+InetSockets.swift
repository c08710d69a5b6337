internal import CRImage
internal import LinuxKit

/// Internet sockets: what they are, how far they have come, and what waits in their queues.
extension DumpCollector {
    func collectInetSocket(_ socket: KnownSocket, _ record: SocketRecord, inode: UInt64) throws(EngineError) {
        var value = InetSocketRecord()
        value.socket = record.number
        let fd = socket.copy
        value.options = InetOptions.read(fd, record)
        try EngineError.wrap("read the addresses of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in
            let local = try SocketCalls.localAddress(fd)
            // Raw sockets keep their protocol where others have the port.
            let isBound = InetAddress(local).map { record.type == 3 ? !$0.isAny : $0.port != 0 } ?? false
            if isBound { value.local = local }
            // SO_PEERNAME also tells whom a TCP socket is connecting to, and was connected to.
            value.peer =
                record.type == 1
                ? (try? SocketCalls.option(fd, 1, 28, capacity: record.domain == 2 ? 16 : 28)) ?? []
                : try SocketCalls.peerAddress(fd) ?? []
        }
        switch (record.type, record.protocolNumber) {
        case (1, 6), (1, Self.multipath): try collectStream(socket, record, &value, inode: inode)
        case (2, 17), (2, 136), (2, 1), (2, 58), (3, _):
            try collectDatagrams(socket, record, &value, inode: inode)
        default:
            throw refuse(
                socket.process, socket.object,
                "Internet sockets of type \(record.type) and protocol \(record.protocolNumber) are not carried")
        }
        contents.inetSockets.append(value)
    }

    // MARK: TCP

    /// IPPROTO_MPTCP: what listens this way takes plain TCP too, and its plain connections are plain sockets.
    private static let multipath: Int32 = 262

    private func collectStream(
        _ socket: KnownSocket, _ record: SocketRecord, _ value: inout InetSocketRecord, inode: UInt64
    ) throws(EngineError) {
        let fd = socket.copy
        let (info, events) = try EngineError.wrap("read the state of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in
            // POLLPRI, POLLRDHUP
            (try ConnectionReader.Info(fd), try Files.poll(fd, events: 0x2002))
        }
        guard let state = info.recordState else {
            throw refuse(socket.process, socket.object, "a TCP connection that is just being accepted is not carried")
        }
        let isMultipath = record.protocolNumber == Self.multipath
        if !isMultipath, let upper = try? SocketCalls.option(fd, 6, ConnectionReader.Name.upperProtocol, capacity: 16),
            let end = upper.firstIndex(of: 0), end > 0
        {
            let name = String(decoding: upper[..<end], as: UTF8.self)
            throw refuse(
                socket.process, socket.object, "a connection with the \(name) layer of the kernel is not carried")
        }
        value.state = state
        if events & 0x2000 != 0, !state.hasReceivedEnd { value.shutdown = 1 }
        let signed = signedSockets[record.domain] ?? InetProbes.signed(domain: record.domain)
        signedSockets[record.domain] = signed
        if signed.contains(inode) {
            throw refuse(socket.process, socket.object, "it signs what it sends (TCP MD5); its keys are not carried")
        }
        if state == .listening { return try collectListener(socket, record, &value, info) }
        if isMultipath, state != .idle || value.shutdown != 0 {
            throw refuse(socket.process, socket.object, "a connection of multipath TCP is not carried")
        }
        if state == .idle { return try collectIdle(socket, &value, events) }
        if events & 2 != 0 {
            throw refuse(socket.process, socket.object, "urgent data that was not read is not carried")
        }
        if network.mode == .close { return close(&value) }
        guard let local = InetAddress(value.local), let peer = InetAddress(value.peer) else {
            throw refuse(socket.process, socket.object, "the kernel does not show both ends of its connection")
        }
        network.add(
            DumpNetwork.Member(
                socket: socket, index: contents.inetSockets.count, local: local, peer: peer,
                reuse: (try? SocketCalls.number(fd, 1, 2)) ?? 0))
    }

    /// With `--tcp close` the workload finds its connections closed.
    private func close(_ value: inout InetSocketRecord) {
        value.state = .idle
        value.shutdown = 3
    }

    private func collectListener(
        _ socket: KnownSocket, _ record: SocketRecord, _ value: inout InetSocketRecord, _ info: ConnectionReader.Info
    ) throws(EngineError) {
        value.backlog = Int32(clamping: info.backlog)
        guard let local = InetAddress(value.local) else { return }
        let isOnly = value.options.contains { $0.level == 41 && $0.name == 26 && $0.value.first == 1 }  // V6ONLY
        let address = local.isAny ? [] : local.host
        var listeners: [PacketLock.Listener] = []
        if record.domain == 2 || local.host.count == 4 || (local.isAny && !isOnly) {
            listeners.append(PacketLock.Listener(address: address, port: local.port, isVersion6: false))
        }
        if record.domain == 10, local.host.count == 16 {
            listeners.append(PacketLock.Listener(address: address, port: local.port, isVersion6: true))
        }
        network.add(socket, listeners)
    }

    /// A socket without a connection: fresh, bound, or left over when its connection ended.
    private func collectIdle(
        _ socket: KnownSocket, _ value: inout InetSocketRecord, _ events: Int16
    ) throws(EngineError) {
        try takeError(socket, &value, events)
        guard value.shutdown != 0 else { return value.peer = [] }
        // The kernel shuts down both sides when a connection ends.
        value.shutdown = 3
        value.stream.receiveQueue = try EngineError.wrap("read the queue of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in try ConnectionReader.received(socket.copy)
        }
    }

    /// SO_ERROR, which is gone for the workload when it was read.
    private func takeError(
        _ socket: KnownSocket, _ value: inout InetSocketRecord, _ events: Int16
    ) throws(EngineError) {
        // POLLERR also means messages in the error queue, which nobody can look at without taking them.
        guard events & 8 != 0 else { return }
        if keepsRunning {
            throw refuse(
                socket.process, socket.object,
                "its pending error cannot be read without taking it from the workload that runs on")
        }
        value.error = try EngineError.wrap("read the error of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in try SocketCalls.number(socket.copy, 1, 4)
        }
    }

    // MARK: Datagrams

    private func collectDatagrams(
        _ socket: KnownSocket, _ record: SocketRecord, _ value: inout InetSocketRecord, inode: UInt64
    ) throws(EngineError) {
        let fd = socket.copy
        let isUDP = record.protocolNumber == 17 || record.protocolNumber == 136
        if value.peer.isEmpty, !isUDP || record.type == 3,
            let peer = InetProbes.peer(ofInode: inode, process: socket.process, record)
        {
            value.peer = peer.bytes(domain: record.domain)
        }
        value.state = value.peer.isEmpty ? .idle : .established
        let events = try EngineError.wrap("read the state of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in try Files.poll(fd, events: 0x2001)
        }
        if events & 0x2000 != 0 { value.shutdown = events & 0x10 != 0 ? 3 : 1 }
        if record.type == 2, isUDP, value.shutdown == 0, !value.local.isEmpty {
            let key = Int32(record.domain) << 16 | record.protocolNumber
            let known = shutdowns[key] ?? InetProbes.shutdowns(domain: record.domain, protocol: record.protocolNumber)
            shutdowns[key] = known
            value.shutdown = known[inode] ?? 0
        }
        try takeError(socket, &value, events)
        if value.error == 0, events & 8 != 0 {
            throw refuse(socket.process, socket.object, "messages in its error queue are not carried")
        }
        if isUDP, record.type == 2 {
            // What was sent and has not left the host yet counts too, for a moment.
            var pending: Int32 = 0
            for _ in 0..<50 {
                pending = try EngineError.wrap("read the queue of \(socket.object)", task: socket.process) {
                    () throws(LinuxError) in try SocketCalls.control(fd, 0x5411)  // SIOCOUTQ
                }
                if pending == 0 { break }
                _ = try? Files.poll(fd, events: 0, milliseconds: 1)
            }
            if pending > 0 {
                throw refuse(socket.process, socket.object, "a datagram that is corked and not sent yet is not carried")
            }
            value.datagrams = try EngineError.wrap("read the queue of \(socket.object)", task: socket.process) {
                () throws(LinuxError) in try InetProbes.datagrams(fd)
            }
        } else if events & 1 != 0 {
            network.note(
                "what \(socket.object) of process \(socket.process) has received and not read is lost: "
                    + "the kernel does not show a queue of this kind")
        }
        let groups = multicastGroups ?? InetProbes.groups(of: socket.process)
        multicastGroups = groups
        value.memberships = InetProbes.memberships(fd, domain: record.domain, among: groups)
    }
}
