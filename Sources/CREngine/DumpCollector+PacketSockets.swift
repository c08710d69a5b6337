internal import CRImage
internal import LinuxKit

/// AF_PACKET sockets, with rings that have not been used.
extension DumpCollector {
    /// SOL_PACKET
    static let packetLevel: Int32 = 263
    /// PACKET_COPY_THRESH cannot be read. PACKET_AUXDATA, ORIGDEV, RESERVE, LOSS, VNET_HDR, TIMESTAMP, TX_HAS_OFF,
    /// QDISC_BYPASS, IGNORE_OUTGOING, VNET_HDR_SZ. PACKET_VERSION comes first: it decides what a ring is.
    static let packetOptions: [UInt32] = [10, 8, 9, 12, 14, 15, 17, 19, 20, 23, 24]

    func collectPacketSocket(_ socket: KnownSocket, _ record: SocketRecord, inode: UInt64) throws(EngineError) {
        let all: [UInt32: PacketDiagnostics.Socket]
        do throws(LinuxError) { all = try PacketDiagnostics.sockets() } catch {
            throw refuse(
                socket.process, socket.object,
                "this kernel does not show packet sockets (packet_diag): \(error.errno.map { "\($0)" } ?? "?")")
        }
        guard let shown = UInt32(exactly: inode).flatMap({ all[$0] }) else {
            throw refuse(socket.process, socket.object, "the kernel does not show it in the tree's network namespace")
        }
        var packet = PacketSocketRecord()
        packet.socket = record.number
        packet.protocolNumber = shown.protocolNumber
        packet.interface = shown.interface
        let (name, memory) = try EngineError.wrap("ask about \(socket.object)", task: socket.process) {
            () throws(LinuxError) in
            // SO_MEMINFO
            (try SocketCalls.localAddress(socket.copy), try SocketCalls.option(socket.copy, 1, 55, capacity: 36))
        }
        // SOCK_PACKET: struct sockaddr with the interface's name.
        if record.type == 10 {
            packet.interfaceName = String(decoding: name.dropFirst(2).prefix { $0 != 0 }, as: UTF8.self)
        }
        if memory.half(at: 0) != 0 {
            throw refuse(
                socket.process, socket.object, "packets wait in this packet socket; nobody can send them again")
        }
        for option in Self.packetOptions {
            guard let value = try? SocketCalls.option(socket.copy, Self.packetLevel, Int32(option)) else { continue }
            packet.options.append(SocketOptionValue(name: option, value: value))
        }
        for membership in shown.memberships {
            var value = PacketMembershipValue()
            value.interface = membership.interface
            value.type = membership.type
            value.address = membership.address
            value.count = membership.count
            packet.memberships.append(value)
        }
        if let ring = shown.receiveRing { packet.receiveRing = PacketRingValue(ring) }
        if let ring = shown.sendRing { packet.sendRing = PacketRingValue(ring) }
        if let fanout = shown.fanout {
            // PACKET_FANOUT_CBPF, PACKET_FANOUT_EBPF
            if fanout >> 16 & 0xff == 6 || fanout >> 16 & 0xff == 7 {
                throw refuse(socket.process, socket.object, "a program spreads its packets over a group")
            }
            packet.hasFanout = true
            packet.fanout = fanout
        }
        try checkRings(packet, socket)
        contents.packetSockets.append(packet)
    }

    /// Notes that the rings of a socket are mapped; which socket that is, is known later.
    func packetRing(_ inode: UInt64, name: String, of process: Int32, _ range: String) -> UInt32 {
        if let known = packetRings[inode] { return known.number }
        var record = InodeRecord()
        record.number = newNumber()
        record.kind = .packetRing
        contents.inodes.append(record)
        packetRings[inode] = (record.number, process, "\(range): \(name)")
        return record.number
    }

    /// Finds the sockets whose rings are mapped.
    func resolvePacketRings() throws(EngineError) {
        for (inode, ring) in packetRings {
            guard let socket = sockets[inode],
                let index = contents.inodes.firstIndex(where: { $0.number == ring.number })
            else { throw refuse(ring.process, ring.object, "nobody in the tree has the mapped socket open any more") }
            contents.inodes[index].device = UInt64(socket.number)
        }
    }

    /// The kernel and the workload each know where they are in a ring; the kernel's place cannot be given back.
    private func checkRings(_ packet: PacketSocketRecord, _ socket: KnownSocket) throws(EngineError) {
        let bytes = packet.receiveRing.byteCount + packet.sendRing.byteCount
        guard bytes > 0 else { return }
        let version = packet.options.first { $0.name == 10 }?.value.half(at: 0) ?? 0
        guard version < 2 else {
            throw refuse(socket.process, socket.object, "it has a ring of version 3, whose place cannot be given back")
        }
        let isUnused = try EngineError.wrap("look at the ring of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in try SocketCalls.mappingIsZero(socket.copy, byteCount: bytes)
        }
        if !isUnused {
            throw refuse(
                socket.process, socket.object, "its ring has been used, and the place in it cannot be given back")
        }
    }
}

extension PacketRingValue {
    /// `struct tpacket_req3` as seven numbers.
    init(_ numbers: [UInt32]) {
        self.init()
        guard numbers.count == 7 else { return }
        (blockBytes, blocks, frameBytes, frames) = (numbers[0], numbers[1], numbers[2], numbers[3])
        (retireMilliseconds, privateBytes, features) = (numbers[4], numbers[5], numbers[6])
    }

    var numbers: [UInt32] { [blockBytes, blocks, frameBytes, frames, retireMilliseconds, privateBytes, features] }
    var byteCount: Int { Int(blockBytes) * Int(blocks) }
}
