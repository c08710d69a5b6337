internal import CRImage
internal import LinuxKit

/// rtnetlink(7) in the terms of the image.
enum NetworkLinks {
    enum Message {
        static let newLink: UInt16 = 16
        static let getLink: UInt16 = 18
        static let newAddress: UInt16 = 20
        static let deleteAddress: UInt16 = 21
        static let getAddress: UInt16 = 22
        static let newRoute: UInt16 = 24
        static let getRoute: UInt16 = 26
        static let newNeighbour: UInt16 = 28
        static let getNeighbour: UInt16 = 30
        static let newRule: UInt16 = 32
        static let deleteRule: UInt16 = 33
        static let getRule: UInt16 = 34
        static let getNamespaceID: UInt16 = 90
    }

    /// Kinds that can be made from their index, name and IFLA_INFO_DATA alone.
    static let plain: Set<String> = ["dummy", "bridge", "vlan", "macvlan", "ipvlan", "ifb", "vrf", "veth"]
    /// What modules put into each new namespace by themselves.
    static let automatic: Set<String> = [
        "lo", "sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0",
    ]

    /// `struct ifinfomsg`.
    static func header(index: Int32, flags: UInt32 = 0, change: UInt32 = 0) -> [UInt8] {
        [0, 0, 0, 0] + bytes(UInt32(bitPattern: index)) + bytes(flags) + bytes(change)
    }

    static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
    }

    /// One interface, and the namespace ID of what IFLA_LINK refers to.
    static func parse(_ message: RouteMessage) -> (link: LinkValue, namespaceID: Int32?)? {
        guard message.type == Message.newLink, message.payload.count >= 16 else { return nil }
        var link = LinkValue()
        link.index = Int32(bitPattern: message.payload.half(at: 4))
        link.flags = message.payload.half(at: 8)
        var namespaceID: Int32?
        var other: Int32 = 0
        for attribute in message.attributes(behind: 16) {
            switch attribute.type {
            case 1: link.address = attribute.value
            case 3: link.name = attribute.text
            case 4: link.mtu = attribute.number
            case 5: other = Int32(bitPattern: attribute.number)
            case 10: link.master = Int32(bitPattern: attribute.number)
            case 13: link.queueLength = attribute.number
            case 18:
                for info in RouteAttribute.parse(attribute.value) {
                    if info.type == 1 { link.kind = info.text }
                    if info.type == 2 { link.details = info.value }
                }
            case 37: namespaceID = Int32(bitPattern: attribute.number)
            default: continue
            }
        }
        if link.kind == "veth" { link.peerIndex = other } else { link.base = other == link.index ? 0 : other }
        return (link, namespaceID)
    }

    /// All interfaces of the namespace that the socket is in.
    static func all(_ socket: RouteSocket) throws(LinuxError) -> [(link: LinkValue, namespaceID: Int32?)] {
        try socket.dump(Message.getLink, header(index: 0)).compactMap { parse($0) }
    }

    /// The ID that the socket's namespace gives to another one; `nil` when it gives none.
    static func namespaceID(_ socket: RouteSocket, of fd: Int32) -> Int32? {
        // struct rtgenmsg, padded; NETNSA_FD
        let body: [UInt8] = [0, 0, 0, 0] + RouteAttribute(3, number: UInt32(bitPattern: fd)).encoded
        guard let answer = try? socket.request(Message.getNamespaceID, body).first else { return nil }
        for attribute in answer.attributes(behind: 1) where attribute.type == 1 {
            let id = Int32(bitPattern: attribute.number)
            return id < 0 ? nil : id
        }
        return nil
    }
}
