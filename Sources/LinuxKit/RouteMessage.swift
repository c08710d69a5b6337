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
    public var encoded: [UInt8] { NetlinkMessage.attribute(type, value) }

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
