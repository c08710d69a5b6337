/// What the kernel's socket diagnostics tell about the UNIX sockets of a network namespace.
///
/// - Source: `sock_diag(7)`, `linux/unix_diag.h`.
public enum UnixDiagnostics {
    /// One socket.
    public struct Socket: Sendable, Hashable {
        public var inode: UInt32
        /// TCP_ESTABLISHED 1, TCP_CLOSE 7, TCP_LISTEN 10.
        public var state: UInt8
        /// The file that it is bound to.
        public var file: FileIdentity?
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
        // struct unix_diag_req: family, protocol, padding, states, inode, what to show (file, peer, waiting, queues),
        // cookie
        let request =
            [1, 0, 0, 0] + NetlinkMessage.number(UInt32.max) + NetlinkMessage.number(UInt32(0))
            + NetlinkMessage.number(UInt32(0x2 | 0x4 | 0x8 | 0x10)) + NetlinkMessage.number(UInt64(0))
        var sockets: [UInt32: Socket] = [:]
        try SocketDump.each(request, "UNIX sockets") { bytes in
            if let socket = parse(bytes) { sockets[socket.inode] = socket }
        }
        return sockets
    }

    /// `struct unix_diag_msg` and its attributes.
    static func parse(_ bytes: [UInt8]) -> Socket? {
        guard bytes.count >= 16 else { return nil }
        var socket = Socket(inode: SocketDump.half(bytes, 4), state: bytes[2])
        let attributes = SocketDump.attributes(bytes, from: 16)
        if let value = attributes[1], value.count >= 8 {
            // The kernel's own dev_t: 12 bits major, 20 bits minor.
            let device = UInt64(SocketDump.half(value, 4))
            socket.file = FileIdentity(
                device: (device >> 20) << 32 | (device & 0xfffff), inode: UInt64(SocketDump.half(value, 0)))
        }
        if let value = attributes[2], value.count >= 4 { socket.peer = SocketDump.half(value, 0) }
        if let value = attributes[3] {
            socket.waiting = stride(from: 0, to: value.count - 3, by: 4).map { SocketDump.half(value, $0) }
        }
        if let value = attributes[4], value.count >= 8 {
            (socket.readable, socket.unread) = (SocketDump.half(value, 0), SocketDump.half(value, 4))
        }
        if let value = attributes[6], let first = value.first { socket.shutdown = first }
        return socket
    }
}
