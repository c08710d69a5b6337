internal import CRImage
internal import LinuxKit

/// The options of Internet sockets above SOL_SOCKET.
///
/// All that the kernel shows is kept; a restore sets what differs from the new socket, so that defaults which another
/// kernel or host has set otherwise are given back as the workload knew them, and options that this kernel lacks only
/// count when they say something.
///
/// - Source: `ip(7)`, `ipv6(7)`, `tcp(7)`, `udp(7)`, `linux/in.h`, `linux/in6.h`, `linux/tcp.h`, `linux/udp.h`.
enum InetOptions {
    /// When an option is given back.
    private enum Stage {
        /// Before bind(2): it decides whether and how that works.
        case early
        /// After bind(2) and connect(2).
        case late
        /// Of a connection the kernel steers it by itself: given back to sockets that have none only.
        case idleOnly
    }

    private struct Option {
        var level: Int32
        var name: Int32
        /// The longest value.
        var room: Int
        var stage: Stage

        init(_ level: Int32, _ name: Int32, _ room: Int = 4, _ stage: Stage = .late) {
            self.level = level
            self.name = name
            self.room = room
            self.stage = stage
        }
    }

    static let levelIP: Int32 = 0
    static let levelTCP: Int32 = 6
    static let levelIPv6: Int32 = 41
    static let freebind: Int32 = 15
    static let freebind6: Int32 = 78
    static let versionOnly: Int32 = 26
    private static let levelRaw: Int32 = 255
    private static let levelICMPv6: Int32 = 58

    private static func options(domain: UInt32, type: UInt32, protocol number: Int32) -> [Option] {
        var list: [Option] = []
        if domain == 10 { list += ipv6 }
        // An IPv6 socket carries IPv4 too; only raw ones do not.
        if domain == 2 || type != 3 { list += ip + (type == 1 ? [] : multicast) }
        if domain == 10, type != 1 { list += multicast6 }
        switch (type, number) {
        case (1, _): list += tcp
        case (2, 17): list += udp
        case (2, 136): list += udp + [Option(136, 10), Option(136, 11)]  // UDPLITE_SEND_CSCOV, _RECV_CSCOV
        case (3, _):
            if domain == 2 {
                // IP_HDRINCL, IP_NODEFRAG, ICMP_FILTER
                list += [Option(levelIP, 3), Option(levelIP, 22), Option(levelRaw, 1)]
            } else {
                // IPV6_HDRINCL, IPV6_CHECKSUM, ICMPV6_FILTER
                list += [Option(levelIPv6, 36), Option(levelRaw, 7), Option(levelICMPv6, 1, 32)]
            }
        default: break
        }
        return list
    }

    private static let ip: [Option] = [
        Option(levelIP, freebind, 4, .early), Option(levelIP, 19, 4, .early),  // IP_TRANSPARENT
        Option(levelIP, 24, 4, .early), Option(levelIP, 51, 4, .early),  // BIND_ADDRESS_NO_PORT, LOCAL_PORT_RANGE
        Option(levelIP, 1), Option(levelIP, 2), Option(levelIP, 4, 40),  // TOS, TTL, OPTIONS
        Option(levelIP, 6), Option(levelIP, 7), Option(levelIP, 8),  // RECVOPTS, RETOPTS, PKTINFO
        Option(levelIP, 10), Option(levelIP, 11),  // MTU_DISCOVER, RECVERR
        Option(levelIP, 12), Option(levelIP, 13),  // RECVTTL, RECVTOS
        Option(levelIP, 18), Option(levelIP, 20), Option(levelIP, 21),  // PASSSEC, RECVORIGDSTADDR, MINTTL
        Option(levelIP, 23), Option(levelIP, 25), Option(levelIP, 26),  // CHECKSUM, RECVFRAGSIZE, RECVERR_RFC4884
        Option(levelIP, 50),  // UNICAST_IF
    ]

    /// MULTICAST_IF, _TTL, _LOOP, _ALL, which a stream can show and not set.
    private static let multicast: [Option] = [
        Option(levelIP, 32), Option(levelIP, 33), Option(levelIP, 34), Option(levelIP, 49),
    ]
    private static let multicast6: [Option] = [
        Option(levelIPv6, 17), Option(levelIPv6, 18), Option(levelIPv6, 19), Option(levelIPv6, 29),
    ]

    private static let ipv6: [Option] = [
        Option(levelIPv6, versionOnly, 4, .early), Option(levelIPv6, freebind6, 4, .early),  // V6ONLY
        Option(levelIPv6, 75, 4, .early), Option(levelIPv6, 72, 4, .early),  // TRANSPARENT, ADDR_PREFERENCES
        Option(levelIPv6, 33), Option(levelIPv6, 11), Option(levelIPv6, 70),  // FLOWINFO_SEND, FLOWINFO, AUTOFLOWLABEL
        Option(levelIPv6, 16), Option(levelIPv6, 30), Option(levelIPv6, 31),  // UNICAST_HOPS, …
        Option(levelIPv6, 23), Option(levelIPv6, 25), Option(levelIPv6, 62),  // MTU_DISCOVER, RECVERR, DONTFRAG
        Option(levelIPv6, 49), Option(levelIPv6, 51), Option(levelIPv6, 53), Option(levelIPv6, 56),  // RECVPKTINFO, …
        Option(levelIPv6, 58), Option(levelIPv6, 60), Option(levelIPv6, 66), Option(levelIPv6, 67),
        Option(levelIPv6, 73), Option(levelIPv6, 74), Option(levelIPv6, 76), Option(levelIPv6, 77),
        Option(levelIPv6, 2), Option(levelIPv6, 3), Option(levelIPv6, 4), Option(levelIPv6, 5), Option(levelIPv6, 8),
        Option(levelIPv6, 54, 256), Option(levelIPv6, 55, 256), Option(levelIPv6, 57, 256),  // HOPOPTS, …
        Option(levelIPv6, 59, 256),
    ]

    private static let tcp: [Option] = [
        Option(levelTCP, 2, 4, .idleOnly), Option(levelTCP, 10, 4, .idleOnly),  // MAXSEG, WINDOW_CLAMP
        Option(levelTCP, 27, 4, .idleOnly), Option(levelTCP, 30, 4, .idleOnly),  // SAVE_SYN, FASTOPEN_CONNECT
        Option(levelTCP, 33, 32, .idleOnly), Option(levelTCP, 23, 4, .idleOnly),  // FASTOPEN_KEY, FASTOPEN
        Option(levelTCP, 34, 4, .idleOnly),  // FASTOPEN_NO_COOKIE
        Option(levelTCP, 13, 16),  // CONGESTION
        Option(levelTCP, 4), Option(levelTCP, 5), Option(levelTCP, 6), Option(levelTCP, 7),  // KEEP*, SYNCNT
        Option(levelTCP, 8), Option(levelTCP, 9), Option(levelTCP, 12),  // LINGER2, DEFER_ACCEPT, QUICKACK
        Option(levelTCP, 16), Option(levelTCP, 17), Option(levelTCP, 18),  // THIN_*, USER_TIMEOUT
        Option(levelTCP, 25), Option(levelTCP, 36), Option(levelTCP, 37),  // NOTSENT_LOWAT, INQ, TX_DELAY
        Option(levelTCP, 44), Option(levelTCP, 45), Option(levelTCP, 46),  // RTO_MAX_MS, RTO_MIN_US, DELACK_MAX_US
        Option(levelTCP, 1), Option(levelTCP, 3),  // NODELAY, CORK
    ]

    private static let udp: [Option] = [
        Option(17, 1), Option(17, 100), Option(17, 101), Option(17, 102),  // CORK, ENCAP, NO_CHECK6_TX, _RX
        Option(17, 103), Option(17, 104),  // SEGMENT, GRO
    ]

    /// Everything that the kernel shows of a socket.
    static func read(_ fd: Int32, _ socket: SocketRecord) -> [InetOptionValue] {
        var values: [InetOptionValue] = []
        for option in options(domain: socket.domain, type: socket.type, protocol: socket.protocolNumber) {
            // ENOPROTOOPT and its like: this kernel, or this state, has no such option.
            guard let value = try? SocketCalls.option(fd, option.level, option.name, capacity: option.room) else {
                continue
            }
            values.append(InetOptionValue(level: option.level, name: option.name, value: value))
        }
        return values
    }

    /// Gives options back.
    ///
    /// - Parameters:
    ///   - early: Those that must be there before bind(2), or else the others.
    ///   - notes: Gets a sentence for each that could not be set.
    static func apply(
        _ record: InetSocketRecord, _ socket: SocketRecord, to fd: Int32, early: Bool, object: String,
        notes: inout [String]
    ) {
        for option in options(domain: socket.domain, type: socket.type, protocol: socket.protocolNumber) {
            guard let wanted = record.options.first(where: { $0.level == option.level && $0.name == option.name }),
                wanted.value.count <= option.room
            else { continue }
            var isDue = early
            switch option.stage {
            case .early: break
            case .late: isDue = !early
            case .idleOnly:
                isDue = !early && !record.state.isConnection && record.state != .synSent && record.shutdown != 3
            }
            // What decides about binding is forced while the socket is bound, and may differ afterwards.
            if option.stage == .early, !early { isDue = true }
            guard isDue else { continue }
            let now = try? SocketCalls.option(fd, option.level, option.name, capacity: option.room)
            if now == wanted.value { continue }
            do {
                try SocketCalls.setOption(fd, option.level, option.name, wanted.value)
            } catch {
                // Once bound it is fixed; to an address, as connections are, the kernel binds for IPv6 only.
                if option.level == levelIPv6, option.name == versionOnly { continue }
                notes.append(
                    "option \(option.name) of level \(option.level) of \(object) could not be set: "
                        + (error.errno.map { "\($0)" } ?? error.description))
            }
        }
    }
}
