/// One netlink message under construction: a header, then attributes in the kernel's layout.
public struct NetlinkMessage: Sendable {
    public private(set) var bytes: [UInt8]
    /// Answers carry it too.
    public let sequence: UInt32

    /// NLM_F_DUMP: all objects of a kind.
    public static let dump: UInt16 = 0x300

    /// - Parameters:
    ///   - flags: NLM_F_*; NLM_F_REQUEST (1) is added.
    ///   - header: The family's own header, which follows `struct nlmsghdr`.
    public init(type: UInt16, flags: UInt16, sequence: UInt32, header: [UInt8]) {
        self.sequence = sequence
        bytes = Self.number(UInt32(0))
        bytes += Self.number(type)
        bytes += Self.number(flags | 1)
        bytes += Self.number(sequence)
        bytes += Self.number(UInt32(0))
        bytes += header
        close()
    }

    /// Adds an attribute.
    public mutating func add(_ type: UInt16, _ payload: [UInt8]) { add(raw: Self.attribute(type, payload)) }

    /// Adds an attribute that ``attribute(_:_:)`` or one of its sisters has made.
    public mutating func add(raw attribute: [UInt8]) {
        bytes += attribute
        close()
    }

    private mutating func close() {
        while bytes.count % 4 != 0 { bytes.append(0) }
        bytes.replaceSubrange(0..<4, with: Self.number(UInt32(bytes.count)))
    }

    /// One attribute with its padding; nested ones are attributes whose payload is attributes.
    public static func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
        var bytes = number(UInt16(payload.count + 4)) + number(type) + payload
        while bytes.count % 4 != 0 { bytes.append(0) }
        return bytes
    }

    /// An attribute of attributes (NLA_F_NESTED).
    public static func nest(_ type: UInt16, _ attributes: [[UInt8]]) -> [UInt8] {
        attribute(type | 0x8000, attributes.flatMap { $0 })
    }

    /// An attribute of text with its ending zero.
    public static func text(_ type: UInt16, _ text: String) -> [UInt8] { attribute(type, Array(text.utf8) + [0]) }

    /// An attribute of four bytes in network order.
    public static func big(_ type: UInt16, _ value: UInt32) -> [UInt8] { attribute(type, big(value)) }

    /// Four bytes in network order.
    public static func big(_ value: UInt32) -> [UInt8] { number(value).reversed() }

    /// The bytes of a number as this machine keeps them.
    public static func number<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        (0..<(Value.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
}

/// A netlink socket in the network namespace that its maker is in.
public struct NetlinkSocket: Sendable {
    public let fd: Int32

    /// - Parameter family: NETLINK_ROUTE 0, NETLINK_SOCK_DIAG 4, NETLINK_NETFILTER 12.
    public init(family: Int32) throws(LinuxError) {
        fd = try SocketCalls.create(family: 16, type: 3, protocol: family)
        // SO_RCVTIMEO: an answer that never comes must not hold up frozen tasks for ever.
        try? SocketCalls.setOption(fd, 1, 20, NetlinkMessage.number(UInt64(15)) + NetlinkMessage.number(UInt64(0)))
    }

    public func close() { Files.close(fd) }

    /// Sends messages as one, and reads answers until each of `acknowledged` sequence numbers was acknowledged.
    ///
    /// - Returns: The answers with these numbers.
    /// - Throws: `LinuxError.call` with the first error that the kernel reports.
    @discardableResult
    public func transact(
        _ messages: [NetlinkMessage], acknowledged: Set<UInt32>, _ object: String
    ) throws(LinuxError) -> [RouteMessage] {
        let bytes = messages.flatMap(\.bytes)
        // The whole batch waits in the kernel's buffer.
        if bytes.count > 100_000 {
            try? SocketCalls.setNumber(fd, 1, 32, Int32(min(bytes.count * 2, 64 << 20)))  // SO_SNDBUFFORCE
            try? SocketCalls.setNumber(fd, 1, 33, Int32(min(bytes.count * 2, 64 << 20)))  // SO_RCVBUFFORCE
        }
        try send(bytes, object)
        var waiting = acknowledged
        var found: [RouteMessage] = []
        while !waiting.isEmpty {
            for (sequence, message) in try receive(object) {
                if message.type == Self.error {
                    try Self.check(message, object)
                    waiting.remove(sequence)
                } else if acknowledged.contains(sequence) {
                    found.append(message)
                }
            }
        }
        return found
    }

    /// Asks for a list.
    public func dump(_ message: NetlinkMessage, _ object: String) throws(LinuxError) -> [RouteMessage] {
        try send(message.bytes, object)
        var found: [RouteMessage] = []
        while true {
            for (sequence, answer) in try receive(object) where sequence == message.sequence {
                switch answer.type {
                case Self.done: return found
                case Self.error:
                    try Self.check(answer, object)
                    return found
                default: found.append(answer)
                }
            }
        }
    }

    /// NLMSG_ERROR: a negative errno, or 0 for an acknowledgement.
    private static let error: UInt16 = 2
    /// NLMSG_DONE.
    private static let done: UInt16 = 3

    private static func check(_ message: RouteMessage, _ object: String) throws(LinuxError) {
        let code = Int32(bitPattern: RouteAttribute(0, message.payload).number)
        if code != 0 { throw .call("netlink", object: object, Errno(rawValue: -code)) }
    }

    private func send(_ bytes: [UInt8], _ object: String) throws(LinuxError) {
        do {
            try SocketCalls.send(fd, bytes[...], to: [16, 0] + [UInt8](repeating: 0, count: 10))
        } catch {
            throw .call("netlink", object: object, error.errno ?? .invalid)
        }
    }

    /// The messages of one answer, each with its sequence number; none when a signal came instead.
    private func receive(_ object: String) throws(LinuxError) -> [(sequence: UInt32, message: RouteMessage)] {
        let answer: [UInt8]
        do throws(LinuxError) {
            answer = try SocketCalls.receive(fd, capacity: 1 << 17, flags: 0)
        } catch {
            if error.errno == .interrupted { return [] }
            throw .call("netlink", object: object, error.errno ?? .invalid)
        }
        if answer.isEmpty { throw .malformed(object, why: "the answer ends early") }
        var found: [(UInt32, RouteMessage)] = []
        var offset = 0
        while offset + 16 <= answer.count {
            let length = Int(SocketDump.half(answer, offset))
            guard length >= 16, offset + length <= answer.count else {
                throw .malformed(object, why: "an answer of \(length) bytes")
            }
            let payload = Array(answer[(offset + 16)..<(offset + length)])
            found.append(
                (
                    SocketDump.half(answer, offset + 8),
                    RouteMessage(type: SocketDump.short(answer, offset + 4), payload: payload)
                ))
            offset += (length + 3) & ~3
        }
        return found
    }
}

/// Requests of rtnetlink(7) and its kin, one after another.
public final class RouteSocket {
    /// NETLINK_ROUTE.
    public static let route: Int32 = 0
    /// NETLINK_NETFILTER.
    public static let netfilter: Int32 = 12

    private let socket: NetlinkSocket
    private var sequence: UInt32 = 0

    public init(_ family: Int32 = RouteSocket.route) throws(LinuxError) { socket = try NetlinkSocket(family: family) }

    deinit { socket.close() }

    /// Asks for all objects of a kind.
    ///
    /// - Parameter body: The fixed structure (and attributes) of the request.
    public func dump(_ type: UInt16, _ body: [UInt8]) throws(LinuxError) -> [RouteMessage] {
        try socket.dump(message(type, flags: NetlinkMessage.dump, body), "request \(type)")
    }

    /// Makes a request that is answered by an acknowledgement, or by one message and an acknowledgement.
    ///
    /// - Parameter flags: NLM_F_CREATE and others; NLM_F_REQUEST and NLM_F_ACK are added.
    @discardableResult
    public func request(_ type: UInt16, flags: UInt16 = 0, _ body: [UInt8]) throws(LinuxError) -> [RouteMessage] {
        let message = message(type, flags: flags | 4, body)
        return try socket.transact([message], acknowledged: [sequence], "request \(type)")
    }

    private func message(_ type: UInt16, flags: UInt16, _ body: [UInt8]) -> NetlinkMessage {
        sequence += 1
        return NetlinkMessage(type: type, flags: flags, sequence: sequence, header: body)
    }
}
