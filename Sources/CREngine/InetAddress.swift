internal import LinuxKit

/// What a `struct sockaddr_in` or `sockaddr_in6` says.
struct InetAddress: Hashable {
    /// 4 or 16 bytes; an IPv4 address in an IPv6 socket has 4.
    var host: [UInt8]
    var port: UInt16

    /// - Returns: `nil` for bytes of another family.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 16 else { return nil }
        port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        switch (bytes[0], bytes.count) {
        case (2, 16...): host = Array(bytes[4..<8])
        case (10, 28...):
            host = Array(bytes[8..<24])
            if host.prefix(10).allSatisfy({ $0 == 0 }), host[10] == 0xff, host[11] == 0xff {
                host = Array(host.suffix(4))
            }
        default: return nil
        }
    }

    init(host: [UInt8], port: UInt16) {
        self.host = host
        self.port = port
    }

    /// 0.0.0.0 or ::.
    var isAny: Bool { host.allSatisfy { $0 == 0 } }

    /// The address for a socket of a family.
    ///
    /// - Parameter domain: AF_INET 2 or AF_INET6 10.
    func bytes(domain: UInt32) -> [UInt8] {
        let big = [UInt8(port >> 8), UInt8(port & 0xff)]
        if domain == 2 {
            return [2, 0] + big + (host.count == 4 ? host : [0, 0, 0, 0]) + [UInt8](repeating: 0, count: 8)
        }
        let mapped: [UInt8] = host.count == 16 ? host : [UInt8](repeating: 0, count: 10) + [0xff, 0xff] + host
        return [10, 0] + big + [0, 0, 0, 0] + mapped + [0, 0, 0, 0]
    }

    /// For messages: `127.0.0.1:80`, `[…]:80`.
    var text: String {
        if host.count == 4 { return host.map { "\($0)" }.joined(separator: ".") + ":\(port)" }
        let groups = stride(from: 0, to: 16, by: 2).map {
            String(UInt16(host[$0]) << 8 | UInt16(host[$0 + 1]), radix: 16)
        }
        return "[" + groups.joined(separator: ":") + "]:\(port)"
    }

    /// The address of bytes that may be empty, for messages.
    static func text(_ bytes: [UInt8]) -> String { InetAddress(bytes)?.text ?? "nobody" }
}
