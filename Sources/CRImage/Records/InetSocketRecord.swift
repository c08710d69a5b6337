/// How far a socket has come.
public enum InetSocketState: UInt32, Sendable, Hashable {
    /// Not connected: fresh, bound, or a TCP connection that has ended.
    case idle = 1
    case listening = 2
    /// TCP: the first segment is out, no answer yet.
    case synSent = 3
    case established = 4
    /// TCP, half closed: we closed first, and that is not acknowledged; then acknowledged; then both closed at once.
    case finWait1 = 5
    case finWait2 = 6
    case closing = 7
    /// TCP, half closed: the peer closed first; then we did too.
    case closeWait = 8
    case lastAck = 9

    /// Whether a connection exists whose peer counts on it.
    public var isConnection: Bool { self != .idle && self != .listening && self != .synSent }
    /// Whether our own end of stream is in the send queue or was sent.
    public var hasSentEnd: Bool { [.finWait1, .finWait2, .closing, .lastAck].contains(self) }
    /// Whether the peer's end of stream has come.
    public var hasReceivedEnd: Bool { [.closing, .closeWait, .lastAck].contains(self) }
}

/// An Internet socket: TCP, UDP, UDP-Lite, raw, ICMP. What all sockets have is in the ``SocketRecord`` of `socket`.
public struct InetSocketRecord: ImageValue {
    /// Number of the ``SocketRecord``.
    public var socket: UInt32 = 0
    public var state = InetSocketState.idle
    /// `struct sockaddr_in` or `sockaddr_in6`; empty for a socket that is not bound.
    public var local: [UInt8] = []
    /// The same of whom it is connected to; empty for nobody.
    public var peer: [UInt8] = []
    /// RCV_SHUTDOWN 1, SEND_SHUTDOWN 2; of connections only what the state does not say.
    public var shutdown: UInt32 = 0
    /// SO_ERROR that nobody has taken; 0 for none.
    public var error: Int32 = 0
    /// listen(2).
    public var backlog: Int32 = 0
    /// Options of the levels IP, IPv6, TCP, UDP and raw that the kernel showed.
    public var options: [InetOptionValue] = []
    public var stream = StreamValue()
    /// Datagrams that wait to be received, the oldest first.
    public var datagrams: [DatagramValue] = []
    public var memberships: [MembershipValue] = []
    /// Name of the packet lock that answers nobody in its place at the source host; empty when there was none.
    public var lock = ""

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("socket", &socket)
        try fields.choice("state", &state)
        try fields.bytes("local", &local)
        try fields.bytes("peer", &peer)
        try fields.number("shutdown", &shutdown)
        try fields.number("error", &error)
        try fields.number("backlog", &backlog)
        try fields.list("inetOptions", &options)
        try stream.transfer(&fields)
        try fields.list("datagrams", &datagrams)
        try fields.list("memberships", &memberships)
        try fields.text("lock", &lock)
    }
}

/// One option of a level other than SOL_SOCKET, as getsockopt(2) gives it.
public struct InetOptionValue: ImageValue {
    /// IPPROTO_IP 0, ICMP 1, TCP 6, UDP 17, IPv6 41, ICMPv6 58, UDP-Lite 136, SOL_RAW 255.
    public var level: Int32 = 0
    public var name: Int32 = 0
    public var value: [UInt8] = []

    public init() {}

    public init(level: Int32, name: Int32, value: [UInt8]) {
        self.level = level
        self.name = name
        self.value = value
    }

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("level", &level)
        try fields.number("name", &name)
        try fields.bytes("value", &value)
    }
}

/// A TCP connection's own state, as TCP_REPAIR shows it.
public struct StreamValue: ImageValue {
    /// The sequence number behind the last byte of each queue, an end of stream counted.
    public var receiveSequence: UInt32 = 0
    public var sendSequence: UInt32 = 0
    /// What has come and was not read.
    public var receiveQueue: [UInt8] = []
    /// What the peer has not acknowledged; the last `unsentBytes` of it were never sent.
    public var sendQueue: [UInt8] = []
    public var unsentBytes: UInt32 = 0
    /// Whether an end of stream in the send queue was never sent.
    public var isEndUnsent = false
    /// TCPI_OPT_*: time stamps 1, selective acknowledgements 2, window scaling 4.
    public var negotiated: UInt32 = 0
    public var sendScale: UInt32 = 0
    public var receiveScale: UInt32 = 0
    /// The largest segment that the peer takes.
    public var maximumSegment: UInt32 = 0
    /// TCP_TIMESTAMP.
    public var timestamp: UInt32 = 0
    /// TCP_REPAIR_WINDOW: `struct tcp_repair_window`; empty when the kernel does not show it.
    public var window: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("receiveSequence", &receiveSequence)
        try fields.number("sendSequence", &sendSequence)
        try fields.bytes("receiveQueue", &receiveQueue)
        try fields.bytes("sendQueue", &sendQueue)
        try fields.number("unsentBytes", &unsentBytes)
        try fields.flag("isEndUnsent", &isEndUnsent)
        try fields.number("negotiated", &negotiated)
        try fields.number("sendScale", &sendScale)
        try fields.number("receiveScale", &receiveScale)
        try fields.number("maximumSegment", &maximumSegment)
        try fields.number("timestamp", &timestamp)
        try fields.bytes("window", &window)
    }
}

/// One datagram in a receive queue.
public struct DatagramValue: ImageValue {
    /// Where it came from.
    public var address: [UInt8] = []
    public var bytes: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.bytes("address", &address)
        try fields.bytes("bytes", &bytes)
    }
}

/// One multicast group that a socket has joined on one interface.
public struct MembershipValue: ImageValue {
    /// 4 or 16 bytes.
    public var group: [UInt8] = []
    /// Number of the interface.
    public var interface: UInt32 = 0
    /// MCAST_INCLUDE 1, MCAST_EXCLUDE 0; with no sources EXCLUDE is a plain membership.
    public var filterMode: UInt32 = 0
    /// Addresses of 4 or 16 bytes.
    public var sources: [[UInt8]] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.bytes("group", &group)
        try fields.number("interface", &interface)
        try fields.number("filterMode", &filterMode)
        try fields.list(ofBytes: "sources", &sources)
    }
}
