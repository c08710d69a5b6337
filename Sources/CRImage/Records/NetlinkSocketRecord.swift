/// What a netlink socket has beside its ``SocketRecord``.
public struct NetlinkSocketRecord: ImageValue {
    /// Number of the ``SocketRecord``.
    public var socket: UInt32 = 0
    /// Its address, `nl_pid`; 0 when it is not bound.
    public var port: UInt32 = 0
    /// Numbers of the multicast groups that it has joined.
    public var groups: [UInt64] = []
    /// Where it is connected to; meaningful when `isConnected`.
    public var isConnected = false
    public var peerPort: UInt32 = 0
    /// `nl_groups` of the peer's address: a mask.
    public var peerGroups: UInt32 = 0
    /// At level SOL_NETLINK.
    public var options: [SocketOptionValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("socket", &socket)
        try fields.number("port", &port)
        try fields.words("groups", &groups)
        try fields.flag("isConnected", &isConnected)
        try fields.number("peerPort", &peerPort)
        try fields.number("peerGroups", &peerGroups)
        try fields.list("netlinkOptions", &options)
    }
}
