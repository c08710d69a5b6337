/// What an AF_PACKET socket has beside its ``SocketRecord``.
public struct PacketSocketRecord: ImageValue {
    /// Number of the ``SocketRecord``.
    public var socket: UInt32 = 0
    /// ETH_P_…, in the order of this machine; 0 when it receives nothing.
    public var protocolNumber: UInt32 = 0
    /// Index of the interface that it is bound to; 0 for all.
    public var interface: Int32 = 0
    /// Name of that interface, of a SOCK_PACKET socket, which is bound by name.
    public var interfaceName = ""
    /// At level SOL_PACKET.
    public var options: [SocketOptionValue] = []
    public var memberships: [PacketMembershipValue] = []
    public var receiveRing = PacketRingValue()
    public var sendRing = PacketRingValue()
    /// PACKET_FANOUT: group, type and flags; meaningful when `hasFanout`.
    public var hasFanout = false
    public var fanout: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("socket", &socket)
        try fields.number("packetProtocol", &protocolNumber)
        try fields.number("interface", &interface)
        try fields.text("interfaceName", &interfaceName)
        try fields.list("packetOptions", &options)
        try fields.list("memberships", &memberships)
        try receiveRing.transfer(&fields)
        try sendRing.transfer(&fields)
        try fields.flag("hasFanout", &hasFanout)
        try fields.number("fanout", &fanout)
    }
}

/// PACKET_ADD_MEMBERSHIP.
public struct PacketMembershipValue: ImageValue {
    public var interface: Int32 = 0
    /// PACKET_MR_MULTICAST 0, …_PROMISC 1, …_ALLMULTI 2, …_UNICAST 3.
    public var type: UInt32 = 0
    public var address: [UInt8] = []
    /// How often it was added.
    public var count: UInt32 = 1

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("interface", &interface)
        try fields.number("type", &type)
        try fields.bytes("address", &address)
        try fields.number("count", &count)
    }
}

/// `struct tpacket_req3`; all zero for no ring.
public struct PacketRingValue: ImageValue {
    public var blockBytes: UInt32 = 0
    public var blocks: UInt32 = 0
    public var frameBytes: UInt32 = 0
    public var frames: UInt32 = 0
    public var retireMilliseconds: UInt32 = 0
    public var privateBytes: UInt32 = 0
    public var features: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("blockBytes", &blockBytes)
        try fields.number("blocks", &blocks)
        try fields.number("frameBytes", &frameBytes)
        try fields.number("frames", &frames)
        try fields.number("retireMilliseconds", &retireMilliseconds)
        try fields.number("privateBytes", &privateBytes)
        try fields.number("features", &features)
    }
}
