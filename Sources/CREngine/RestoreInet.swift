internal import CRImage
internal import LinuxKit

/// The Internet sockets of an image.
///
/// Connections are rebuilt in repair mode, in which nothing is sent and closing says nothing to the peer; they come to
/// life in ``wake(_:)``. Until ``admit(_:)``, when nothing can fail any more, a packet lock keeps their peers' packets away:
/// the one that the dump left, or else one of this process.
final class RestoreInet {
    private let records: [UInt32: InetSocketRecord]
    private let sockets: [UInt32: SocketRecord]
    /// Ports at which some socket shares with SO_REUSEPORT; all of them needed it when they were bound.
    private let sharedPorts: Set<UInt16>
    private(set) var notes: [String] = []
    private var owner: NetlinkSocket?
    private var lockName = ""
    /// Whether this restore has made the lock, rather than found it.
    private var isMine = false
    /// Connections that were brought to life and do not know their peers yet.
    private var awake: [Int32] = []
    private let mode: TCPConnections
    private let header: ImageHeader

    static let reuseAddress: UInt32 = 2
    static let reusePort: UInt32 = 15
    private static let filterLock: UInt32 = 44
    private static let device: UInt32 = 25

    init(_ contents: ImageContents, _ mode: TCPConnections) {
        self.mode = mode
        header = contents.header
        var records = Dictionary(
            contents.inetSockets.map { ($0.socket, $0) }, uniquingKeysWith: { first, _ in first })
        sockets = Dictionary(contents.sockets.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        var shared: Set<UInt16> = []
        for record in contents.inetSockets {
            guard let socket = sockets[record.socket] else { continue }
            if Self.number(socket, Self.reusePort) != 0, let port = InetAddress(record.local)?.port {
                shared.insert(port)
            }
            if mode == .close, socket.type == 1, record.state.isConnection || record.state == .synSent {
                records[record.socket]?.state = .idle
                records[record.socket]?.shutdown = 3
                records[record.socket]?.stream = StreamValue()
            }
        }
        self.records = records
        sharedPorts = shared
    }

    /// An option of level SOL_SOCKET that is an `int`.
    private static func number(_ socket: SocketRecord, _ name: UInt32) -> Int32 {
        guard let value = socket.options.values.first(where: { $0.name == name })?.value, value.count == 4 else {
            return 0
        }
        return Int32(bitPattern: value.half(at: 0))
    }

    private func describe(_ record: InetSocketRecord) -> String {
        let local = record.local.isEmpty ? "" : " \(InetAddress.text(record.local))"
        let peer = record.peer.isEmpty ? "" : " to \(InetAddress.text(record.peer))"
        return "Internet socket \(record.socket)\(local)\(peer)"
    }

    // MARK: Lock

    /// Keeps packets away from the connections; does nothing when there are none.
    func lock() throws(EngineError) {
        var connections: [PacketLock.Connection] = []
        for record in records.values where record.state.isConnection || record.state == .synSent {
            guard sockets[record.socket]?.type == 1, let local = InetAddress(record.local),
                let peer = InetAddress(record.peer)
            else { continue }
            connections.append(
                PacketLock.Connection(
                    local: local.host, localPort: local.port, peer: peer.host, peerPort: peer.port))
        }
        lockName = records.values.first { !$0.lock.isEmpty && PacketLock.isName($0.lock) }?.lock ?? ""
        if connections.isEmpty { return }
        if lockName.isEmpty {
            lockName = PacketLock.name(
                pid: Int32(Kernel.attempt(.getpid)), nanoseconds: MonotonicClock.nanoseconds(of: 0))
        }
        do throws(LinuxError) {
            owner = try PacketLock.install(lockName, connections, [], owned: true)
            isMine = true
        } catch {
            // EEXIST: the dump's lock still stands. Without nf_tables the peers' packets are the user's care.
            if error.errno != .exists {
                notes.append(
                    "no packet lock (\(error.errno.map { "\($0)" } ?? error.description)): a peer that sends before the "
                        + "restore is done ends its connection")
            }
        }
    }

    /// Whether there is a lock to take away.
    var isLocked: Bool { !lockName.isEmpty }

    /// After a failure: connections can be closed without a word, and what the dump has left stays for another try.
    func abandon() {
        for fd in awake { try? ConnectionReader.enterRepair(fd) }
        awake = []
        if isMine { unlock() }
    }

    private func unlock() {
        isMine = false
        if let owner {
            owner.close()
        } else if !lockName.isEmpty {
            do throws(LinuxError) { try PacketLock.remove(lockName) } catch {
                if !(notes.contains { $0.hasPrefix("no packet lock") }) {
                    notes.append("the packet lock \(lockName) could not be removed")
                }
            }
        }
        owner = nil
        lockName = ""
    }

    // MARK: Opening

    /// Makes one socket.
    func open(_ socket: SocketRecord) throws(EngineError) -> Int32 {
        guard let record = records[socket.number] else {
            throw .image("socket \(socket.number)", why: "it is an Internet socket without a record of one")
        }
        return try EngineError.wrap("restore \(describe(record))") { () throws(LinuxError) in
            let fd = try SocketCalls.create(
                family: Int32(bitPattern: socket.domain), type: Int32(bitPattern: socket.type),
                protocol: socket.protocolNumber)
            do throws(LinuxError) {
                if socket.type != 1 {
                    try openDatagrams(fd, record, socket)
                } else if record.state.isConnection {
                    try openConnection(fd, record, socket)
                } else {
                    try openIdle(fd, record, socket)
                }
                return fd
            } catch {
                Files.close(fd)
                throw error
            }
        }
    }

    /// What bind(2) and connect(2) depend on.
    private func prepare(
        _ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord, bindsDevice: Bool = true
    ) {
        var except: Set<UInt32> = [Self.filterLock, 7, 8, 72]
        if !bindsDevice { except.insert(Self.device) }
        SocketOptions.apply(socket.options, to: fd, object: describe(record), except: except, notes: &notes)
        InetOptions.apply(record, socket, to: fd, early: true, object: describe(record), notes: &notes)
        // The address may be gone by now, and was bindable then. All of these are put right afterwards.
        let isVersion6 = socket.domain == 10
        try? SocketCalls.setNumber(
            fd, isVersion6 ? InetOptions.levelIPv6 : InetOptions.levelIP,
            isVersion6 ? InetOptions.freebind6 : InetOptions.freebind, 1)
    }

    private func bind(_ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord) throws(LinuxError) {
        try? SocketCalls.setNumber(fd, 1, Int32(Self.reuseAddress), 1)
        if let address = InetAddress(record.local), sharedPorts.contains(address.port), socket.type != 3 {
            try? SocketCalls.setNumber(fd, 1, Int32(Self.reusePort), 1)
        }
        try SocketCalls.bind(fd, record.local)
    }

    private func finish(_ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord) {
        InetOptions.apply(record, socket, to: fd, early: false, object: describe(record), notes: &notes)
        for membership in record.memberships {
            do throws(LinuxError) { try InetProbes.join(fd, membership) } catch {
                notes.append(
                    "\(describe(record)) could not join its multicast group on interface \(membership.interface) again: "
                        + (error.errno.map { "\($0)" } ?? error.description))
            }
        }
    }

    // MARK: Without a connection

    private func openIdle(
        _ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord
    ) throws(LinuxError) {
        if record.state == .idle, record.shutdown == 3, try openReset(fd, record, socket) { return }
        prepare(fd, record, socket)
        if record.state == .synSent {
            try RestoreConnection.prepareConnect(fd, record)
            return finish(fd, record, socket)
        }
        // A connection that has ended holds no port, though it still tells its old one.
        if record.shutdown == 0, !record.local.isEmpty { try bind(fd, record, socket) }
        finish(fd, record, socket)
        if record.state == .listening { try SocketCalls.listen(fd, backlog: record.backlog) }
        Self.shutDown(fd, record.shutdown)
    }

    /// shutdown(2) fails with ENOTCONN here, and does its work nevertheless.
    private static func shutDown(_ fd: Int32, _ bits: UInt32) {
        if bits != 0 { try? SocketCalls.shutdown(fd, Int32(bits & 3) - 1) }
    }

    /// A connection that has ended, with what had come before, or with the error that nobody has taken.
    ///
    /// - Returns: False when nothing distinguishes it from a socket that was only shut down.
    private func openReset(
        _ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord
    ) throws(LinuxError) -> Bool {
        let hasContent = !record.stream.receiveQueue.isEmpty || record.error != 0
        guard hasContent || !record.peer.isEmpty else { return false }
        prepare(fd, record, socket, bindsDevice: false)
        do throws(LinuxError) {
            if try !RestoreConnection.reset(fd, record, domain: socket.domain) {
                notes.append(
                    "the pending error \(Errno(rawValue: record.error)) of \(describe(record)) became ECONNRESET")
            }
        } catch {
            // Its ports may be taken: by the other end's last wait, or by a connection that came after it.
            if hasContent { throw error }
            notes.append("\(describe(record)), which has ended, does not tell its peer any more")
            ConnectionReader.leaveRepair(fd, reuse: 0)
            return false
        }
        finish(fd, record, socket)
        return true
    }

    // MARK: Datagrams

    private func openDatagrams(
        _ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord
    ) throws(LinuxError) {
        prepare(fd, record, socket)
        if !record.local.isEmpty { try bind(fd, record, socket) }
        if !record.datagrams.isEmpty { try refill(fd, record, socket) }
        if record.state == .established, !record.peer.isEmpty { try SocketCalls.connect(fd, record.peer) }
        let isRefused = record.error != 0 ? beRefused(fd, record, socket) : true
        finish(fd, record, socket)
        Self.shutDown(fd, record.shutdown)
        if !isRefused {
            notes.append("the pending error \(Errno(rawValue: record.error)) of \(describe(record)) is lost")
        }
    }

    /// Lets a connected socket hear once more that its peer does not want its datagrams: ECONNREFUSED.
    private func beRefused(_ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord) -> Bool {
        guard record.error == 111, let local = InetAddress(record.local), let peer = InetAddress(record.peer) else {
            return false
        }
        let packet = PacketForge.refusal(
            from: peer, to: local, protocol: UInt8(truncatingIfNeeded: socket.protocolNumber))
        try? PacketForge.deliver(packet, to: local, scope: Array(record.local.suffix(4)))
        // POLLERR
        return ((try? Files.poll(fd, events: 0, milliseconds: 100)) ?? 0) & 8 != 0
    }

    /// Sends the waiting datagrams again, in the name of those who sent them, to this host only.
    private func refill(_ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord) throws(LinuxError) {
        guard var local = InetAddress(record.local) else { return }
        let bytes = record.datagrams.reduce(0) { $0 + $1.bytes.count + 2048 }
        try? SocketCalls.setNumber(fd, 1, Int32(SocketOptions.receiveBufferForce), Int32(clamping: bytes))
        let isAny = local.isAny
        for datagram in record.datagrams {
            guard let source = InetAddress(datagram.address) else { continue }
            if isAny || local.host.count != source.host.count {
                // To which of this host's addresses it was sent is not known.
                local.host = source.host.count == 4 ? [127, 0, 0, 1] : [UInt8](repeating: 0, count: 15) + [1]
            }
            let packet = PacketForge.datagram(
                from: source, to: local, protocol: UInt8(truncatingIfNeeded: socket.protocolNumber), datagram.bytes)
            try PacketForge.deliver(packet, to: local, scope: Array(record.local.suffix(4)))
        }
        let found = (try? InetProbes.datagrams(fd).count) ?? 0
        if found != record.datagrams.count {
            notes.append("of \(record.datagrams.count) datagrams of \(describe(record)) only \(found) came back")
        }
    }

    // MARK: Connections

    private func openConnection(
        _ fd: Int32, _ record: InetSocketRecord, _ socket: SocketRecord
    ) throws(LinuxError) {
        var record = record
        record.stream.timestamp = ConnectionClock.later(
            record.stream.timestamp, byNanoseconds: RestoreTime.elapsedNanoseconds(header))
        prepare(fd, record, socket, bindsDevice: false)
        try RestoreConnection.rebuild(fd, record)
        finish(fd, record, socket)
    }

    /// Which of the engine's descriptors are connections.
    func connections(_ descriptors: [UInt32: Int32]) -> [Int32] { living(descriptors).map(\.fd) }

    private func living(_ descriptors: [UInt32: Int32]) -> [(fd: Int32, record: InetSocketRecord, reuse: Int32)] {
        records.sorted { $0.key < $1.key }.compactMap { number, record in
            guard let fd = descriptors[number], let socket = sockets[number], socket.type == 1 else { return nil }
            guard record.state.isConnection || record.state == .synSent else { return nil }
            return (fd, record, Self.number(socket, Self.reuseAddress))
        }
    }

    /// Brings all connections to life, behind the packet lock: to their peers nothing has happened yet.
    ///
    /// - Parameter descriptors: Number of a ``SocketRecord`` to the engine's descriptor.
    /// - Precondition: No task runs yet.
    func wake(_ descriptors: [UInt32: Int32]) {
        for (fd, record, reuse) in living(descriptors) {
            awake.append(fd)
            do throws(LinuxError) { try RestoreConnection.wake(fd, record, reuse: reuse) } catch {
                notes.append("\(describe(record)) could not go on: \(error.explanation.line)")
            }
        }
    }

    /// Lets their peers' packets in again; may be done twice.
    ///
    /// - Precondition: Nothing can fail any more, and no task runs yet.
    func admit(_ descriptors: [UInt32: Int32]) {
        unlock()
        awake = []
        for (fd, record, reuse) in living(descriptors) {
            do throws(LinuxError) { try RestoreConnection.meetPeer(fd, record, reuse: reuse) } catch {
                notes.append("\(describe(record)) could not go on: \(error.explanation.line)")
            }
        }
    }
}
