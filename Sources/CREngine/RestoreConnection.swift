internal import CRImage
internal import LinuxKit

/// Rebuilds one TCP connection in repair mode.
///
/// - Source: `tcp(7)`, `linux/tcp.h`; the repair mode's own rules in `net/ipv4/tcp.c`.
enum RestoreConnection {
    private typealias Name = ConnectionReader.Name
    private static let tcp = ConnectionReader.tcp
    /// How much is put into a queue by one call: the kernel wants one piece of memory for it.
    private static let pieceBytes = 64 << 10

    /// Brings a fresh socket into the recorded state; it stays in repair mode.
    static func rebuild(_ fd: Int32, _ record: InetSocketRecord) throws(LinuxError) {
        let stream = record.stream
        let state = record.state
        try establish(fd, record, local: record.local, peer: record.peer)

        let sentEnd = state.hasSentEnd && !stream.isEndUnsent
        // What the peer has acknowledged so far; an end of stream comes after all data.
        let unacknowledged =
            stream.sendSequence &- (state.hasSentEnd ? 1 : 0) &- UInt32(truncatingIfNeeded: stream.sendQueue.count)
        guard sentEnd || state.hasReceivedEnd else { return try setWindow(fd, stream) }
        try widenWindow(fd, record)
        if sentEnd, state != .lastAck { try end(fd) }
        if state == .finWait2 {
            try meet(fd, record, flags: PacketForge.Flags.ack, acknowledging: stream.sendSequence, state: 5)
        }
        if state.hasReceivedEnd {
            let reached: UInt8 = state == .closing && sentEnd ? 11 : 8
            try meet(
                fd, record, flags: PacketForge.Flags.ack | PacketForge.Flags.fin, acknowledging: unacknowledged,
                state: reached)
        }
        if sentEnd, state == .lastAck { try end(fd) }
        try setWindow(fd, stream)
    }

    /// Connects in repair mode, negotiates nothing, and fills the queues with what was received and what was sent.
    private static func establish(
        _ fd: Int32, _ record: InetSocketRecord, local: [UInt8], peer: [UInt8]
    ) throws(LinuxError) {
        let stream = record.stream
        try ConnectionReader.enterRepair(fd)
        let ends = record.state
        let receiveStart =
            stream.receiveSequence &- (ends.hasReceivedEnd ? 1 : 0)
            &- UInt32(truncatingIfNeeded: stream.receiveQueue.count)
        let sendStart =
            stream.sendSequence &- (ends.hasSentEnd ? 1 : 0) &- UInt32(truncatingIfNeeded: stream.sendQueue.count)
        try setSequence(fd, ConnectionReader.receiveQueue, receiveStart)
        try setSequence(fd, ConnectionReader.sendQueue, sendStart)
        try SocketCalls.bind(fd, local)
        try SocketCalls.connect(fd, peer)

        // TCP_REPAIR_OPTIONS: pairs of an option's number in the protocol and its value.
        var options: [UInt32] = stream.maximumSegment == 0 ? [] : [2, stream.maximumSegment]
        let isScaled = stream.negotiated & 4 != 0
        options += [3, isScaled ? stream.sendScale | stream.receiveScale << 16 : 0]
        if stream.negotiated & 2 != 0 { options += [4, 0] }
        if stream.negotiated & 1 != 0 { options += [8, 0] }
        try SocketCalls.setOption(fd, tcp, Name.repairOptions, options.flatMap { NetlinkMessage.number($0) })
        if stream.negotiated & 1 != 0 {
            try SocketCalls.setNumber(fd, tcp, Name.timestamp, Int32(bitPattern: stream.timestamp))
        }

        let sent = stream.sendQueue.dropLast(Int(stream.unsentBytes))
        if !stream.receiveQueue.isEmpty {
            let room = Int32(clamping: stream.receiveQueue.count * 2 + (1 << 20))
            try? SocketCalls.setNumber(fd, 1, Int32(SocketOptions.receiveBufferForce), room)
        }
        if !sent.isEmpty {
            let room = Int32(clamping: sent.count * 2 + (1 << 20))
            try? SocketCalls.setNumber(fd, 1, Int32(SocketOptions.sendBufferForce), room)
        }
        try fill(fd, ConnectionReader.receiveQueue, stream.receiveQueue[...])
        try fill(fd, ConnectionReader.sendQueue, sent)
    }

    private static func setSequence(_ fd: Int32, _ queue: Int32, _ value: UInt32) throws(LinuxError) {
        try SocketCalls.setNumber(fd, tcp, Name.repairQueue, queue)
        try SocketCalls.setNumber(fd, tcp, Name.queueSequence, Int32(bitPattern: value))
    }

    private static func fill(_ fd: Int32, _ queue: Int32, _ bytes: ArraySlice<UInt8>) throws(LinuxError) {
        if bytes.isEmpty { return }
        try SocketCalls.setNumber(fd, tcp, Name.repairQueue, queue)
        var rest = bytes
        var piece = pieceBytes
        while !rest.isEmpty {
            do throws(LinuxError) {
                let count = try SocketCalls.send(
                    fd, rest.prefix(piece), flags: SocketCalls.noSignal | SocketCalls.dontWait)
                guard count > 0 else { throw .call("sendto", object: "repair queue \(queue)", .inputOutput) }
                rest = rest.dropFirst(count)
            } catch {
                // Memory may be in pieces.
                guard error.errno == .noMemory || error.errno == .again, piece > 1024 else { throw error }
                piece /= 2
            }
        }
    }

    /// Puts an end of stream behind the send queue, as one that was sent.
    private static func end(_ fd: Int32) throws(LinuxError) {
        try SocketCalls.setNumber(fd, tcp, Name.repairQueue, ConnectionReader.sendQueue)
        try SocketCalls.shutdown(fd, 1)
    }

    // MARK: Windows

    private static func setWindow(_ fd: Int32, _ stream: StreamValue) throws(LinuxError) {
        if stream.window.isEmpty { return }
        try SocketCalls.setOption(fd, tcp, Name.repairWindow, stream.window)
    }

    /// Room for an end of stream behind a receive queue that fills the window of a new socket.
    private static func widenWindow(_ fd: Int32, _ record: InetSocketRecord) throws(LinuxError) {
        let stream = record.stream
        guard stream.window.count == 20 else { return }
        let next = stream.receiveSequence &- (record.state.hasReceivedEnd ? 1 : 0)
        var words = (0..<5).map { stream.window.half(at: 4 * $0) }
        words[0] = next &- 1
        words[3] = max(words[3], 1 << 16)
        words[4] = next
        try SocketCalls.setOption(fd, tcp, Name.repairWindow, words.flatMap { NetlinkMessage.number($0) })
    }

    // MARK: Packets

    /// Lets the socket meet a packet of its peer, and waits until it has come to a state.
    private static func meet(
        _ fd: Int32, _ record: InetSocketRecord, flags: UInt8, acknowledging: UInt32, state: UInt8
    ) throws(LinuxError) {
        let stream = record.stream
        let window = stream.window.count == 20 ? stream.window.half(at: 4) >> stream.sendScale : 0xffff
        try meet(
            fd, local: record.local, peer: record.peer,
            sequence: stream.receiveSequence &- (record.state.hasReceivedEnd ? 1 : 0), acknowledging: acknowledging,
            flags: flags, window: UInt16(clamping: window), state: state)
    }

    private static func meet(
        _ fd: Int32, local: [UInt8], peer: [UInt8], sequence: UInt32, acknowledging: UInt32, flags: UInt8,
        window: UInt16, state: UInt8
    ) throws(LinuxError) {
        guard let here = InetAddress(local), let there = InetAddress(peer) else {
            throw .malformed("connection", why: "it lacks an end")
        }
        let packet = PacketForge.tcp(
            from: there, to: here, sequence: sequence, acknowledgement: acknowledging, flags: flags, window: window)
        try PacketForge.deliver(packet, to: here, scope: Array(local.suffix(4)))
        for _ in 0..<200 {
            if try ConnectionReader.Info(fd).state == state { return }
            _ = try? Files.poll(fd, events: 0, milliseconds: 1)
        }
        throw .deadline("\(here.text) to reach TCP state \(state) by a packet of \(there.text)", seconds: 0.2)
    }

    // MARK: Ended and beginning connections

    /// Makes a socket whose connection has ended, with a receive queue and an error.
    ///
    /// - Returns: False when another error than the recorded one is pending.
    static func reset(_ fd: Int32, _ record: InetSocketRecord, domain: UInt32) throws(LinuxError) -> Bool {
        var local = InetAddress(record.local) ?? InetAddress(host: [], port: 1)
        if local.host.isEmpty || local.isAny {
            local.host = domain == 2 ? [127, 0, 0, 1] : [UInt8](repeating: 0, count: 15) + [1]
        }
        if record.error == 111, try beRefused(fd, local.bytes(domain: domain), domain: domain) { return true }
        if local.port == 0 { local.port = 1 }
        // Where nobody knows who the peer was, any will do.
        let peer = InetAddress(record.peer) ?? InetAddress(host: local.host, port: local.port == 9 ? 10 : 9)
        var made = record
        made.state = .established
        // The recorded bytes have what an address of a link needs.
        if local != InetAddress(record.local) { made.local = local.bytes(domain: domain) }
        if record.peer.isEmpty { made.peer = peer.bytes(domain: domain) }
        made.stream.receiveSequence = UInt32(truncatingIfNeeded: made.stream.receiveQueue.count) &+ 1000
        made.stream.sendSequence = 1000
        made.stream.sendQueue = []
        made.stream.unsentBytes = 0
        made.stream.negotiated = 0
        made.stream.maximumSegment = 0
        made.stream.window = []
        try establish(fd, made, local: made.local, peer: made.peer)
        var next = made.stream.receiveSequence
        func meetPeer(_ flags: UInt8, _ state: UInt8) throws(LinuxError) {
            try meet(
                fd, local: made.local, peer: made.peer, sequence: next, acknowledging: 1000, flags: flags,
                window: 1024, state: state)
        }
        if record.error == 32 {
            // EPIPE: it had ended its side before.
            try meetPeer(PacketForge.Flags.ack | PacketForge.Flags.fin, 8)
            next &+= 1
        }
        try meetPeer(PacketForge.Flags.ack | PacketForge.Flags.rst, 7)
        if record.error == 0 { _ = try SocketCalls.number(fd, 1, 4) }
        ConnectionReader.leaveRepair(fd, reuse: 0)
        return record.error == 0 || record.error == 32 || record.error == 104
    }

    /// Lets a socket meet ECONNREFUSED, at a port of this host where nobody listens.
    private static func beRefused(_ fd: Int32, _ local: [UInt8], domain: UInt32) throws(LinuxError) -> Bool {
        guard let here = InetAddress(local) else { return false }
        try? SocketCalls.setNumber(fd, 1, 2, 1)
        try? SocketCalls.bind(fd, local)
        try? connect(fd, InetAddress(host: here.host, port: 1).bytes(domain: domain))
        // POLLERR
        return try Files.poll(fd, events: 0, milliseconds: 100) & 8 != 0
    }

    /// Prepares a socket that was connecting: it will send the same first segment again.
    static func prepareConnect(_ fd: Int32, _ record: InetSocketRecord) throws(LinuxError) {
        try ConnectionReader.enterRepair(fd)
        try setSequence(fd, ConnectionReader.sendQueue, record.stream.sendSequence &- 1)
        try SocketCalls.bind(fd, record.local)
        ConnectionReader.leaveRepair(fd, reuse: 1)
    }

    // MARK: Life

    /// Lets a rebuilt connection go on, and gives it what was never sent.
    ///
    /// - Precondition: Nothing it sends gets out.
    static func wake(_ fd: Int32, _ record: InetSocketRecord, reuse: Int32) throws(LinuxError) {
        if record.state == .synSent { return }
        ConnectionReader.leaveRepair(fd, reuse: reuse)
        let unsent = record.stream.sendQueue.suffix(Int(record.stream.unsentBytes))
        if !unsent.isEmpty { try send(fd, unsent) }
    }

    /// Lets it hear of its peer; may be done twice.
    ///
    /// - Precondition: It is awake, and packets come and go.
    static func meetPeer(_ fd: Int32, _ record: InetSocketRecord, reuse: Int32) throws(LinuxError) {
        if record.state == .synSent {
            defer { try? SocketCalls.setNumber(fd, 1, 2, reuse) }
            return try connect(fd, record.peer)
        }
        // A window probe goes out, whose answer tells both sides where they are.
        try SocketCalls.setNumber(fd, tcp, Name.repair, 0)
        try SocketCalls.setNumber(fd, 1, 2, reuse)
        if record.stream.isEndUnsent { try SocketCalls.shutdown(fd, 1) }
        if record.shutdown & 1 != 0 { try SocketCalls.shutdown(fd, 0) }
        if record.stream.unsentBytes > 0, try SocketCalls.number(fd, tcp, Name.noDelay) == 0 {
            // It goes out when this is set.
            try SocketCalls.setNumber(fd, tcp, Name.noDelay, 1)
            try SocketCalls.setNumber(fd, tcp, Name.noDelay, 0)
        }
    }

    private static func connect(_ fd: Int32, _ peer: [UInt8]) throws(LinuxError) {
        let flags = try RestoreCalls.control(fd, 3, 0, "fd \(fd)")  // F_GETFL
        try RestoreCalls.control(fd, 4, flags | 0o4000, "fd \(fd)")  // F_SETFL, O_NONBLOCK
        defer { _ = try? RestoreCalls.control(fd, 4, flags, "fd \(fd)") }
        do {
            try SocketCalls.connect(fd, peer)
        } catch {
            // EINPROGRESS; whatever else it met, the workload would have met too.
            if error.errno?.rawValue != 115 { throw error }
        }
    }

    private static func send(_ fd: Int32, _ bytes: ArraySlice<UInt8>) throws(LinuxError) {
        var rest = bytes
        let size = try SocketCalls.number(fd, 1, 7)  // SO_SNDBUF
        let lock = try? SocketCalls.number(fd, 1, 72)  // SO_BUF_LOCK
        var isWidened = false
        while !rest.isEmpty {
            do throws(LinuxError) {
                rest = rest.dropFirst(
                    try SocketCalls.send(fd, rest, flags: SocketCalls.noSignal | SocketCalls.dontWait))
            } catch {
                guard error.errno == .again, !isWidened else { throw error }
                // The queue was cut into other pieces, which take more room.
                isWidened = true
                try SocketCalls.setNumber(
                    fd, 1, Int32(SocketOptions.sendBufferForce), Int32(clamping: bytes.count * 4 + (1 << 20)))
            }
        }
        if isWidened {
            try SocketCalls.setNumber(fd, 1, Int32(SocketOptions.sendBufferForce), size / 2)
            if let lock { try SocketCalls.setNumber(fd, 1, 72, lock) }
        }
    }
}
