/// What the kernel's socket diagnostics tell about the UNIX sockets of a network namespace.
///
/// - Source: `sock_diag(7)`, `linux/unix_diag.h`.
public enum UnixDiagnostics {
    /// One socket.
    public struct Socket: Sendable, Hashable {
        public var inode: UInt32
        /// TCP_ESTABLISHED 1, TCP_CLOSE 7, TCP_LISTEN 10.
        public var state: UInt8
        /// Inode of the peer; 0 for one that has no open file: it has ended, or nobody has accepted it yet. `nil` when
        /// the socket has no peer.
        public var peer: UInt32?
        /// Of a listening socket, the inodes of those who wait to be accepted; 0 for one that has ended since.
        public var waiting: [UInt32] = []
        /// Bytes that can be read; of a listening socket, how many wait to be accepted.
        public var readable: UInt32 = 0
        /// Bytes that the other side has not read; of a listening socket, its backlog.
        public var unread: UInt32 = 0
        /// RCV_SHUTDOWN 1, SEND_SHUTDOWN 2.
        public var shutdown: UInt8 = 0
    }

    /// All UNIX sockets that have an open file, by inode.
    public static func sockets() throws(LinuxError) -> [UInt32: Socket] {
        let fd = try SocketCalls.create(family: 16, type: 3, protocol: 4)  // AF_NETLINK, NETLINK_SOCK_DIAG
        defer { Files.close(fd) }
        // struct unix_diag_req: family, protocol, padding, states, inode, what to show (peer, waiting, queues), cookie
        let request =
            [1, 0, 0, 0] + NetlinkMessage.number(UInt32.max) + NetlinkMessage.number(UInt32(0))
            + NetlinkMessage.number(UInt32(0x4 | 0x8 | 0x10)) + NetlinkMessage.number(UInt64(0))
        // SOCK_DIAG_BY_FAMILY, NLM_F_DUMP
        let message = NetlinkMessage(type: 20, flags: 0x300, sequence: 1, header: request)
        try SocketCalls.send(fd, message.bytes[...], to: [16, 0] + [UInt8](repeating: 0, count: 10))
        var sockets: [UInt32: Socket] = [:]
        while true {
            let answer = try SocketCalls.receive(fd, capacity: 1 << 16, flags: 0)
            var offset = 0
            while offset + 16 <= answer.count {
                let length = Int(half(answer, offset))
                let type = short(answer, offset + 4)
                guard length >= 16, offset + length <= answer.count else {
                    throw .malformed("sock_diag", why: "a message of \(length) bytes")
                }
                if type == 3 { return sockets }  // NLMSG_DONE
                if type == 2 {
                    let errno = Int32(bitPattern: half(answer, offset + 16))
                    throw .call("sock_diag", object: "UNIX sockets", Errno(rawValue: -errno))
                }
                if length >= 32, let socket = parse(Array(answer[(offset + 16)..<(offset + length)])) {
                    sockets[socket.inode] = socket
                }
                offset += (length + 3) & ~3
            }
        }
    }

    /// `struct unix_diag_msg` and its attributes.
    static func parse(_ bytes: [UInt8]) -> Socket? {
        guard bytes.count >= 16 else { return nil }
        var socket = Socket(inode: half(bytes, 4), state: bytes[2])
        var offset = 16
        while offset + 4 <= bytes.count {
            let length = Int(short(bytes, offset))
            guard length >= 4, offset + length <= bytes.count else { break }
            let value = Array(bytes[(offset + 4)..<(offset + length)])
            switch short(bytes, offset + 2) & 0x3fff {
            case 2 where value.count >= 4: socket.peer = half(value, 0)
            case 3: socket.waiting = stride(from: 0, to: value.count - 3, by: 4).map { half(value, $0) }
            case 4 where value.count >= 8: (socket.readable, socket.unread) = (half(value, 0), half(value, 4))
            case 6 where value.count >= 1: socket.shutdown = value[0]
            default: break
            }
            offset += (length + 3) & ~3
        }
        return socket
    }

    private static func half(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        guard offset + 4 <= bytes.count else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    private static func short(_ bytes: [UInt8], _ offset: Int) -> UInt16 {
        UInt16(half(bytes + [0, 0], offset) & 0xffff)
    }
}
