/// Drops the packets that would reach sockets which are not there for a while, so that nobody is told so: a segment
/// without a socket is answered with RST, which ends the peer's connection. And those that such connections send: what a
/// peer gets after a connection was read, nobody knows of any more.
///
/// A table of nf_tables, made by netlink messages, so that no program is needed.
///
/// - Source: `linux/netfilter/nf_tables.h`, `nft(8)`.
public enum PacketLock {
    /// A connection of the workload.
    public struct Connection: Sendable, Hashable {
        /// 4 or 16 bytes.
        public var local: [UInt8]
        public var localPort: UInt16
        public var peer: [UInt8]
        public var peerPort: UInt16

        public init(local: [UInt8], localPort: UInt16, peer: [UInt8], peerPort: UInt16) {
            self.local = local
            self.localPort = localPort
            self.peer = peer
            self.peerPort = peerPort
        }

        /// As the kernel of the receiving side sees it: source, destination, both ports.
        fileprivate var key: [UInt8] { peer + local + PacketLock.big(peerPort) + PacketLock.big(localPort) }
        /// The same, of what it sends.
        fileprivate var sentKey: [UInt8] { local + peer + PacketLock.big(localPort) + PacketLock.big(peerPort) }
    }

    /// A port on which the workload waits for connections; only first segments (SYN) for it are dropped.
    public struct Listener: Sendable, Hashable {
        /// 4 or 16 bytes; none for every address.
        public var address: [UInt8]
        public var port: UInt16
        public var isVersion6: Bool

        public init(address: [UInt8], port: UInt16, isVersion6: Bool) {
            self.address = address
            self.port = port
            self.isVersion6 = isVersion6
        }
    }

    /// Packets with this mark (SO_MARK) pass: the engine's own.
    public static let mark: UInt32 = 0x6372_6c62

    /// How long ports stay silent when nobody restores; the peers' first segments come again after 1, 3, 7, … seconds.
    private static let listenerMilliseconds: UInt64 = 120_000

    private static let newTable: UInt16 = 0xa00
    private static let deleteTable: UInt16 = 0xa02
    private static let newChain: UInt16 = 0xa03
    private static let newRule: UInt16 = 0xa06
    private static let newSet: UInt16 = 0xa09
    private static let newElements: UInt16 = 0xa0c

    private static func big(_ value: UInt16) -> [UInt8] { NetlinkMessage.number(value).reversed() }

    /// Whether a name is one that ``name(pid:nanoseconds:)`` could have made.
    public static func isName(_ name: String) -> Bool {
        name.hasPrefix("crengine-") && name.utf8.count < 64
            && name.utf8.allSatisfy { $0 == 45 || ($0 >= 48 && $0 <= 57) || ($0 >= 97 && $0 <= 122) }
    }

    /// A name that no other lock of this machine has.
    public static func name(pid: Int32, nanoseconds: UInt64) -> String {
        "crengine-\(pid)-\(String(nanoseconds, radix: 36))"
    }

    /// Installs a lock.
    ///
    /// - Parameter owned: The table goes when the returned socket is closed, so also when this process is killed; before
    ///   5.12 the kernel cannot do that, and the table stays.
    /// - Returns: The socket that owns it; `nil` for a table that stays.
    /// - Throws: `LinuxError.call` when the kernel has no nf_tables, or the name is taken (EEXIST).
    public static func install(
        _ name: String, _ connections: [Connection], _ listeners: [Listener], owned: Bool
    ) throws(LinuxError) -> NetlinkSocket? {
        let socket = try NetlinkSocket(family: 12)
        do throws(LinuxError) {
            if owned {
                do throws(LinuxError) {
                    try send(messages(name, connections, listeners, flags: 2), socket, name)  // NFT_TABLE_F_OWNER
                    return socket
                } catch {
                    guard error.errno == .invalid || error.errno == .notSupported else { throw error }
                }
            }
            try send(messages(name, connections, listeners, flags: 0), socket, name)
            socket.close()
            return nil
        } catch {
            socket.close()
            throw error
        }
    }

    /// Removes a lock.
    ///
    /// - Returns: False when there is none of that name.
    @discardableResult
    public static func remove(_ name: String) throws(LinuxError) -> Bool {
        let socket = try NetlinkSocket(family: 12)
        defer { socket.close() }
        do {
            try send([(deleteTable, 0, [NetlinkMessage.text(1, name)])], socket, name)
            return true
        } catch {
            if error.errno == .noEntry { return false }
            throw error
        }
    }

    /// Sends one transaction: all of it happens, or nothing.
    private static func send(
        _ parts: [(type: UInt16, flags: UInt16, attributes: [[UInt8]])], _ socket: NetlinkSocket, _ name: String
    ) throws(LinuxError) {
        // struct nfgenmsg: family, version, the subsystem (10, nf_tables) in network order.
        var sequence: UInt32 = 1
        var messages = [NetlinkMessage(type: 0x10, flags: 0, sequence: sequence, header: [0, 0, 0, 10])]
        for (index, part) in parts.enumerated() {
            sequence += 1
            let isLast = index == parts.count - 1
            // NFPROTO_INET; NLM_F_ACK for the last: errors come without being asked for.
            var message = NetlinkMessage(
                type: part.type, flags: part.flags | (isLast ? 4 : 0), sequence: sequence, header: [1, 0, 0, 0])
            for attribute in part.attributes { message.add(raw: attribute) }
            messages.append(message)
        }
        let last = sequence
        messages.append(NetlinkMessage(type: 0x11, flags: 0, sequence: last + 1, header: [0, 0, 0, 10]))
        try socket.transact(messages, acknowledged: [last], "table \(name)")
    }

    // MARK: The table

    private static func messages(
        _ name: String, _ connections: [Connection], _ listeners: [Listener], flags: UInt32
    ) -> [(type: UInt16, flags: UInt16, attributes: [[UInt8]])] {
        typealias Message = NetlinkMessage
        // NLM_F_CREATE | NLM_F_EXCL
        let create: UInt16 = 0x600
        var parts: [(type: UInt16, flags: UInt16, attributes: [[UInt8]])] = []
        parts.append((newTable, create, [Message.text(1, name)] + (flags == 0 ? [] : [Message.big(2, flags)])))
        // NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, before filters of other priorities: NFTA_CHAIN_HOOK with number and priority.
        for (chain, number) in [("in", UInt32(1)), ("out", 3)] where chain == "in" || !connections.isEmpty {
            let hook = Message.nest(4, [Message.big(1, number), Message.big(2, UInt32(bitPattern: -400))])
            parts.append(
                (newChain, create, [Message.text(1, name), Message.text(3, chain), hook, Message.text(7, "filter")]))
        }

        for (number, kind) in kinds(connections, listeners).enumerated() where !kind.keys.isEmpty {
            // NLM_F_CREATE; table, name, flags (with a timeout 0x10), key type and length, timeout, ID.
            var set = [
                Message.text(1, name), Message.text(2, kind.name), Message.big(3, kind.expires ? 0x10 : 0),
                Message.big(4, 0), Message.big(5, UInt32(kind.keys[0].count)), Message.big(10, UInt32(number + 1)),
            ]
            if kind.expires {
                set.append(Message.attribute(11, NetlinkMessage.number(listenerMilliseconds).reversed()))
            }
            parts.append((newSet, create, set))
            // An attribute has at most 64 KiB.
            for start in stride(from: 0, to: kind.keys.count, by: 400) {
                let elements = kind.keys[start..<min(start + 400, kind.keys.count)].map { key in
                    Message.nest(1, [Message.nest(1, [Message.attribute(1, key)])])
                }
                parts.append(
                    (
                        newElements, create,
                        [
                            Message.text(1, name), Message.text(2, kind.name), Message.nest(3, elements),
                            Message.big(4, UInt32(number + 1)),
                        ]
                    ))
            }
            let rule = Message.nest(4, expressions(kind, set: UInt32(number + 1)))
            // NLM_F_CREATE | NLM_F_APPEND
            parts.append((newRule, 0xc00, [Message.text(1, name), Message.text(2, kind.chain), rule]))
        }
        return parts
    }

    /// One set and its rule.
    private struct Kind {
        var name: String
        /// NFPROTO_IPV4 2, NFPROTO_IPV6 10.
        var family: UInt8
        var keys: [[UInt8]]
        /// What is loaded before the lookup: header (1 network, 2 transport), offset, count, register.
        var loads: [(base: UInt32, offset: UInt32, count: UInt32, register: UInt32)]
        var expires: Bool
        var chain = "in"
    }

    private static func kinds(_ connections: [Connection], _ listeners: [Listener]) -> [Kind] {
        func keys(_ listeners: [Listener]) -> [[UInt8]] { Array(Set(listeners.map { $0.address + big($0.port) })) }
        let fixed = listeners.filter { !$0.address.isEmpty }
        let any = listeners.filter { $0.address.isEmpty }
        func connected(_ name: String, _ bytes: Int, _ chain: String, _ key: KeyPath<Connection, [UInt8]>) -> Kind {
            Kind(
                name: name, family: bytes == 4 ? 2 : 10,
                keys: Array(Set(connections.filter { $0.local.count == bytes }.map { $0[keyPath: key] })),
                loads: bytes == 4 ? [(1, 12, 8, 8), (2, 0, 4, 10)] : [(1, 8, 32, 8), (2, 0, 4, 16)], expires: false,
                chain: chain)
        }
        return [
            connected("c4", 4, "in", \.key), connected("c6", 16, "in", \.key),
            connected("o4", 4, "out", \.sentKey), connected("o6", 16, "out", \.sentKey),
            Kind(
                name: "l4", family: 2, keys: keys(fixed.filter { !$0.isVersion6 }),
                loads: [(1, 16, 4, 8), (2, 2, 2, 9)], expires: true),
            Kind(
                name: "l6", family: 10, keys: keys(fixed.filter(\.isVersion6)),
                loads: [(1, 24, 16, 8), (2, 2, 2, 12)], expires: true),
            Kind(
                name: "a4", family: 2, keys: keys(any.filter { !$0.isVersion6 }), loads: [(2, 2, 2, 8)],
                expires: true),
            Kind(name: "a6", family: 10, keys: keys(any.filter(\.isVersion6)), loads: [(2, 2, 2, 8)], expires: true),
        ]
    }

    /// mark ≠ ours, family, TCP, for ports SYN alone, key in the set: drop.
    private static func expressions(_ kind: Kind, set: UInt32) -> [[UInt8]] {
        typealias Message = NetlinkMessage
        func expression(_ name: String, _ attributes: [[UInt8]]) -> [UInt8] {
            Message.nest(1, [Message.text(1, name), Message.nest(2, attributes)])
        }
        func meta(_ key: UInt32, equals value: [UInt8], negated: Bool = false) -> [[UInt8]] {
            [
                expression("meta", [Message.big(1, 8), Message.big(2, key)]),
                compare(value, negated: negated),
            ]
        }
        func compare(_ value: [UInt8], negated: Bool) -> [UInt8] {
            expression(
                "cmp",
                [Message.big(1, 8), Message.big(2, negated ? 1 : 0), Message.nest(3, [Message.attribute(1, value)])])
        }
        func load(_ base: UInt32, _ offset: UInt32, _ count: UInt32, _ register: UInt32) -> [UInt8] {
            expression(
                "payload",
                [Message.big(1, register), Message.big(2, base), Message.big(3, offset), Message.big(4, count)])
        }
        // NFT_META_MARK 3 in host order, NFT_META_NFPROTO 15, NFT_META_L4PROTO 16
        var list = meta(3, equals: Message.number(mark), negated: true)
        list += meta(15, equals: [kind.family]) + meta(16, equals: [6])
        if kind.expires {
            // The flags' byte: of FIN, SYN, RST and ACK only SYN.
            list.append(load(2, 13, 1, 8))
            list.append(
                expression(
                    "bitwise",
                    [
                        Message.big(1, 8), Message.big(2, 8), Message.big(3, 1),
                        Message.nest(4, [Message.attribute(1, [0x17])]),
                        Message.nest(5, [Message.attribute(1, [0])]),
                    ]))
            list.append(compare([2], negated: false))
        }
        list += kind.loads.map { load($0.base, $0.offset, $0.count, $0.register) }
        list.append(expression("lookup", [Message.text(1, kind.name), Message.big(2, 8), Message.big(4, set)]))
        // NF_DROP is 0, into the verdict register.
        let verdict = Message.nest(2, [Message.nest(2, [Message.big(1, 0)])])
        list.append(expression("immediate", [Message.big(1, 0), verdict]))
        return list
    }
}
