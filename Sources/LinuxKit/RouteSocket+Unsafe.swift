/// One message of rtnetlink(7) or another netlink family.
public struct RouteMessage: Sendable, Hashable {
    /// RTM_NEWLINK and friends.
    public var type: UInt16
    /// What stands behind the header: a fixed structure, then attributes.
    public var payload: [UInt8]

    public init(type: UInt16, payload: [UInt8]) {
        self.type = type
        self.payload = payload
    }

    /// The attributes behind a fixed structure of `offset` bytes.
    public func attributes(behind offset: Int) -> [RouteAttribute] {
        RouteAttribute.parse(Array(payload.dropFirst((offset + 3) & ~3)))
    }
}

/// One attribute of a netlink message.
public struct RouteAttribute: Sendable, Hashable {
    /// Without the NLA_F_NESTED and NLA_F_NET_BYTEORDER bits.
    public var type: UInt16
    public var value: [UInt8]

    public init(_ type: UInt16, _ value: [UInt8]) {
        self.type = type
        self.value = value
    }

    /// An attribute that holds a 32-bit number.
    public init(_ type: UInt16, number: UInt32) {
        self.init(type, (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) })
    }

    /// An attribute that holds a C string.
    public init(_ type: UInt16, text: String) { self.init(type, Array(text.utf8) + [0]) }

    /// An attribute that holds others.
    public init(_ type: UInt16, nested: [RouteAttribute]) {
        self.init(type | 0x8000, nested.flatMap(\.encoded))
    }

    /// The value as a 32-bit number; 0 when it is shorter.
    public var number: UInt32 {
        guard value.count >= 4 else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(value[$1]) << (8 * UInt32($1)) }
    }

    /// The value as text up to the first zero byte.
    public var text: String { String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }

    /// Header, value and padding.
    public var encoded: [UInt8] {
        let length = value.count + 4
        var bytes: [UInt8] = [
            UInt8(length & 0xff), UInt8(length >> 8 & 0xff), UInt8(type & 0xff), UInt8(type >> 8),
        ]
        bytes += value
        while bytes.count % 4 != 0 { bytes.append(0) }
        return bytes
    }

    /// All whole attributes in `bytes`.
    public static func parse(_ bytes: [UInt8]) -> [RouteAttribute] {
        var result: [RouteAttribute] = []
        var offset = 0
        while offset + 4 <= bytes.count {
            let length = Int(bytes[offset]) | Int(bytes[offset + 1]) << 8
            guard length >= 4, offset + length <= bytes.count else { break }
            let type = (UInt16(bytes[offset + 2]) | UInt16(bytes[offset + 3]) << 8) & 0x3fff
            result.append(RouteAttribute(type, Array(bytes[(offset + 4)..<(offset + length)])))
            offset += (length + 3) & ~3
        }
        return result
    }
}

/// A netlink socket in the network namespace that the engine was in when it made it.
public final class RouteSocket {
    /// NETLINK_ROUTE.
    public static let route: UInt64 = 0
    /// NETLINK_NETFILTER.
    public static let netfilter: UInt64 = 12

    private let fd: Int32
    private var sequence: UInt32 = 0

    public init(_ family: UInt64 = RouteSocket.route) throws(LinuxError) {
        // AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC
        fd = Int32(try Kernel.call(.socket, 16, 3 | 0o2000000, family, on: "netlink family \(family)"))
    }

    deinit { Files.close(fd) }

    /// Asks for all objects of a kind.
    ///
    /// - Parameter body: The fixed structure (and attributes) of the request.
    public func dump(_ type: UInt16, _ body: [UInt8]) throws(LinuxError) -> [RouteMessage] {
        // NLM_F_REQUEST | NLM_F_DUMP
        try send(type, flags: 0x301, body)
        var messages: [RouteMessage] = []
        while true {
            for message in try receive() {
                if message.type == 3 { return messages }  // NLMSG_DONE
                if message.type == 2 {
                    try Self.check(message, type)
                    return messages
                }
                messages.append(message)
            }
        }
    }

    /// Makes a request that is answered by an acknowledgement, or by one message and an acknowledgement.
    ///
    /// - Parameter flags: NLM_F_CREATE and others; NLM_F_REQUEST and NLM_F_ACK are added.
    @discardableResult
    public func request(_ type: UInt16, flags: UInt16 = 0, _ body: [UInt8]) throws(LinuxError) -> [RouteMessage] {
        try send(type, flags: flags | 5, body)
        var messages: [RouteMessage] = []
        while true {
            for message in try receive() {
                if message.type == 2 {
                    try Self.check(message, type)
                    return messages
                }
                messages.append(message)
            }
        }
    }

    private static func check(_ message: RouteMessage, _ type: UInt16) throws(LinuxError) {
        let code = RouteAttribute(0, Array(message.payload.prefix(4))).number
        let error = Int32(bitPattern: code)
        if error < 0 { throw .call("netlink", object: "request \(type)", Errno(rawValue: -error)) }
    }

    private func send(_ type: UInt16, flags: UInt16, _ body: [UInt8]) throws(LinuxError) {
        sequence += 1
        let header: [UInt32] = [UInt32(16 + body.count), UInt32(type) | UInt32(flags) << 16, sequence, 0]
        let bytes =
            header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) } } + body
        // SAFETY: the buffer lives through the call. Unconnected netlink sockets send to the kernel.
        let answer = bytes.withUnsafeBytes {
            Kernel.attempt(.sendto, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64($0.count), 0, 0, 0)
        }
        if let errno = Kernel.errno(of: answer) { throw .call("sendto", object: "netlink socket", errno) }
    }

    private func receive() throws(LinuxError) -> [RouteMessage] {
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        // SAFETY: the kernel writes at most `count` bytes.
        let answer = buffer.withUnsafeMutableBytes {
            Kernel.attempt(.recvfrom, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64($0.count), 0, 0, 0)
        }
        if let errno = Kernel.errno(of: answer) {
            if errno == .interrupted { return [] }
            throw .call("recvfrom", object: "netlink socket", errno)
        }
        var messages: [RouteMessage] = []
        var offset = 0
        while offset + 16 <= Int(answer) {
            func word(_ at: Int) -> UInt32 {
                (0..<4).reduce(0) { $0 | UInt32(buffer[offset + at + $1]) << (8 * UInt32($1)) }
            }
            let length = Int(word(0))
            guard length >= 16, offset + length <= Int(answer) else { break }
            if word(8) == sequence {
                messages.append(
                    RouteMessage(
                        type: UInt16(word(4) & 0xffff), payload: Array(buffer[(offset + 16)..<(offset + length)])))
            }
            offset += (length + 3) & ~3
        }
        return messages
    }
}
