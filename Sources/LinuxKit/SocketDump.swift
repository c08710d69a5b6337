/// Dumps of the kernel's socket diagnostics.
///
/// - Source: `sock_diag(7)`.
public enum SocketDump {
    /// Asks for all sockets of one kind.
    ///
    /// - Parameters:
    ///   - request: The family's own request structure.
    ///   - body: Gets each answer without its netlink header.
    public static func each(
        _ request: [UInt8], _ object: String, _ body: ([UInt8]) -> Void
    ) throws(LinuxError) {
        let socket = try NetlinkSocket(family: 4)  // NETLINK_SOCK_DIAG
        defer { socket.close() }
        // SOCK_DIAG_BY_FAMILY
        let message = NetlinkMessage(type: 20, flags: NetlinkMessage.dump, sequence: 1, header: request)
        for answer in try socket.dump(message, object) { body(answer.payload) }
    }

    /// The attributes from `start` on, by type.
    static func attributes(_ bytes: [UInt8], from start: Int) -> [UInt16: [UInt8]] {
        let list = RouteAttribute.parse(Array(bytes.dropFirst(start)))
        return Dictionary(list.map { ($0.type, $0.value) }) { $1 }
    }

    static func half(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        guard offset + 4 <= bytes.count else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    static func short(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        guard offset + 2 <= bytes.count else { return 0 }
        return UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
    }
}
