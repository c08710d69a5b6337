internal import LinuxKit

/// What waits in a UNIX socket, read without taking anything out (`SO_PEEK_OFF`).
///
/// - Precondition: Whoever could read the socket stands still.
struct UnixQueue {
    /// A datagram or record, or bytes of a stream that were sent together as far as one can tell.
    struct Message {
        var bytes: [UInt8]
        /// `sun_path` of the sender; empty for none.
        var sender: [UInt8] = []
        /// The engine's own duplicates of what travels with it; the caller closes them.
        var files: [Int32] = []
        var pid: Int32 = 0
        var uid: UInt32 = Self.nobody
        var gid: UInt32 = Self.nobody

        /// What the kernel shows of a message that was sent without credentials.
        static let nobody: UInt32 = 65534
        var hasCredentials: Bool { pid != 0 || uid != Self.nobody }
    }

    /// SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD, SO_PASSRIGHTS and what they must be while the engine looks.
    private static let settings: [(name: Int32, value: Int32)] = [(16, 1), (34, 0), (76, 0), (83, 1)]
    private static let peekOffset: Int32 = 42
    /// MSG_PEEK, MSG_DONTWAIT, MSG_CMSG_CLOEXEC
    private static let flags: Int32 = 0x4000_0042

    private let fd: Int32
    private let isStream: Bool
    private let readable: Int

    /// - Parameters:
    ///   - type: SOCK_STREAM 1, SOCK_DGRAM 2, SOCK_SEQPACKET 5.
    ///   - readable: How many bytes the kernel counts in a stream or a sequence of packets.
    static func peek(_ fd: Int32, type: UInt32, readable: UInt32) throws(LinuxError) -> [Message] {
        let offset = try SocketCalls.number(fd, 1, peekOffset)
        var before: [(name: Int32, value: Int32)] = []
        for setting in settings {
            guard let value = try? SocketCalls.number(fd, 1, setting.name), value != setting.value else { continue }
            before.append((setting.name, value))
        }
        defer {
            for setting in before { try? SocketCalls.setNumber(fd, 1, setting.name, setting.value) }
            try? SocketCalls.setNumber(fd, 1, peekOffset, offset)
        }
        for setting in settings where before.contains(where: { $0.name == setting.name }) {
            try SocketCalls.setNumber(fd, 1, setting.name, setting.value)
        }
        let queue = UnixQueue(fd: fd, isStream: type == 1, readable: Int(readable))
        var messages: [Message] = []
        do throws(LinuxError) {
            try queue.read(&messages, room: max(Int(readable), isRecord(type) ? 65536 : 0) + 1)
            let total = messages.reduce(0) { $0 + $1.bytes.count }
            if type != 2, total != Int(readable) {
                throw .malformed("its queue", why: "\(total) of \(readable) bytes can be seen")
            }
            if type != 1 { try queue.checkHead(messages) }
            return messages
        } catch {
            for file in messages.flatMap(\.files) { Files.close(file) }
            throw error
        }
    }

    private static func isRecord(_ type: UInt32) -> Bool { type != 1 }

    private func read(_ messages: inout [Message], room: Int) throws(LinuxError) {
        var offset = 0
        // Nobody looks at the end of a stream: a pending error would be reported there, and be gone.
        while !isStream || offset < readable, let message = try message(at: offset, room: room) {
            offset += message.bytes.count
            guard isStream, !message.files.isEmpty, message.bytes.count > 1 else {
                messages.append(message)
                continue
            }
            // A read ends with the bytes that carry descriptors, but may start with others.
            messages.append(message)
            let start = offset - message.bytes.count
            let split = try firstCarrier(start, message.bytes.count)
            if split > 0 {
                var plain = message
                plain.bytes = Array(message.bytes[..<split])
                plain.files = []
                messages[messages.count - 1].bytes = Array(message.bytes[split...])
                messages.insert(plain, at: messages.count - 1)
            }
        }
    }

    /// How many of `count` bytes come before those that carry descriptors.
    private func firstCarrier(_ start: Int, _ count: Int) throws(LinuxError) -> Int {
        guard let position = Int32(exactly: start) else { throw .malformed("its queue", why: "it is too long") }
        try SocketCalls.setNumber(fd, 1, Self.peekOffset, position)
        let split = try SocketCalls.border(fd, count: count, flags: Self.flags)
        return split < count ? split : 0
    }

    /// - Returns: `nil` at the end of the queue.
    private func message(at offset: Int, room: Int) throws(LinuxError) -> Message? {
        var room = room
        while true {
            guard let position = Int32(exactly: offset) else { throw .malformed("its queue", why: "it is too long") }
            try SocketCalls.setNumber(fd, 1, Self.peekOffset, position)
            let answer: SocketCalls.Message
            do {
                answer = try SocketCalls.message(fd, capacity: room, controlCapacity: 4096, flags: Self.flags)
            } catch {
                if error.errno == .again { return nil }
                // A pending error was reported and is gone; the caller has noted it.
                throw error
            }
            var message = Message(bytes: answer.bytes, sender: Array(answer.address.dropFirst(2)))
            Self.parse(answer.control, &message)
            // MSG_CTRUNC
            if answer.flags & 8 != 0 {
                for file in message.files { Files.close(file) }
                throw .malformed("its queue", why: "what travels with a message cannot be seen whole")
            }
            // MSG_TRUNC
            if answer.flags & 0x20 != 0, !isStream {
                for file in message.files { Files.close(file) }
                guard room < 64 << 20 else { throw .malformed("its queue", why: "a message is longer than 64 MiB") }
                room *= 2
                continue
            }
            // The end of a connection has no control message, a message always has: its credentials.
            if message.bytes.isEmpty, answer.control.isEmpty { return nil }
            if isStream, message.bytes.isEmpty { return nil }
            return message
        }
    }

    /// Looking at an empty message marks it for good, and looking at an offset then passes over it. So one that was looked
    /// at before must be missed here, if it is the first.
    private func checkHead(_ messages: [Message]) throws(LinuxError) {
        try SocketCalls.setNumber(fd, 1, Self.peekOffset, -1)
        let answer: SocketCalls.Message
        do {
            answer = try SocketCalls.message(fd, capacity: 1, controlCapacity: 4096, flags: Self.flags)
        } catch {
            if error.errno == .again, messages.isEmpty { return }
            throw error
        }
        var head = Message(bytes: answer.bytes)
        Self.parse(answer.control, &head)
        for file in head.files { Files.close(file) }
        let isEnd = answer.bytes.isEmpty && answer.control.isEmpty
        guard isEnd ? messages.isEmpty : messages.first.map({ $0.bytes.isEmpty == answer.bytes.isEmpty }) ?? false
        else {
            throw .malformed("its queue", why: "an empty message in it was looked at before and cannot be seen again")
        }
    }

    /// `struct cmsghdr`: length, level, type, data, padded to eight bytes.
    private static func parse(_ control: [UInt8], _ message: inout Message) {
        var offset = 0
        while offset + 16 <= control.count {
            let length = Int(control.word(at: offset))
            guard length >= 16, offset + length <= control.count else { return }
            if control.half(at: offset + 8) == 1 {
                switch control.half(at: offset + 12) {
                case 1:  // SCM_RIGHTS
                    for position in stride(from: offset + 16, to: offset + length - 3, by: 4) {
                        message.files.append(Int32(bitPattern: control.half(at: position)))
                    }
                case 2 where length >= 28:  // SCM_CREDENTIALS
                    message.pid = Int32(bitPattern: control.half(at: offset + 16))
                    message.uid = control.half(at: offset + 20)
                    message.gid = control.half(at: offset + 24)
                default: break
                }
            }
            offset += (length + 7) & ~7
        }
    }
}
