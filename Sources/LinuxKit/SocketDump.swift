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
        let fd = try SocketCalls.create(family: 16, type: 3, protocol: 4)  // AF_NETLINK, NETLINK_SOCK_DIAG
        defer { Files.close(fd) }
        // SOCK_DIAG_BY_FAMILY, NLM_F_DUMP
        let message = NetlinkMessage(type: 20, flags: 0x300, sequence: 1, header: request)
        try SocketCalls.send(fd, message.bytes[...], to: [16, 0] + [UInt8](repeating: 0, count: 10))
        while true {
            let answer = try SocketCalls.receive(fd, capacity: 1 << 16, flags: 0)
            var offset = 0
            while offset + 16 <= answer.count {
                let length = Int(half(answer, offset))
                let type = short(answer, offset + 4)
                guard length >= 16, offset + length <= answer.count else {
                    throw .malformed("sock_diag", why: "a message of \(length) bytes")
                }
                if type == 3 { return }  // NLMSG_DONE
                if type == 2 {
                    let errno = Int32(bitPattern: half(answer, offset + 16))
                    throw .call("sock_diag", object: object, Errno(rawValue: -errno))
                }
                body(Array(answer[(offset + 16)..<(offset + length)]))
                offset += (length + 3) & ~3
            }
        }
    }

    /// The attributes from `start` on, by type.
    static func attributes(_ bytes: [UInt8], from start: Int) -> [UInt16: [UInt8]] {
        var found: [UInt16: [UInt8]] = [:]
        var offset = start
        while offset + 4 <= bytes.count {
            let length = Int(short(bytes, offset))
            guard length >= 4, offset + length <= bytes.count else { break }
            found[short(bytes, offset + 2) & 0x3fff] = Array(bytes[(offset + 4)..<(offset + length)])
            offset += (length + 3) & ~3
        }
        return found
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
