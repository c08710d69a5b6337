internal import CRImage
internal import LinuxKit

/// Sockets that talk to the kernel or to interfaces.
extension RestoreSockets {
    func openNetlink(_ record: SocketRecord) throws(EngineError) -> Int32 {
        guard let netlink = contents.netlinkSockets.first(where: { $0.socket == record.number }) else {
            throw .image(describe(record), why: "it is not described")
        }
        return try EngineError.wrap("make netlink \(describe(record))") { () throws(LinuxError) in
            let fd = try SocketCalls.create(
                family: 16, type: Int32(record.type), protocol: record.protocolNumber)
            do throws(LinuxError) {
                // struct sockaddr_nl: family, padding, port, groups
                if netlink.port != 0 { try SocketCalls.bind(fd, Self.netlinkAddress(netlink.port, 0)) }
                for group in netlink.groups {
                    // NETLINK_ADD_MEMBERSHIP
                    try SocketCalls.setNumber(
                        fd, DumpCollector.netlinkLevel, 1, Int32(truncatingIfNeeded: group))
                }
                if netlink.isConnected {
                    try SocketCalls.connect(fd, Self.netlinkAddress(netlink.peerPort, netlink.peerGroups))
                }
                set(netlink.options, DumpCollector.netlinkOptions, DumpCollector.netlinkLevel, fd, record)
                return fd
            } catch {
                Files.close(fd)
                throw error
            }
        }
    }

    private static func netlinkAddress(_ port: UInt32, _ groups: UInt32) -> [UInt8] {
        [16, 0, 0, 0] + NetlinkMessage.number(port) + NetlinkMessage.number(groups)
    }

    private func set(
        _ options: [SocketOptionValue], _ known: [UInt32], _ level: Int32, _ fd: Int32, _ record: SocketRecord
    ) {
        for name in known {
            guard let value = options.first(where: { $0.name == name })?.value, value.count == 4 else { continue }
            do throws(LinuxError) {
                if try SocketCalls.option(fd, level, Int32(name)) == value { continue }
                try SocketCalls.setOption(fd, level, Int32(name), value)
            } catch {
                note("option \(name) of \(describe(record)) could not be set")
            }
        }
    }

    func openPacket(_ record: SocketRecord) throws(EngineError) -> Int32 {
        guard let packet = contents.packetSockets.first(where: { $0.socket == record.number }) else {
            throw .image(describe(record), why: "it is not described")
        }
        return try EngineError.wrap("make packet \(describe(record))") { () throws(LinuxError) in
            // Without a protocol: nothing may come in before it is whole. SOCK_PACKET cannot get one later.
            let number = UInt16(truncatingIfNeeded: packet.protocolNumber).bigEndian
            let fd = try SocketCalls.create(
                family: 17, type: Int32(record.type), protocol: record.type == 10 ? Int32(number) : 0)
            do throws(LinuxError) {
                try complete(fd, packet, record)
                return fd
            } catch {
                Files.close(fd)
                throw error
            }
        }
    }

    private func complete(_ fd: Int32, _ packet: PacketSocketRecord, _ record: SocketRecord) throws(LinuxError) {
        let level = DumpCollector.packetLevel
        set(packet.options, DumpCollector.packetOptions, level, fd, record)
        for (name, ring) in [(Int32(5), packet.receiveRing), (Int32(13), packet.sendRing)] where ring.blocks != 0 {
            try SocketCalls.setOption(fd, level, name, ring.numbers.flatMap { NetlinkMessage.number($0) })
        }
        for membership in packet.memberships {
            // struct packet_mreq_max: index, type, length, address
            var request = NetlinkMessage.number(membership.interface)
            request += NetlinkMessage.number(UInt16(truncatingIfNeeded: membership.type))
            request += NetlinkMessage.number(UInt16(membership.address.count)) + membership.address
            while request.count < 40 { request.append(0) }
            for _ in 0..<min(membership.count, 1024) { try SocketCalls.setOption(fd, level, 1, request) }
        }
        let number = UInt16(truncatingIfNeeded: packet.protocolNumber).bigEndian
        if record.type == 10 {
            guard !packet.interfaceName.isEmpty else { return }
            // struct sockaddr with a name of at most 14 bytes
            let name = Array(packet.interfaceName.utf8.prefix(13))
            try SocketCalls.bind(fd, [17, 0] + name + [UInt8](repeating: 0, count: 14 - name.count))
            // What came from other interfaces until now. MSG_DONTWAIT
            while (try? SocketCalls.receive(fd, capacity: 1, flags: 0x40)) != nil {}
        } else if number != 0 || packet.interface != 0 {
            try bind(fd, number, packet.interface)
        }
        if packet.hasFanout { try SocketCalls.setOption(fd, level, 18, NetlinkMessage.number(packet.fanout)) }
    }

    /// `struct sockaddr_ll`.
    private func bind(_ fd: Int32, _ number: UInt16, _ interface: Int32) throws(LinuxError) {
        var address: [UInt8] = [17, 0]
        address += NetlinkMessage.number(number)
        address += NetlinkMessage.number(interface)
        address += [UInt8](repeating: 0, count: 12)
        try SocketCalls.bind(fd, address)
    }
}
