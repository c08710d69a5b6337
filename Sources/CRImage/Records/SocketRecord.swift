/// What every socket has, whatever its family; the rest is in the record of the family that names this one.
public struct SocketRecord: ImageValue {
    public var number: UInt32 = 0
    /// AF_UNIX 1, AF_INET 2, AF_INET6 10, AF_NETLINK 16, AF_PACKET 17.
    public var domain: UInt32 = 0
    /// SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_RAW 3, SOCK_SEQPACKET 5; without flags.
    public var type: UInt32 = 0
    /// SO_PROTOCOL.
    public var protocolNumber: Int32 = 0
    /// The socket's own inode: permission bits and owner, as fstat(2) gives them.
    public var mode: UInt32 = 0
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    public var options = SocketOptionsValue()

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.number("domain", &domain)
        try fields.number("type", &type)
        try fields.number("protocolNumber", &protocolNumber)
        try fields.number("mode", &mode)
        try fields.number("uid", &uid)
        try fields.number("gid", &gid)
        try options.transfer(&fields)
    }
}

/// The options at level SOL_SOCKET, as getsockopt(2) gives them.
public struct SocketOptionsValue: ImageValue {
    /// Ascending by name; a restore sets only names that it knows.
    public var values: [SocketOptionValue] = []
    /// SO_GET_FILTER: `struct sock_filter`, 8 bytes each; empty for none.
    public var filter: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.list("socketOptions", &values)
        try fields.bytes("socketFilter", &filter)
    }
}

/// One option of a socket.
public struct SocketOptionValue: ImageValue {
    /// `SO_…`
    public var name: UInt32 = 0
    public var value: [UInt8] = []

    public init() {}

    public init(name: UInt32, value: [UInt8]) {
        self.name = name
        self.value = value
    }

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("name", &name)
        try fields.bytes("value", &value)
    }
}
