/// What the kernel's socket diagnostics tell about the AF_PACKET sockets of a network namespace.
///
/// - Source: `sock_diag(7)`, `linux/packet_diag.h`.
public enum PacketDiagnostics {
    /// One membership: interface, how often it was added, type, address.
    public struct Membership: Sendable, Hashable {
        public var interface: Int32
        public var count: UInt32
        public var type: UInt32
        public var address: [UInt8]
    }

    /// One socket.
    public struct Socket: Sendable, Hashable {
        /// ETH_P_…, in the order of this machine.
        public var protocolNumber: UInt32
        public var interface: Int32 = 0
        public var memberships: [Membership] = []
        /// `struct packet_diag_ring`: seven numbers; `nil` for none.
        public var receiveRing: [UInt32]?
        public var sendRing: [UInt32]?
        /// PACKET_FANOUT.
        public var fanout: UInt32?
    }

    /// All AF_PACKET sockets, by inode.
    ///
    /// - Throws: ENOENT when this kernel does not have the diagnostics (packet_diag).
    public static func sockets() throws(LinuxError) -> [UInt32: Socket] {
        // struct packet_diag_req: family, protocol, padding, inode, what to show (info, memberships, rings, fanout), cookie
        let request =
            [17, 0, 0, 0] + NetlinkMessage.number(UInt32(0)) + NetlinkMessage.number(UInt32(0xf))
            + NetlinkMessage.number(UInt64(0))
        var sockets: [UInt32: Socket] = [:]
        try SocketDump.each(request, "packet sockets") { bytes in
            guard bytes.count >= 16 else { return }
            sockets[SocketDump.half(bytes, 4)] = parse(bytes)
        }
        return sockets
    }

    /// `struct packet_diag_msg` and its attributes.
    static func parse(_ bytes: [UInt8]) -> Socket {
        var socket = Socket(protocolNumber: UInt32(SocketDump.short(bytes, 2)))
        let attributes = SocketDump.attributes(bytes, from: 16)
        if let info = attributes[0] { socket.interface = Int32(bitPattern: SocketDump.half(info, 0)) }
        if let list = attributes[1] {
            // struct packet_diag_mclist: 44 bytes
            for offset in stride(from: 0, to: list.count - 43, by: 44) {
                let length = min(Int(SocketDump.short(list, offset + 10)), 32)
                socket.memberships.append(
                    Membership(
                        interface: Int32(bitPattern: SocketDump.half(list, offset)),
                        count: SocketDump.half(list, offset + 4), type: UInt32(SocketDump.short(list, offset + 8)),
                        address: Array(list[(offset + 12)..<(offset + 12 + length)])))
            }
        }
        func ring(_ value: [UInt8]?) -> [UInt32]? {
            guard let value, value.count >= 28 else { return nil }
            let numbers = (0..<7).map { SocketDump.half(value, $0 * 4) }
            return numbers[1] == 0 ? nil : numbers
        }
        socket.receiveRing = ring(attributes[2])
        socket.sendRing = ring(attributes[3])
        if let fanout = attributes[4], fanout.count >= 4 { socket.fanout = SocketDump.half(fanout, 0) }
        return socket
    }
}
