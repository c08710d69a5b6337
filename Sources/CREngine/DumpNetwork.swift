internal import CRImage
internal import LinuxKit

/// What happens to TCP connections.
public enum TCPConnections: String, Sendable, CaseIterable {
    /// They go on after the restore: nothing is lost and nobody is told.
    case keep
    /// The peers see them closed, and so does the restored workload.
    case close
}

/// The TCP connections of a tree that is being dumped.
///
/// From ``collect(_:)`` until ``release()`` or ``hold()`` a packet lock of this process keeps everything away from them:
/// what the kernel acknowledged after its queue was read would be lost. The kernel takes that lock away when the engine
/// is killed (from 5.12 on). A socket is in repair mode only while it is read.
final class DumpNetwork {
    /// A connection of the tree.
    struct Member {
        var socket: KnownSocket
        /// Position in `ImageContents.inetSockets`.
        var index: Int
        var local: InetAddress
        var peer: InetAddress
        /// SO_REUSEADDR, which repair mode takes away.
        var reuse: Int32
    }

    let mode: TCPConnections
    private(set) var members: [Member] = []
    /// Listening sockets.
    private(set) var doors: [(socket: KnownSocket, listeners: [PacketLock.Listener])] = []
    private let gate: ConnectionGate
    /// What the image or the host could not do, one sentence each.
    private(set) var notes: [String] = []
    /// Name of the lock that stays until the restore; empty for none.
    private(set) var lockName = ""
    private var owner: NetlinkSocket?
    private var isLocked = false
    private var isStaying = false
    /// A task in the tree's network namespace, once it is known.
    private var root: Int32 = 0
    private var isHeld = false
    private var keeper: Keeper?
    /// When the first connection was read.
    private var readNanoseconds: UInt64 = 0

    /// Lets the workload take what no restore could put back, before another attempt.
    func awaitReaders() { gate.isUnread = true }

    init(_ mode: TCPConnections, _ gate: ConnectionGate) {
        self.mode = mode
        self.gate = gate
    }

    func add(_ member: Member) { members.append(member) }
    func add(_ socket: KnownSocket, _ listeners: [PacketLock.Listener]) { doors.append((socket, listeners)) }
    func note(_ text: String) { notes.append(text) }

    private var listeners: [PacketLock.Listener] { doors.flatMap(\.listeners) }

    /// Refuses sockets at which connections wait to be accepted.
    ///
    /// - Parameter mayRetry: Whether nothing was written yet, so that the dump may begin again.
    private func refuseWaiting(mayRetry: Bool = true) throws(EngineError) {
        var found: (socket: KnownSocket, count: UInt32)?
        for door in doors {
            let info = try EngineError.wrap("read the state of \(door.socket.object)", task: door.socket.process) {
                () throws(LinuxError) in try ConnectionReader.Info(door.socket.copy)
            }
            if info.waiting > 0 { found = found ?? (door.socket, info.waiting) }
        }
        guard let found else { return }
        if mayRetry { (gate.waiting, gate.root) = (listeners, root) }
        throw .refused(
            .unsupported(
                task: found.socket.process, object: found.socket.object,
                "\(found.count) connections wait to be accepted, and the workload does not take them; no kernel gives "
                    + "them back to a new socket: lose them with --tcp close"))
    }

    private var connections: [PacketLock.Connection] {
        members.map {
            PacketLock.Connection(
                local: $0.local.host, localPort: $0.local.port, peer: $0.peer.host, peerPort: $0.peer.port)
        }
    }

    /// Keeps packets away from the connections, then reads them.
    ///
    /// - Parameters:
    ///   - root: A task of the tree; its network namespace is the one that the sockets belong to, and the engine's.
    ///   - processes: All that live.
    func collect(_ contents: inout ImageContents, root: Int32, processes: [Int32]) throws(EngineError) {
        self.root = root
        guard mode == .keep, !members.isEmpty || !doors.isEmpty else { return }
        try refuseWaiting()
        lockName = PacketLock.name(
            pid: Int32(Kernel.attempt(.getpid)), nanoseconds: MonotonicClock.nanoseconds(of: 0))
        do throws(LinuxError) {
            owner = try PacketLock.install(passingName, connections, listeners, owned: true)
            isLocked = true
            if owner == nil {
                notes.append(
                    "this kernel cannot bind a packet lock to a process: if the engine is killed, "
                        + "'nft delete table inet \(passingName)' gives the connections free")
            }
        } catch {
            if !members.isEmpty {
                notes.append(
                    "no packet lock (\(error.errno.map { "\($0)" } ?? error.description)): a peer that sends while the "
                        + "workload is gone ends its connection; keep its packets away")
            }
            lockName = ""
        }
        // From now on nobody new comes; who came before that is counted.
        try refuseWaiting()
        try keep(processes)
        readNanoseconds = MonotonicClock.nanoseconds()
        for member in members {
            let fd = member.socket.copy
            do throws(LinuxError) {
                try ConnectionReader.enterRepair(fd)
                defer { ConnectionReader.leaveRepair(fd, reuse: member.reuse) }
                let info = try ConnectionReader.Info(fd)
                // It may have moved on since it was classified: the peer's end of stream, a reset.
                guard let state = info.recordState, state.isConnection || state == .synSent else {
                    contents.inetSockets[member.index].state = .idle
                    contents.inetSockets[member.index].shutdown = 3
                    contents.inetSockets[member.index].stream.receiveQueue = try ConnectionReader.received(fd)
                    continue
                }
                contents.inetSockets[member.index].state = state
                contents.inetSockets[member.index].stream = try ConnectionReader.read(fd, info, state: state)
            } catch {
                throw .system(
                    error, task: member.socket.process, doing: "read the connection of \(member.socket.object)")
            }
        }
        for index in contents.inetSockets.indices where contents.inetSockets[index].state != .idle {
            contents.inetSockets[index].lock = lockName
        }
    }

    /// Gives the sockets to a child that takes them out of repair mode should the engine be killed. From ``commit()`` on it
    /// ends the tree instead, with nothing said to the peers.
    private func keep(_ processes: [Int32]) throws(EngineError) {
        if members.isEmpty { return }
        let members = members.map { (fd: $0.socket.copy, reuse: $0.reuse) }
        let locks = lockName.isEmpty ? [] : owner == nil ? [lockName, passingName] : [lockName]
        keeper = try EngineError.wrap("guard the connections") { () throws(LinuxError) in
            try Keeper(keeping: members.map(\.fd), processes: processes) { isCommitted, kill in
                if isCommitted {
                    kill()
                } else {
                    for member in members { ConnectionReader.leaveRepair(member.fd, reuse: member.reuse) }
                    for lock in locks { _ = try? PacketLock.remove(lock) }
                }
            }
        }
    }

    /// The image is whole and the sockets are silent: from here on the tree ends, with the engine or without.
    func commit() { keeper?.commit() }

    /// Ends what is only there for the dump.
    func close() {
        release()
        keeper?.dismiss()
        keeper = nil
    }

    /// Moves the clocks of connections on to the moment in which the header's are read.
    func advanceClocks(_ contents: inout ImageContents) {
        let nanoseconds = MonotonicClock.nanoseconds() - readNanoseconds
        for member in members {
            let now = contents.inetSockets[member.index].stream.timestamp
            contents.inetSockets[member.index].stream.timestamp = ConnectionClock.later(now, byNanoseconds: nanoseconds)
        }
    }

    /// Checks for the last time that nobody waits: first segments that were under way before the lock may have led to
    /// connections since.
    func confirm() throws(EngineError) { if mode == .keep { try refuseWaiting(mayRetry: false) } }

    /// Makes the lock outlive the engine and lets the sockets be closed without a word to their peers.
    ///
    /// - Precondition: The image is whole; the workload is killed right after.
    func hold() throws(EngineError) {
        guard mode == .keep else { return }
        if !lockName.isEmpty {
            do throws(LinuxError) {
                let visit = try Namespaces.Visit(root, Namespaces.Flag.network)
                defer { visit.end() }
                _ = try PacketLock.install(lockName, connections, listeners, owned: false)
                isStaying = true
            } catch { throw .system(error, task: nil, doing: "keep the packet lock \(lockName)") }
        }
        for member in members {
            try EngineError.wrap("silence the connection of \(member.socket.object)", task: member.socket.process) {
                () throws(LinuxError) in try ConnectionReader.enterRepair(member.socket.copy)
            }
        }
        isHeld = true
    }

    /// Puts everything back as it was, unless ``hold()`` was called: then there is nothing to go back to.
    func release() {
        if !isHeld {
            for member in members { ConnectionReader.leaveRepair(member.socket.copy, reuse: member.reuse) }
            if isStaying { remove(lockName) }
        }
        isStaying = false
        unlock()
        if !isHeld { members = [] }
    }

    private func unlock() {
        if let owner { owner.close() } else if isLocked { remove(passingName) }
        owner = nil
        isLocked = false
    }

    private func remove(_ name: String) {
        let visit = try? Namespaces.Visit(root, Namespaces.Flag.network)
        defer { visit?.end() }
        _ = try? PacketLock.remove(name)
    }

    /// Of the lock that only this dump needs.
    private var passingName: String { lockName + "-dump" }
}
