/// POSIX message queues, mq_overview(7).
public enum MessageQueues {
    /// The file system that their descriptors are files of; `ipc/mqueue.c`.
    public static let fileSystemType: UInt64 = 0x1980_0202

    /// mq_getattr(3).
    public struct Attributes: Sendable, Hashable {
        /// How many messages it can hold.
        public var limit: UInt64
        public var messageBytes: UInt64
        /// How many wait.
        public var count: UInt64

        public init(limit: UInt64, messageBytes: UInt64, count: UInt64 = 0) {
            self.limit = limit
            self.messageBytes = messageBytes
            self.count = count
        }
    }

    /// One message.
    public struct Message: Sendable, Hashable {
        public var priority: UInt32
        public var bytes: [UInt8]

        public init(priority: UInt32, bytes: [UInt8]) {
            self.priority = priority
            self.bytes = bytes
        }
    }

    /// Mounts the file system of the queues in the caller's IPC namespace, at no place.
    ///
    /// - Returns: A descriptor of its folder; `nil` on kernels without POSIX message queues.
    public static func mount() throws(LinuxError) -> Int32? {
        let type: [UInt8] = Array("mqueue".utf8) + [0]
        // FSOPEN_CLOEXEC
        // SAFETY: the array lives for the length of the call and ends in zero.
        let context = type.withUnsafeBufferPointer {
            Kernel.attempt(.fsopen, Kernel.number(UnsafeRawPointer($0.baseAddress)), 1)
        }
        if let errno = Kernel.errno(of: context) {
            if errno == .noDevice { return nil }
            throw .call("fsopen", object: "mqueue", errno)
        }
        defer { _ = Kernel.attempt(.close, UInt64(context)) }
        // FSCONFIG_CMD_CREATE
        if let errno = Kernel.errno(of: Kernel.attempt(.fsconfig, UInt64(context), 6, 0, 0, 0)) {
            throw .call("fsconfig", object: "mqueue", errno)
        }
        // FSMOUNT_CLOEXEC
        let mount = Kernel.attempt(.fsmount, UInt64(context), 1, 0)
        if let errno = Kernel.errno(of: mount) { throw .call("fsmount", object: "mqueue", errno) }
        return Int32(truncatingIfNeeded: mount)
    }

    /// mq_getattr(3).
    public static func attributes(of fd: Int32) throws(LinuxError) -> Attributes {
        // struct mq_attr: flags, limit, bytes of a message, how many wait, four reserved.
        var words = [UInt64](repeating: 0, count: 8)
        // SAFETY: the kernel writes one struct mq_attr, eight words, which `words` holds for the length of the call.
        let answer = words.withUnsafeMutableBufferPointer {
            Kernel.attempt(
                .mq_getsetattr, Kernel.number(fd), 0, Kernel.number(UnsafeRawPointer($0.baseAddress)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("mq_getsetattr", object: "fd \(fd)", errno) }
        return Attributes(limit: words[1], messageBytes: words[2], count: words[3])
    }

    /// mq_open(3); the descriptor is close-on-exec.
    ///
    /// - Parameters:
    ///   - name: With its slash.
    ///   - creating: What a new queue is to hold; `nil` for one that is there.
    ///   - rawFlags: By default for reading and writing, without blocking.
    /// - Throws: EEXIST when a new one is wanted and the name is taken.
    public static func open(
        _ name: String, creating: Attributes? = nil, rawFlags: UInt64 = 0o4002
    ) throws(LinuxError) -> Int32 {
        let words: [UInt64] = [0, creating?.limit ?? 0, creating?.messageBytes ?? 0, 0, 0, 0, 0, 0]
        // O_CLOEXEC; O_CREAT | O_EXCL
        let flags = rawFlags | 0o2000000 | (creating == nil ? 0 : 0o300)
        let text = Array(name.utf8.drop { $0 == UInt8(ascii: "/") }) + [0]
        // SAFETY: both arrays live for the length of the call; the kernel reads a text that ends in zero and one struct
        // mq_attr.
        let answer = text.withUnsafeBufferPointer { text in
            words.withUnsafeBufferPointer { words in
                Kernel.attempt(
                    .mq_open, Kernel.number(UnsafeRawPointer(text.baseAddress)), flags, 0o600,
                    creating == nil ? 0 : Kernel.number(UnsafeRawPointer(words.baseAddress)))
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("mq_open", object: name, errno) }
        return Int32(truncatingIfNeeded: answer)
    }

    /// mq_unlink(3).
    public static func unlink(_ name: String) throws(LinuxError) {
        let text = Array(name.utf8.drop { $0 == UInt8(ascii: "/") }) + [0]
        // SAFETY: the array lives for the length of the call and ends in zero.
        let answer = text.withUnsafeBufferPointer {
            Kernel.attempt(.mq_unlink, Kernel.number(UnsafeRawPointer($0.baseAddress)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("mq_unlink", object: name, errno) }
    }

    /// Takes every message out, the next one to be received first.
    ///
    /// - Parameter fd: Open for reading, and does not block.
    public static func drain(_ fd: Int32, _ attributes: Attributes) throws(LinuxError) -> [Message] {
        var messages: [Message] = []
        while true {
            var bytes = [UInt8](repeating: 0, count: Int(max(attributes.messageBytes, 1)))
            var priority: UInt32 = 0
            // SAFETY: the kernel writes at most as many bytes as the buffer has, and one number; both live for the call.
            let answer = bytes.withUnsafeMutableBufferPointer { buffer in
                withUnsafeMutablePointer(to: &priority) {
                    Kernel.attempt(
                        .mq_timedreceive, Kernel.number(fd), Kernel.number(UnsafeRawPointer(buffer.baseAddress)),
                        UInt64(buffer.count), Kernel.number(UnsafeRawPointer($0)), 0)
                }
            }
            if let errno = Kernel.errno(of: answer) {
                if errno == .again { return messages }
                throw .call("mq_timedreceive", object: "fd \(fd)", errno)
            }
            messages.append(Message(priority: priority, bytes: Array(bytes.prefix(Int(answer)))))
        }
    }

    /// mq_send(3).
    ///
    /// - Parameter fd: Open for writing, and does not block.
    public static func send(_ message: Message, to fd: Int32) throws(LinuxError) {
        // SAFETY: the kernel reads as many bytes as the buffer has, for the length of the call.
        let answer = message.bytes.withUnsafeBufferPointer {
            Kernel.attempt(
                .mq_timedsend, Kernel.number(fd), Kernel.number(UnsafeRawPointer($0.baseAddress)), UInt64($0.count),
                UInt64(message.priority), 0)
        }
        if let errno = Kernel.errno(of: answer) { throw .call("mq_timedsend", object: "fd \(fd)", errno) }
    }
}
