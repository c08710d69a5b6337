internal import CRImage
internal import LinuxKit

/// Reads the state of TCP sockets, through TCP_REPAIR where that is needed, and leaves them as they were.
///
/// - Source: `tcp(7)`, `linux/tcp.h`; the repair mode's own rules in `net/ipv4/tcp.c`.
enum ConnectionReader {
    static let tcp: Int32 = 6
    /// Names of options at level TCP.
    enum Name {
        static let noDelay: Int32 = 1
        static let maximumSegment: Int32 = 2
        static let info: Int32 = 11
        static let repair: Int32 = 19
        static let repairQueue: Int32 = 20
        static let queueSequence: Int32 = 21
        static let repairOptions: Int32 = 22
        static let timestamp: Int32 = 24
        static let repairWindow: Int32 = 29
        static let upperProtocol: Int32 = 31
    }
    /// TCP_RECV_QUEUE and TCP_SEND_QUEUE.
    static let receiveQueue: Int32 = 1
    static let sendQueue: Int32 = 2

    /// The parts of `struct tcp_info` that are used here.
    struct Info {
        /// TCP_ESTABLISHED 1, SYN_SENT 2, SYN_RECV 3, FIN_WAIT1 4, FIN_WAIT2 5, TIME_WAIT 6, CLOSE 7, CLOSE_WAIT 8,
        /// LAST_ACK 9, LISTEN 10, CLOSING 11.
        var state: UInt8
        var options: UInt32
        var sendScale: UInt32
        var receiveScale: UInt32
        /// Of a listening socket: how many connections wait, and how many may.
        var waiting: UInt32
        var backlog: UInt32

        init(_ fd: Int32) throws(LinuxError) {
            let bytes = try SocketCalls.option(fd, tcp, Name.info, capacity: 256)
            guard bytes.count >= 32 else { throw .malformed("TCP_INFO", why: "it has \(bytes.count) bytes") }
            state = bytes[0]
            options = UInt32(bytes[5])
            sendScale = UInt32(bytes[6] & 15)
            receiveScale = UInt32(bytes[6] >> 4)
            waiting = bytes.half(at: 24)
            backlog = bytes.half(at: 28)
        }

        var recordState: InetSocketState? {
            switch state {
            case 1: .established
            case 2: .synSent
            case 4: .finWait1
            case 5: .finWait2
            case 7: .idle
            case 8: .closeWait
            case 9: .lastAck
            case 10: .listening
            case 11: .closing
            default: nil
            }
        }
    }

    /// Puts a socket into repair mode.
    static func enterRepair(_ fd: Int32) throws(LinuxError) { try SocketCalls.setNumber(fd, tcp, Name.repair, 1) }

    /// Takes it out again without sending anything, and gives it back what the kernel takes away with the mode:
    /// SO_REUSEADDR.
    static func leaveRepair(_ fd: Int32, reuse: Int32) {
        // TCP_REPAIR_OFF_NO_WP
        try? SocketCalls.setNumber(fd, tcp, Name.repair, -1)
        try? SocketCalls.setNumber(fd, 1, 2, reuse)
    }

    /// Reads sequence numbers, windows and both queues.
    ///
    /// - Precondition: The socket is in repair mode, no task uses it, and nothing reaches it.
    static func read(_ fd: Int32, _ info: Info, state: InetSocketState) throws(LinuxError) -> StreamValue {
        var value = StreamValue()
        value.negotiated = info.options & 7
        value.sendScale = info.options & 4 != 0 ? info.sendScale : 0
        value.receiveScale = info.options & 4 != 0 ? info.receiveScale : 0
        value.maximumSegment = UInt32(bitPattern: try SocketCalls.number(fd, tcp, Name.maximumSegment))
        value.timestamp = ConnectionClock.marked(
            UInt32(bitPattern: try SocketCalls.number(fd, tcp, Name.timestamp)), options: info.options)
        value.window = (try? SocketCalls.option(fd, tcp, Name.repairWindow, capacity: 20)) ?? []
        if value.window.count != 20 { value.window = [] }

        try SocketCalls.setNumber(fd, tcp, Name.repairQueue, sendQueue)
        value.sendSequence = UInt32(bitPattern: try SocketCalls.number(fd, tcp, Name.queueSequence))
        if state == .synSent { return value }
        let end = state.hasSentEnd ? 1 : 0
        // SIOCOUTQ and SIOCOUTQNSD count an end of stream as one byte.
        let unacknowledged = Int(try SocketCalls.control(fd, 0x5411))
        let unsent = Int(try SocketCalls.control(fd, 0x894b))
        value.isEndUnsent = end == 1 && unsent > 0
        let isEndAcknowledged = state == .finWait2
        let sendCount = max(0, unacknowledged - (isEndAcknowledged ? 0 : end))
        if sendCount > 0 {
            // A segment that is acknowledged in part is given whole: what was acknowledged stands in front.
            let bytes = try SocketCalls.receive(fd, capacity: sendCount + (1 << 17), flags: SocketCalls.peek | 0x40)
            guard bytes.count >= sendCount else {
                throw .malformed("send queue", why: "it gives \(bytes.count) of \(sendCount) bytes")
            }
            value.sendQueue = Array(bytes.suffix(sendCount))
        }
        value.unsentBytes = UInt32(max(0, min(sendCount, unsent - (value.isEndUnsent ? 1 : 0))))

        try SocketCalls.setNumber(fd, tcp, Name.repairQueue, receiveQueue)
        value.receiveSequence = UInt32(bitPattern: try SocketCalls.number(fd, tcp, Name.queueSequence))
        value.receiveQueue = try received(fd)
        try SocketCalls.setNumber(fd, tcp, Name.repairQueue, 0)
        return value
    }

    /// What has come and was not read; nothing is taken.
    static func received(_ fd: Int32) throws(LinuxError) -> [UInt8] {
        let count = Int(try SocketCalls.control(fd, 0x541b))  // SIOCINQ
        if count <= 0 { return [] }
        // SO_PEEK_OFF would start elsewhere.
        let offset = (try? SocketCalls.number(fd, 1, 42)) ?? -1
        if offset > 0 { try SocketCalls.setNumber(fd, 1, 42, 0) }
        defer { if offset >= 0 { try? SocketCalls.setNumber(fd, 1, 42, offset) } }
        let bytes = try SocketCalls.receive(fd, capacity: count, flags: SocketCalls.peek | 0x40)
        guard bytes.count == count else {
            throw .malformed("receive queue", why: "it gives \(bytes.count) of \(count) bytes")
        }
        return bytes
    }
}
