internal import CRImage
internal import LinuxKit

/// What Internet sockets only tell when they are asked in roundabout ways.
enum InetProbes {
    private static let joinGroup: Int32 = 42
    private static let leaveGroup: Int32 = 45
    private static let filter: Int32 = 48

    /// A multicast group that some socket of the network namespace has joined.
    struct Group: Hashable {
        var interface: UInt32
        var address: [UInt8]
    }

    /// All groups of a process's network namespace.
    static func groups(of process: Int32) -> [Group] {
        var groups: [Group] = []
        // "2\teth0 : …" starts an interface; its groups follow, in host byte order.
        var interface: UInt32 = 0
        for line in lines("/proc/\(process)/net/igmp").dropFirst() {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard let first = words.first else { continue }
            if line.first != "\t" {
                interface = UInt32(first) ?? 0
            } else if let value = UInt32(first, radix: 16) {
                groups.append(Group(interface: interface, address: NetlinkMessage.number(value)))
            }
        }
        // "2 eth0 ff020000… users flags timer"
        for line in lines("/proc/\(process)/net/igmp6") {
            let words = line.split(separator: " ")
            guard words.count > 2, let index = UInt32(words[0]), words[2].utf8.count == 32 else { continue }
            let digits = Array(words[2].utf8)
            let address = stride(from: 0, to: 32, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
            }
            if address.count == 16 { groups.append(Group(interface: index, address: address)) }
        }
        return groups
    }

    private static func lines(_ path: String) -> [Substring] {
        ((try? Files.text(of: path)) ?? "").split(separator: "\n")
    }

    private static func level(_ address: [UInt8]) -> Int32 {
        address.count == 4 ? InetOptions.levelIP : InetOptions.levelIPv6
    }

    /// `struct sockaddr_storage` of a group or a source.
    private static func storage(_ address: [UInt8]) -> [UInt8] {
        let short = InetAddress(host: address, port: 0).bytes(domain: address.count == 4 ? 2 : 10)
        return short + [UInt8](repeating: 0, count: 128 - short.count)
    }

    /// `struct group_req`.
    private static func request(_ group: Group) -> [UInt8] {
        NetlinkMessage.number(UInt64(group.interface)) + storage(group.address)
    }

    /// The groups that a socket has joined: joining again fails with EADDRINUSE. They are joined already on those
    /// interfaces, so that asking sends nothing.
    static func memberships(_ fd: Int32, domain: UInt32, among groups: [Group]) -> [MembershipValue] {
        var found: [MembershipValue] = []
        for group in groups where domain == 10 || group.address.count == 4 {
            do throws(LinuxError) {
                try SocketCalls.setOption(fd, level(group.address), joinGroup, request(group))
                try? SocketCalls.setOption(fd, level(group.address), leaveGroup, request(group))
            } catch {
                guard error.errno?.rawValue == 98 else { continue }  // EADDRINUSE
                var value = MembershipValue()
                value.group = group.address
                value.interface = group.interface
                sources(fd, group, &value)
                found.append(value)
            }
        }
        return found
    }

    /// MCAST_MSFILTER: `struct group_filter`, whose sources follow at 144.
    private static func sources(_ fd: Int32, _ group: Group, _ value: inout MembershipValue) {
        let room = 64
        var asking = request(group) + NetlinkMessage.number(UInt32(0)) + NetlinkMessage.number(UInt32(room))
        asking += [UInt8](repeating: 0, count: 128 * room)
        guard let answer = try? SocketCalls.option(fd, level(group.address), filter, asking: asking),
            answer.count >= 144
        else { return }
        value.filterMode = answer.half(at: 136)
        let width = group.address.count
        for index in 0..<min(room, Int(answer.half(at: 140))) {
            let start = 144 + 128 * index + (width == 4 ? 4 : 8)
            guard start + width <= answer.count else { break }
            value.sources.append(Array(answer[start..<(start + width)]))
        }
    }

    /// Joins a group again.
    static func join(_ fd: Int32, _ membership: MembershipValue) throws(LinuxError) {
        let group = Group(interface: membership.interface, address: membership.group)
        let level = level(group.address)
        let isInclude = membership.filterMode == 1 && !membership.sources.isEmpty
        if !isInclude { try SocketCalls.setOption(fd, level, joinGroup, request(group)) }
        for source in membership.sources {
            // MCAST_JOIN_SOURCE_GROUP 46, MCAST_BLOCK_SOURCE 43: struct group_source_req
            try SocketCalls.setOption(fd, level, isInclude ? 46 : 43, request(group) + storage(source))
        }
    }

    /// TCP sockets that sign what they send with keys (TCP_MD5SIG), by inode number; those without a port do not show.
    static func signed(domain: UInt32) -> Set<UInt64> {
        // struct inet_diag_req_v2; the keys go with INET_DIAG_INFO (2), so bit 1.
        var request: [UInt8] = [UInt8(domain), 6, 2, 0, 0xff, 0xff, 0xff, 0xff]
        request += [UInt8](repeating: 0, count: 48)
        var found: Set<UInt64> = []
        try? SocketDump.each(request, "TCP sockets") { answer in
            guard answer.count >= 72 else { return }
            // INET_DIAG_MD5SIG
            let attributes = RouteAttribute.parse(Array(answer.dropFirst(72)))
            if attributes.contains(where: { $0.type == 18 }) { found.insert(UInt64(answer.half(at: 68))) }
        }
        return found
    }

    /// Inode number of each socket of a protocol to its sk_shutdown, from sock_diag(7).
    ///
    /// - Returns: Nothing on kernels that do not list this protocol.
    static func shutdowns(domain: UInt32, protocol number: Int32) -> [UInt64: UInt32] {
        // struct inet_diag_req_v2 with INET_DIAG_SHUTDOWN (8) asked for, all states, any address.
        var request: [UInt8] = [UInt8(domain), UInt8(truncatingIfNeeded: number), 0x80, 0, 0xff, 0xff, 0xff, 0xff]
        request += [UInt8](repeating: 0, count: 48)
        var found: [UInt64: UInt32] = [:]
        try? SocketDump.each(request, "sockets of protocol \(number)") { answer in
            guard answer.count >= 72 else { return }
            let attributes = RouteAttribute.parse(Array(answer.dropFirst(72)))
            guard let value = attributes.first(where: { $0.type == 8 })?.value.first else { return }
            found[UInt64(answer.half(at: 68))] = UInt32(value)
        }
        return found
    }

    /// Whom a raw or ICMP socket is connected to: getpeername(2) takes the port, which it has not, for a sign of that.
    ///
    /// - Returns: `nil` when it is connected to nobody.
    static func peer(ofInode inode: UInt64, process: Int32, _ socket: SocketRecord) -> InetAddress? {
        let file = (socket.type == 3 ? "raw" : "icmp") + (socket.domain == 10 ? "6" : "")
        for line in lines("/proc/\(process)/net/\(file)").dropFirst() {
            let words = line.split(separator: " ")
            guard words.count > 9, words[9] == "\(inode)" else { continue }
            let digits = Array(words[2].utf8)
            // Words of the address in host byte order, then the port.
            var host: [UInt8] = []
            for start in stride(from: 0, to: digits.count - 7, by: 8) {
                guard let word = UInt32(String(decoding: digits[start..<(start + 8)], as: UTF8.self), radix: 16)
                else { return nil }
                host += NetlinkMessage.number(word)
            }
            guard host.count == 4 || host.count == 16 else { return nil }
            let address = InetAddress(host: host, port: 0)
            return address.isAny ? nil : address
        }
        return nil
    }

    /// Datagrams in a receive queue, the oldest first; none is taken.
    ///
    /// - Throws: EOPNOTSUPP when the kernel can only show the first.
    static func datagrams(_ fd: Int32) throws(LinuxError) -> [DatagramValue] {
        // POLLIN; SO_PEEK_OFF makes each look go one further.
        guard try Files.poll(fd, events: 1) & 1 != 0 else { return [] }
        let offset = try SocketCalls.number(fd, 1, 42)
        try SocketCalls.setNumber(fd, 1, 42, 0)
        defer { try? SocketCalls.setNumber(fd, 1, 42, offset) }
        var found: [DatagramValue] = []
        while found.count < 1 << 16 {
            do throws(LinuxError) {
                let message = try SocketCalls.message(fd, capacity: 1 << 16, flags: SocketCalls.peek | 0x40)
                var value = DatagramValue()
                value.address = message.address
                value.bytes = message.bytes
                found.append(value)
            } catch {
                if error.errno == .again { break }
                throw error
            }
        }
        return found
    }
}
