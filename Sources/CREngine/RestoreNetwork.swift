internal import CRImage
internal import CRModel
internal import LinuxKit

/// Fills a new network namespace.
final class RestoreNetwork {
    private typealias Message = NetworkLinks.Message

    private let record: NamespaceRecord
    private let contents: ImageContents
    /// A task in another namespace of the tree; `nil` while that is not there.
    private let holder: (UInt32) -> Int32?
    private(set) var notes: [String] = []

    init(_ record: NamespaceRecord, _ contents: ImageContents, holder: @escaping (UInt32) -> Int32?) {
        self.record = record
        self.contents = contents
        self.holder = holder
    }

    func fill(_ stub: RestoreStub) throws(EngineError) {
        let home = try EngineError.wrap("open the engine's network namespace") { () throws(LinuxError) in
            try Files.open("/proc/self/ns/net", .readOnly)
        }
        defer { Files.close(home) }
        try masters(stub, home)
        let visit = try EngineError.wrap("enter a new network namespace", task: stub.tid) { () throws(LinuxError) in
            try Namespaces.Visit(stub.outer, Namespaces.Flag.network)
        }
        defer { visit.end() }
        try EngineError.wrap("fill a network namespace", task: stub.tid) { () throws(LinuxError) in
            let socket = try RouteSocket()
            for link in record.links { try create(link, socket, home) }
            for link in record.links where link.master != 0 {
                try socket.request(
                    Message.newLink,
                    NetworkLinks.header(index: link.index)
                        + RouteAttribute(10, number: UInt32(bitPattern: link.master)).encoded)
            }
            settings()
            // Addresses that were in use need no search for duplicates; the setting comes back at the end.
            for link in record.links {
                try? Files.write(Array("0".utf8), toExisting: "/proc/sys/net/ipv6/conf/\(link.name)/accept_dad")
            }
            for link in record.links { try raise(link, socket) }
            for payload in record.addresses { try address(payload, socket) }
            try removeOthers(socket)
            // Gateways must be reachable when a route names them.
            let direct = record.routes.filter { !hasGateway($0) }
            for payload in direct + record.routes.filter({ hasGateway($0) }) { add(Message.newRoute, payload, socket) }
            for payload in record.neighbours { add(Message.newNeighbour, payload, socket) }
            try rules(socket)
            // Some of them change when an interface comes up.
            settings()
        }
        try peers(stub, home)
    }

    private func hasGateway(_ payload: [UInt8]) -> Bool {
        // RTA_GATEWAY, RTA_VIA, RTA_MULTIPATH
        RouteMessage(type: 0, payload: payload).attributes(behind: 12).contains { [5, 18, 9].contains($0.type) }
    }

    /// Refuses early what would fail late: the name of a peer in the engine's namespace may be taken.
    private func masters(_ stub: RestoreStub, _ home: Int32) throws(EngineError) {
        let outside = record.links.filter { $0.kind == "veth" && $0.peerNamespace == 0 }
        if outside.isEmpty { return }
        let here = try EngineError.wrap("list the network interfaces") { () throws(LinuxError) in
            try NetworkLinks.all(RouteSocket()).map(\.link)
        }
        for link in outside where here.contains(where: { $0.name == link.peerName }) {
            throw .busy(
                "the network interface \(link.peerName), the other end of \(link.name), exists already",
                task: nil, next: "remove it, or wait until the old namespace is gone")
        }
    }

    private func create(_ link: LinkValue, _ socket: RouteSocket, _ home: Int32) throws(LinuxError) {
        if link.kind.isEmpty || NetworkLinks.automatic.contains(link.name) && link.kind != "veth" { return }
        var away: Int32 = -1
        var body = NetworkLinks.header(index: link.index) + RouteAttribute(3, text: link.name).encoded
        if !link.address.isEmpty { body += RouteAttribute(1, link.address).encoded }
        if link.mtu != 0 { body += RouteAttribute(4, number: link.mtu).encoded }
        if link.queueLength != 0 { body += RouteAttribute(13, number: link.queueLength).encoded }
        if link.base != 0 { body += RouteAttribute(5, number: UInt32(bitPattern: link.base)).encoded }
        var info = [RouteAttribute(1, text: link.kind)]
        if link.kind == "veth" {
            guard let peer = try peer(of: link, home, &away) else { return }
            info.append(RouteAttribute(2, nested: [RouteAttribute(1, peer)]))
        } else if !link.details.isEmpty {
            info.append(RouteAttribute(2 | 0x8000, link.details))
        }
        defer { if away >= 0 { Files.close(away) } }
        do {
            // NLM_F_CREATE | NLM_F_EXCL
            try socket.request(Message.newLink, flags: 0x600, body + RouteAttribute(18, nested: info).encoded)
        } catch {
            if error.errno == .invalid, link.kind == "bridge" {
                // Among what a bridge shows are timers and counters that it does not take.
                let plain = RouteAttribute(18, nested: [RouteAttribute(1, text: link.kind)]).encoded
                try socket.request(Message.newLink, flags: 0x600, body + plain)
                for detail in RouteAttribute.parse(link.details) {
                    let one = RouteAttribute(2, nested: [detail])
                    let nested = RouteAttribute(18, nested: [RouteAttribute(1, text: link.kind), one]).encoded
                    _ = try? socket.request(Message.newLink, NetworkLinks.header(index: link.index) + nested)
                }
                return
            }
            throw .call("RTM_NEWLINK", object: "network interface \(link.name)", error.errno ?? .invalid)
        }
    }

    /// The other end of a veth pair; `nil` when that end makes, or has made, both.
    private func peer(of link: LinkValue, _ home: Int32, _ away: inout Int32) throws(LinuxError) -> [UInt8]? {
        if link.peerNamespace == 0 {
            return NetworkLinks.header(index: 0) + RouteAttribute(3, text: link.peerName).encoded
                + RouteAttribute(28, number: UInt32(bitPattern: home)).encoded
                + (link.peerAddress.isEmpty ? [] : RouteAttribute(1, link.peerAddress).encoded)
        }
        guard let space = contents.namespaces.first(where: { $0.number == link.peerNamespace }),
            let other = space.links.first(where: { $0.index == link.peerIndex && $0.peerIndex == link.index })
        else { return nil }
        var body = NetworkLinks.header(index: other.index) + RouteAttribute(3, text: other.name).encoded
        if !other.address.isEmpty { body += RouteAttribute(1, other.address).encoded }
        if space.number == record.number { return link.index < other.index ? body : nil }
        // Whoever comes second makes the pair: only then both namespaces are there.
        guard let task = holder(space.number) else { return nil }
        away = try Files.open("/proc/\(task)/ns/net", .readOnly)
        return body + RouteAttribute(28, number: UInt32(bitPattern: away)).encoded
    }

    /// Flags that a user sets: IFF_UP, IFF_NOARP, IFF_PROMISC, IFF_ALLMULTI, IFF_MULTICAST.
    private static let settable: UInt32 = 0x1 | 0x80 | 0x100 | 0x200 | 0x1000

    private func raise(_ link: LinkValue, _ socket: RouteSocket) throws(LinuxError) {
        var body = NetworkLinks.header(
            index: link.index, flags: link.flags & Self.settable, change: Self.settable & ~0x300)
        if link.kind.isEmpty {
            if link.mtu != 0 { body += RouteAttribute(4, number: link.mtu).encoded }
            if link.queueLength != 0 { body += RouteAttribute(13, number: link.queueLength).encoded }
        }
        do { try socket.request(Message.newLink, body) } catch {
            // An end of a pair that is not there yet; who makes it raises it.
            if error.errno == .noDevice { return }
            throw error
        }
    }

    private func address(_ payload: [UInt8], _ socket: RouteSocket) throws(LinuxError) {
        guard payload.count >= 8 else { return }
        var body = Array(payload.prefix(8))
        for attribute in RouteMessage(type: 0, payload: payload).attributes(behind: 8) {
            // IFA_CACHEINFO says how long it is valid; for ever is the default, and tentative ones would be tried again.
            if attribute.type == 6, attribute.value.count >= 8, attribute.value.half(at: 4) == .max { continue }
            if attribute.type == 8 {
                // IFA_F_TENTATIVE and IFA_F_PERMANENT are the kernel's.
                body += RouteAttribute(8, number: attribute.number & ~0xc0).encoded
            } else {
                body += attribute.encoded
            }
        }
        // NLM_F_CREATE | NLM_F_REPLACE
        do { try socket.request(Message.newAddress, flags: 0x500, body) } catch {
            if error.errno == .exists || error.errno == .noDevice { return }
            throw .call("RTM_NEWADDR", object: "interface \(payload.half(at: 4))", error.errno ?? .invalid)
        }
    }

    /// Addresses that the kernel gave by itself and that were not there.
    private func removeOthers(_ socket: RouteSocket) throws(LinuxError) {
        func key(_ payload: [UInt8]) -> [UInt8] {
            let attributes = RouteMessage(type: 0, payload: payload).attributes(behind: 8)
            let address = attributes.first { $0.type == 2 } ?? attributes.first { $0.type == 1 }
            return Array(payload.prefix(2)) + Array(payload.dropFirst(4).prefix(4)) + (address?.value ?? [])
        }
        let wanted = Set(record.addresses.map { key($0) })
        for message in try socket.dump(Message.getAddress, [0, 0, 0, 0, 0, 0, 0, 0])
        where message.type == Message.newAddress && !wanted.contains(key(message.payload)) {
            _ = try? socket.request(Message.deleteAddress, message.payload)
        }
    }

    private func add(_ type: UInt16, _ payload: [UInt8], _ socket: RouteSocket) {
        // NLM_F_CREATE | NLM_F_EXCL
        do { try socket.request(type, flags: 0x600, payload) } catch {
            if error.errno == .exists { return }
            notes.append(
                "a \(type == Message.newRoute ? "route" : "neighbour") could not be added: "
                    + "\(error.errno.map { "\($0)" } ?? "")")
        }
    }

    private func rules(_ socket: RouteSocket) throws(LinuxError) {
        let now = try socket.dump(Message.getRule, [UInt8](repeating: 0, count: 12))
            .filter { $0.type == Message.newRule }.map(\.payload)
        for payload in record.rules where !now.contains(payload) {
            do { try socket.request(Message.newRule, flags: 0x600, payload) } catch {
                if error.errno != .exists { notes.append("a routing rule could not be added") }
            }
        }
        for payload in now where !record.rules.contains(payload) {
            _ = try? socket.request(Message.deleteRule, payload)
        }
    }

    private func settings() {
        for setting in record.settings {
            let path = "/proc/sys/\(setting.name)"
            // What was never set cannot be read (stable_secret).
            if let now = try? Files.contents(of: path), now == setting.value { continue }
            // The kernel shows some values in a form that it does not take; what counts is what it keeps.
            try? Files.write(setting.value, toExisting: path)
        }
    }

    /// Ends in the engine's namespace, and ends in namespaces of the tree that this pair has just reached.
    private func peers(_ stub: RestoreStub, _ home: Int32) throws(EngineError) {
        try EngineError.wrap("set up the other ends of veth pairs", task: stub.tid) { () throws(LinuxError) in
            for link in record.links where link.kind == "veth" && link.peerNamespace == 0 {
                let socket = try RouteSocket()
                let here = try NetworkLinks.all(socket).map(\.link)
                guard let peer = here.first(where: { $0.name == link.peerName }) else { continue }
                var body = NetworkLinks.header(index: peer.index, flags: link.peerFlags & 1, change: 1)
                if link.peerMtu != 0 { body += RouteAttribute(4, number: link.peerMtu).encoded }
                if let master = here.first(where: { $0.name == link.peerMaster }) {
                    body += RouteAttribute(10, number: UInt32(bitPattern: master.index)).encoded
                } else if !link.peerMaster.isEmpty {
                    notes.append("\(link.peerName) has no bridge \(link.peerMaster) to belong to here")
                }
                try socket.request(Message.newLink, body)
            }
        }
        for space in contents.namespaces where space.kind == .network && space.number != record.number {
            guard let task = holder(space.number),
                record.links.contains(where: { $0.kind == "veth" && $0.peerNamespace == space.number })
            else { continue }
            let other = RestoreNetwork(space, contents, holder: holder)
            try EngineError.wrap("set up the other ends of veth pairs", task: stub.tid) { () throws(LinuxError) in
                let visit = try Namespaces.Visit(task, Namespaces.Flag.network)
                defer { visit.end() }
                let socket = try RouteSocket()
                for link in space.links { try other.raise(link, socket) }
                for payload in space.addresses { try other.address(payload, socket) }
                for payload in space.routes { other.add(Message.newRoute, payload, socket) }
            }
        }
    }
}
