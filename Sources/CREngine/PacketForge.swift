internal import LinuxKit

/// Packets of a peer, made by the engine and delivered on this host only: what a restored socket must have met to be in
/// its state, or in its queue.
struct PacketForge {
    /// Flags of TCP.
    enum Flags {
        static let fin: UInt8 = 1
        static let rst: UInt8 = 4
        static let ack: UInt8 = 16
    }

    private static func big(_ value: UInt32) -> [UInt8] { NetlinkMessage.big(value) }
    private static func big(_ value: UInt16) -> [UInt8] { NetlinkMessage.number(value).reversed() }

    /// The Internet checksum of a segment with its pseudo header.
    private static func checksum(_ source: InetAddress, _ destination: InetAddress, _ kind: UInt8, _ segment: [UInt8])
        -> UInt16
    {
        checksum([source.host, destination.host, segment], UInt64(kind) + UInt64(segment.count))
    }

    private static func checksum(_ pieces: [[UInt8]], _ start: UInt64) -> UInt16 {
        var sum = start
        for bytes in pieces {
            for index in stride(from: 0, to: bytes.count, by: 2) {
                let low = index + 1 < bytes.count ? bytes[index + 1] : 0
                sum += UInt64(bytes[index]) << 8 | UInt64(low)
            }
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        return ~UInt16(sum)
    }

    private static func packet(
        _ source: InetAddress, _ destination: InetAddress, _ kind: UInt8, _ segment: [UInt8]
    ) -> [UInt8] {
        if destination.host.count == 4 {
            // The kernel fills in the header's checksum.
            let count = big(UInt16(truncatingIfNeeded: segment.count + 20))
            return [0x45, 0] + count + [0, 0, 0, 0, 64, kind, 0, 0] + source.host + destination.host + segment
        }
        return [0x60, 0, 0, 0] + big(UInt16(truncatingIfNeeded: segment.count)) + [kind, 64] + source.host
            + destination.host + segment
    }

    /// A TCP segment without data.
    static func tcp(
        from source: InetAddress, to destination: InetAddress, sequence: UInt32, acknowledgement: UInt32,
        flags: UInt8, window: UInt16
    ) -> [UInt8] {
        var segment = big(source.port) + big(destination.port) + big(sequence) + big(acknowledgement)
        segment += [5 << 4, flags] + big(window) + [0, 0, 0, 0]
        segment.replaceSubrange(16..<18, with: big(checksum(source, destination, 6, segment)))
        return packet(source, destination, 6, segment)
    }

    /// A datagram of UDP (17) or UDP-Lite (136).
    static func datagram(
        from source: InetAddress, to destination: InetAddress, protocol kind: UInt8, _ payload: [UInt8]
    ) -> [UInt8] {
        // UDP-Lite has its coverage where UDP has its length; 0 is the whole datagram.
        let length = kind == 136 ? 0 : UInt16(truncatingIfNeeded: payload.count + 8)
        var segment = big(source.port) + big(destination.port) + big(length) + [0, 0] + payload
        var sum = checksum(source, destination, kind, segment)
        if sum == 0 { sum = 0xffff }
        segment.replaceSubrange(6..<8, with: big(sum))
        return packet(source, destination, kind, segment)
    }

    /// What `source` answers to a datagram that nobody there wants: ICMP's port unreachable.
    static func refusal(
        from source: InetAddress, to destination: InetAddress, protocol kind: UInt8
    ) -> [UInt8] {
        let segment = big(destination.port) + big(source.port) + big(UInt16(8)) + [0, 0]
        let sent = packet(destination, source, kind, segment)
        let isVersion6 = destination.host.count == 16
        var message = (isVersion6 ? [1, 4, 0, 0] : [3, 3, 0, 0]) + [0, 0, 0, 0] + sent
        // ICMP has no pseudo header, ICMPv6 has.
        let pieces = isVersion6 ? [source.host, destination.host, message] : [message]
        let sum = checksum(pieces, isVersion6 ? 58 + UInt64(message.count) : 0)
        message.replaceSubrange(2..<4, with: big(sum))
        return packet(source, destination, isVersion6 ? 58 : 1, message)
    }

    /// Delivers a packet to this host; the mark lets it pass the engine's own lock.
    static func deliver(_ packet: [UInt8], to destination: InetAddress, scope: [UInt8]) throws(LinuxError) {
        let domain: Int32 = destination.host.count == 4 ? 2 : 10
        // SOCK_RAW with IPPROTO_RAW: the packet brings its own header.
        let socket = try SocketCalls.create(family: domain, type: 3, protocol: 255)
        defer { Files.close(socket) }
        try SocketCalls.setNumber(socket, 1, 36, Int32(bitPattern: PacketLock.mark))  // SO_MARK
        var address = InetAddress(host: destination.host, port: 0).bytes(domain: UInt32(domain))
        // Link-local addresses mean nothing without their interface.
        if domain == 10, scope.count == 4 { address.replaceSubrange(24..<28, with: scope) }
        try SocketCalls.send(socket, packet[...], to: address)
    }
}
