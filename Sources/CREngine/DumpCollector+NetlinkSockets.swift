internal import CRImage
internal import LinuxKit

/// Netlink sockets that nobody is answering: bound, in groups, without queued messages.
extension DumpCollector {
    /// SOL_NETLINK
    static let netlinkLevel: Int32 = 270
    /// NETLINK_PKTINFO, BROADCAST_ERROR, NO_ENOBUFS, LISTEN_ALL_NSID, CAP_ACK, EXT_ACK, GET_STRICT_CHK
    static let netlinkOptions: [UInt32] = [3, 4, 5, 8, 10, 11, 12]

    func collectNetlinkSocket(_ socket: KnownSocket, _ record: SocketRecord) throws(EngineError) {
        var netlink = NetlinkSocketRecord()
        netlink.socket = record.number
        let (name, peer, memory) = try EngineError.wrap("ask about \(socket.object)", task: socket.process) {
            () throws(LinuxError) in
            // SO_MEMINFO
            (
                try SocketCalls.localAddress(socket.copy), try SocketCalls.peerAddress(socket.copy),
                try SocketCalls.option(socket.copy, 1, 55, capacity: 36)
            )
        }
        if memory.half(at: 0) != 0 {
            throw refuse(
                socket.process, socket.object,
                "messages of the kernel wait in this netlink socket; nobody can send them again")
        }
        netlink.port = name.half(at: 4)
        netlink.groups = try netlinkGroups(socket)
        if let peer, peer.half(at: 4) != 0 || peer.half(at: 8) != 0 {
            netlink.isConnected = true
            netlink.peerPort = peer.half(at: 4)
            netlink.peerGroups = peer.half(at: 8)
        }
        // NETLINK_GENERIC gives out its groups as families come; only the first, of the controller, is always there.
        if record.protocolNumber == 16, netlink.groups.contains(where: { $0 != 16 }) {
            throw refuse(
                socket.process, socket.object,
                "it listens to groups of generic netlink, whose numbers are others after each start of a kernel")
        }
        try refuseBoundQueues(socket, netlink.port, record.protocolNumber)
        for option in Self.netlinkOptions {
            guard let value = try? SocketCalls.option(socket.copy, Self.netlinkLevel, Int32(option)) else { continue }
            netlink.options.append(SocketOptionValue(name: option, value: value))
        }
        contents.netlinkSockets.append(netlink)
    }

    /// NETLINK_LIST_MEMBERSHIPS: a mask of as many words as there are groups.
    private func netlinkGroups(_ socket: KnownSocket) throws(EngineError) -> [UInt64] {
        let mask = try EngineError.wrap("list the groups of \(socket.object)", task: socket.process) {
            () throws(LinuxError) in
            let count = try SocketCalls.optionBytes(socket.copy, Self.netlinkLevel, 9)
            return try SocketCalls.option(socket.copy, Self.netlinkLevel, 9, capacity: max(count, 4))
        }
        var groups: [UInt64] = []
        for (index, byte) in mask.enumerated() {
            for bit in 0..<8 where byte >> UInt8(bit) & 1 != 0 { groups.append(UInt64(index * 8 + bit + 1)) }
        }
        return groups
    }

    /// Queues and logs of the packet filter are bound to a socket in a way that the socket does not show.
    private func refuseBoundQueues(_ socket: KnownSocket, _ port: UInt32, _ number: Int32) throws(EngineError) {
        guard number == 12, port != 0 else { return }  // NETLINK_NETFILTER
        for name in ["nfnetlink_queue", "nfnetlink_log"] {
            let text = (try? Files.text(of: "/proc/\(socket.process)/net/netfilter/\(name)")) ?? ""
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.count >= 2, UInt32(words[1]) == port {
                    throw refuse(socket.process, socket.object, "a queue or log of the packet filter is bound to it")
                }
            }
        }
    }
}
