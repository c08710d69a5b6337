internal import CRImage
internal import LinuxKit

/// Interfaces, addresses, routes, rules and settings of a network namespace.
extension DumpCollector {
    private typealias Message = NetworkLinks.Message

    func collectNetwork(_ record: inout NamespaceRecord, _ pid: Int32) throws(EngineError) {
        let visit = try EngineError.wrap("enter its network namespace", task: pid) { () throws(LinuxError) in
            try Namespaces.Visit(pid, Namespaces.Flag.network)
        }
        defer { visit.end() }
        try checkFilters(pid)
        let links = try EngineError.wrap("list the network interfaces", task: pid) { () throws(LinuxError) in
            let socket = try RouteSocket()
            record.addresses = try socket.dump(Message.getAddress, [0, 0, 0, 0, 0, 0, 0, 0])
                .filter { $0.type == Message.newAddress }.map(\.payload)
            record.routes = try socket.dump(Message.getRoute, [UInt8](repeating: 0, count: 12))
                .filter { $0.type == Message.newRoute && Self.isOwnRoute($0) }.map { Self.route($0) }
            record.rules = try socket.dump(Message.getRule, [UInt8](repeating: 0, count: 12))
                .filter { $0.type == Message.newRule }.map(\.payload)
            record.neighbours = try socket.dump(Message.getNeighbour, [UInt8](repeating: 0, count: 12))
                .filter { $0.type == Message.newNeighbour && $0.payload.half(at: 8) & 0x80 != 0 }.map(\.payload)
            return try NetworkLinks.all(socket)
        }
        for (link, namespaceID) in links {
            if NetworkLinks.automatic.contains(link.name), link.kind != "veth" {
                record.links.append(link)
                continue
            }
            let object = "network interface \(link.name) (\(link.kind.isEmpty ? "a device" : link.kind))"
            guard NetworkLinks.plain.contains(link.kind) else {
                throw refuse(pid, object, "this kind of interface is not carried")
            }
            if link.kind != "veth", link.base != 0, namespaceID != nil {
                throw refuse(pid, object, "it is built on an interface of another namespace")
            }
            record.links.append(link)
            if link.kind == "veth", let namespaceID {
                awayPeers.append(AwayPeer(namespace: record.number, index: link.index, id: namespaceID, pid: pid))
            } else if link.kind == "veth" {
                record.links[record.links.count - 1].peerNamespace = record.number
            }
        }
        collectNetworkSettings(&record, "net")
    }

    /// Cloned routes are caches; those of the local table come with the addresses.
    private static func isOwnRoute(_ message: RouteMessage) -> Bool {
        message.payload.count >= 12 && message.payload.half(at: 8) & 0x200 == 0 && message.payload[4] != 255
    }

    /// Without what is the kernel's own business: RTA_CACHEINFO, and the flags that say that a link is down.
    private static func route(_ message: RouteMessage) -> [UInt8] {
        var payload = Array(message.payload.prefix(12))
        payload[8] &= ~0x11
        for attribute in message.attributes(behind: 12) where attribute.type != 12 { payload += attribute.encoded }
        return payload
    }

    /// Firewall rules are not carried; losing them silently would open what they close.
    private func checkFilters(_ pid: Int32) throws(EngineError) {
        if let socket = try? RouteSocket(RouteSocket.netfilter) {
            // NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE; struct nfgenmsg
            let tables = (try? socket.dump(10 << 8 | 1, [0, 0, 0, 0])) ?? []
            // What an engine has installed for a moment, or for a tree that is away, is none of the namespace's own.
            let own = Array("crengine-".utf8)
            let foreign = tables.filter { table in
                !table.payload.indices.dropLast(own.count).contains { table.payload[$0...].starts(with: own) }
            }
            if !foreign.isEmpty {
                throw refuse(pid, "network namespace", "it has nftables rules, which are not carried")
            }
        }
        for file in ["ip_tables_names", "ip6_tables_names", "arp_tables_names"] {
            let names = (try? Files.text(of: "/proc/self/net/\(file)")) ?? ""
            if let name = names.split(separator: "\n").first {
                throw refuse(pid, "network namespace", "it has an iptables table (\(name)), which is not carried")
            }
        }
    }

    /// Every file below `/proc/sys/net` that can be read and written.
    private func collectNetworkSettings(_ record: inout NamespaceRecord, _ folder: String) {
        for name in ((try? Files.names(in: "/proc/sys/\(folder)")) ?? []).sorted() {
            let path = "\(folder)/\(name)"
            guard let status = try? Files.status(of: "/proc/sys/\(path)") else { continue }
            if status.kind == .directory {
                // The neighbour tables' own `default` and each interface's stand beside each other.
                collectNetworkSettings(&record, path)
            } else if status.mode & 0o200 != 0, status.mode & 0o400 != 0,
                let value = try? Files.contents(of: "/proc/sys/\(path)"), !value.isEmpty
            {
                var setting = SettingValue()
                setting.name = path
                setting.value = value
                record.settings.append(setting)
            }
        }
    }

    /// Finds the other ends of veth pairs that cross namespaces, now that all are known.
    func resolvePeers() throws(EngineError) {
        for away in awayPeers {
            let (found, host) = try EngineError.wrap("find the other end of a veth", task: away.pid) {
                () throws(LinuxError) in try find(away)
            }
            guard let space = contents.namespaces.firstIndex(where: { $0.number == away.namespace }),
                let position = contents.namespaces[space].links.firstIndex(where: { $0.index == away.index })
            else { continue }
            let link = contents.namespaces[space].links[position]
            guard let found else {
                throw refuse(
                    away.pid, "network interface \(link.name) (veth)",
                    "its other end is in a namespace outside the tree")
            }
            contents.namespaces[space].links[position].peerNamespace = found
            guard found == 0 else { continue }
            let all = host.map(\.link)
            guard let peer = all.first(where: { $0.index == link.peerIndex && $0.peerIndex == link.index }) else {
                throw refuse(away.pid, "network interface \(link.name) (veth)", "its other end cannot be found")
            }
            contents.namespaces[space].links[position].peerName = peer.name
            contents.namespaces[space].links[position].peerFlags = peer.flags
            contents.namespaces[space].links[position].peerMtu = peer.mtu
            contents.namespaces[space].links[position].peerAddress = peer.address
            contents.namespaces[space].links[position].peerMaster =
                peer.master == 0 ? "" : all.first { $0.index == peer.master }?.name ?? ""
        }
    }

    /// - Returns: The number of the namespace (`nil` when it is none that is known), and the engine's interfaces.
    private func find(
        _ away: AwayPeer
    ) throws(LinuxError) -> (number: UInt32?, host: [(link: LinkValue, namespaceID: Int32?)]) {
        let host = try NetworkLinks.all(RouteSocket())
        var candidates: [(number: UInt32, fd: Int32)] = [(0, try Files.open("/proc/self/ns/net", .readOnly))]
        defer { for candidate in candidates { Files.close(candidate.fd) } }
        for record in contents.namespaces where record.kind == .network {
            guard let pid = namespaceBook.members[record.number] else { continue }
            candidates.append((record.number, try Files.open("/proc/\(pid)/ns/net", .readOnly)))
        }
        let visit = try Namespaces.Visit(away.pid, Namespaces.Flag.network)
        defer { visit.end() }
        let socket = try RouteSocket()
        for candidate in candidates where NetworkLinks.namespaceID(socket, of: candidate.fd) == away.id {
            return (candidate.number, host)
        }
        return (nil, host)
    }
}

/// One end of a veth pair whose other end is in another namespace.
struct AwayPeer {
    var namespace: UInt32
    var index: Int32
    /// What its own namespace calls the other one.
    var id: Int32
    var pid: Int32
}
