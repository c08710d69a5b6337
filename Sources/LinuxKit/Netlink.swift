/// One netlink message under construction: a header, then attributes in the kernel's layout.
public struct NetlinkMessage: Sendable {
    public private(set) var bytes: [UInt8]

    /// - Parameters:
    ///   - flags: NLM_F_*; NLM_F_REQUEST (1) is added.
    ///   - header: The family's own header, which follows `struct nlmsghdr`.
    public init(type: UInt16, flags: UInt16, sequence: UInt32, header: [UInt8]) {
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

/// A netlink socket.
public struct NetlinkSocket: Sendable {
    public let fd: Int32

    /// - Parameter family: NETLINK_SOCK_DIAG 4, NETLINK_NETFILTER 12.
    public init(family: Int32) throws(LinuxError) {
        fd = try SocketCalls.create(family: 16, type: 3, protocol: family)
        // SO_RCVTIMEO: an answer that never comes must not hold up frozen tasks for ever.
        try? SocketCalls.setOption(fd, 1, 20, NetlinkMessage.number(UInt64(5)) + NetlinkMessage.number(UInt64(0)))
    }

    public func close() { Files.close(fd) }

    /// Sends messages as one, and reads answers until each of `acknowledged` sequence numbers was acknowledged.
    ///
    /// - Throws: `LinuxError.call` with the first error that the kernel reports.
    public func transact(_ messages: [NetlinkMessage], acknowledged: Set<UInt32>, _ object: String) throws(LinuxError) {
        let bytes = messages.flatMap(\.bytes)
        // The whole batch waits in the kernel's buffer.
        if bytes.count > 100_000 {
            try? SocketCalls.setNumber(fd, 1, 32, Int32(min(bytes.count * 2, 64 << 20)))  // SO_SNDBUFFORCE
            try? SocketCalls.setNumber(fd, 1, 33, Int32(min(bytes.count * 2, 64 << 20)))  // SO_RCVBUFFORCE
        }
        var kernel: [UInt8] = [16, 0]
        kernel += [UInt8](repeating: 0, count: 10)
        do {
            try SocketCalls.send(fd, bytes[...], to: kernel)
        } catch {
            throw .call("netlink", object: object, error.errno ?? .invalid)
        }
        var waiting = acknowledged
        while !waiting.isEmpty {
            let answer = try SocketCalls.receive(fd, capacity: 1 << 16, flags: 0)
            var offset = 0
            while offset + 20 <= answer.count {
                let length = Int(word(answer, offset))
                guard length >= 16, offset + length <= answer.count else { break }
                let type = UInt16(answer[offset + 4]) | UInt16(answer[offset + 5]) << 8
                let sequence = word(answer, offset + 8)
                // NLMSG_ERROR: a negative errno, or 0 for an acknowledgement.
                if type == 2 {
                    let error = Int32(bitPattern: word(answer, offset + 16))
                    if error != 0 { throw .call("netlink", object: object, Errno(rawValue: -error)) }
                    waiting.remove(sequence)
                }
                offset += (length + 3) & ~3
            }
        }
    }

    /// Asks for a list.
    ///
    /// - Returns: What follows `struct nlmsghdr` in each message of the answer.
    public func dump(_ message: NetlinkMessage, _ object: String) throws(LinuxError) -> [[UInt8]] {
        var kernel: [UInt8] = [16, 0]
        kernel += [UInt8](repeating: 0, count: 10)
        try SocketCalls.send(fd, message.bytes[...], to: kernel)
        var found: [[UInt8]] = []
        while true {
            let answer = try SocketCalls.receive(fd, capacity: 1 << 16, flags: 0)
            if answer.isEmpty { throw .malformed(object, why: "the list ends early") }
            var offset = 0
            while offset + 16 <= answer.count {
                let length = Int(word(answer, offset))
                guard length >= 16, offset + length <= answer.count else { break }
                switch UInt16(answer[offset + 4]) | UInt16(answer[offset + 5]) << 8 {
                case 3: return found  // NLMSG_DONE
                case 2 where length >= 20:
                    let error = Int32(bitPattern: word(answer, offset + 16))
                    throw .call("netlink", object: object, Errno(rawValue: -error))
                default: found.append(Array(answer[(offset + 16)..<(offset + length)]))
                }
                offset += (length + 3) & ~3
            }
        }
    }

    private func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
}
