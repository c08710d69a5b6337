internal import CRImage
internal import LinuxKit

/// The options at level SOL_SOCKET that a restore can give back.
///
/// Only what differs from a fresh socket is set: the old and new time stamp options, for one, share a flag, so that writing
/// a zero to one of them takes the other away.
///
/// - Source: `socket(7)`, `asm-generic/socket.h`.
enum SocketOptions {
    private enum Kind: Hashable {
        /// Bytes of a fixed count, set as they are read.
        case plain(Int)
        /// SO_SNDBUF, SO_RCVBUF: reads twice of what was set; the second is the variant without a limit.
        case buffer(force: UInt32)
        /// SO_BINDTODEVICE: a name of up to 16 bytes.
        case device
    }

    static let peekOffset: UInt32 = 42
    static let passCredentials: UInt32 = 16
    static let sendBufferForce: UInt32 = 32
    static let receiveBufferForce: UInt32 = 33
    private static let lockFilter: UInt32 = 44
    private static let bufferLock: UInt32 = 72

    /// In the order in which they are set.
    private static let known: [(name: UInt32, kind: Kind)] = [
        (1, .plain(4)),  // SO_DEBUG
        (2, .plain(4)), (15, .plain(4)),  // SO_REUSEADDR, SO_REUSEPORT
        (5, .plain(4)), (6, .plain(4)),  // SO_DONTROUTE, SO_BROADCAST
        (7, .buffer(force: 32)), (8, .buffer(force: 33)), (bufferLock, .plain(4)),
        (9, .plain(4)), (10, .plain(4)), (11, .plain(4)), (12, .plain(4)),  // KEEPALIVE, OOBINLINE, NO_CHECK, PRIORITY
        (13, .plain(8)),  // SO_LINGER
        (passCredentials, .plain(4)), (34, .plain(4)),  // SO_PASSSEC
        (18, .plain(4)),  // SO_RCVLOWAT
        (20, .plain(16)), (21, .plain(16)),  // SO_RCVTIMEO, SO_SNDTIMEO
        (25, .device), (36, .plain(4)),  // SO_MARK
        (29, .plain(4)), (35, .plain(4)), (63, .plain(4)), (64, .plain(4)),  // SO_TIMESTAMP, …NS, both …_NEW
        (37, .plain(4)), (65, .plain(4)),  // SO_TIMESTAMPING, …_NEW
        (40, .plain(4)), (41, .plain(4)), (43, .plain(4)), (45, .plain(4)),  // RXQ_OVFL, WIFI_STATUS, NOFCS, ERR_QUEUE
        (46, .plain(4)), (69, .plain(4)), (70, .plain(4)),  // SO_BUSY_POLL, SO_PREFER_BUSY_POLL, SO_BUSY_POLL_BUDGET
        (47, .plain(8)), (60, .plain(4)), (61, .plain(8)),  // SO_MAX_PACING_RATE, SO_ZEROCOPY, SO_TXTIME
        (73, .plain(4)), (74, .plain(4)), (75, .plain(4)),  // SO_RESERVE_MEM, SO_TXREHASH, SO_RCVMARK
        (76, .plain(4)), (82, .plain(4)), (83, .plain(4)), (84, .plain(4)),  // PASSPIDFD, RCVPRIORITY, PASSRIGHTS, INQ
        (peekOffset, .plain(4)),
        (lockFilter, .plain(4)),
    ]

    // MARK: Dump

    /// Reads every option that this kernel knows for this socket.
    ///
    /// - Throws: EACCES when its filter is not a classic BPF program.
    static func read(_ fd: Int32) throws(LinuxError) -> SocketOptionsValue {
        var options = SocketOptionsValue()
        for (name, kind) in known {
            let room: Int
            switch kind {
            case .plain(let count): room = count
            case .buffer: room = 4
            case .device: room = 16
            }
            // ENOPROTOOPT and EOPNOTSUPP: this kernel or this family does not have it.
            guard let value = try? SocketCalls.option(fd, 1, Int32(name), capacity: room), !value.isEmpty else {
                continue
            }
            options.values.append(SocketOptionValue(name: name, value: value))
        }
        options.values.sort { $0.name < $1.name }
        options.filter = try SocketCalls.filter(of: fd)
        return options
    }

    // MARK: Restore

    /// Sets what differs from what the socket has; may be repeated.
    ///
    /// - Parameters:
    ///   - except: Options to leave alone for now.
    ///   - notes: Gets a sentence for each option that could not be set.
    static func apply(
        _ options: SocketOptionsValue, to fd: Int32, object: String, except: Set<UInt32> = [], notes: inout [String]
    ) {
        let wanted = Dictionary(options.values.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        if !options.filter.isEmpty, !except.contains(lockFilter) {
            do throws(LinuxError) {
                if try SocketCalls.filter(of: fd) != options.filter {
                    try SocketCalls.attach(filter: options.filter, to: fd)
                }
            } catch { notes.append("the filter of \(object) could not be set: \(words(error))") }
        }
        for (name, kind) in known where !except.contains(name) {
            guard let value = wanted[name] else { continue }
            do throws(LinuxError) { try set(name, kind, value, fd) } catch {
                notes.append("option \(name) of \(object) could not be set: \(words(error))")
            }
        }
    }

    private static func words(_ error: LinuxError) -> String { error.errno.map { "\($0)" } ?? error.description }

    private static func set(_ name: UInt32, _ kind: Kind, _ value: [UInt8], _ fd: Int32) throws(LinuxError) {
        switch kind {
        case .plain(let count):
            guard value.count <= count, value.count >= 1 else { return }
            if try SocketCalls.option(fd, 1, Int32(name), capacity: value.count) == value { return }
            try SocketCalls.setOption(fd, 1, Int32(name), value)
        case .buffer(let force):
            guard value.count == 4 else { return }
            if try SocketCalls.option(fd, 1, Int32(name)) == value { return }
            let size = Int32(bitPattern: (value + [0, 0, 0, 0]).half(at: 0)) / 2
            // Without CAP_NET_ADMIN the limit of the machine holds.
            do { try SocketCalls.setNumber(fd, 1, Int32(force), size) } catch {
                try SocketCalls.setNumber(fd, 1, Int32(name), size)
            }
        case .device:
            guard value.count <= 16 else { return }
            let now = (try? SocketCalls.option(fd, 1, Int32(name), capacity: 16)) ?? []
            if now != value { try SocketCalls.setOption(fd, 1, Int32(name), value) }
        }
    }
}
