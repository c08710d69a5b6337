/// System calls on sockets, with addresses and options as the bytes that the kernel takes and gives.
public enum SocketCalls {
    /// One message as recvmsg(2) gives it.
    public struct Message: Sendable, Hashable {
        public var bytes: [UInt8]
        /// Where it came from; empty when the socket does not say.
        public var address: [UInt8]
        /// Control messages, as `struct cmsghdr` lays them out.
        public var control: [UInt8]
        /// MSG_* flags of the answer.
        public var flags: Int32
    }

    /// MSG_PEEK.
    public static let peek: Int32 = 2
    /// MSG_DONTWAIT.
    public static let dontWait: Int32 = 0x40
    /// MSG_NOSIGNAL.
    public static let noSignal: Int32 = 0x4000

    private static func withBytes<Value>(_ bytes: [UInt8], _ body: (UInt64) -> Value) -> Value {
        bytes.withUnsafeBytes { body(Kernel.number($0.baseAddress)) }
    }

    private static func check(_ call: String, _ fd: Int32, _ answer: Int64) throws(LinuxError) -> Int {
        if let errno = Kernel.errno(of: answer) { throw .call(call, object: "fd \(fd)", errno) }
        return Int(answer)
    }

    /// socket(2); the descriptor is close-on-exec.
    public static func create(family: Int32, type: Int32, protocol number: Int32) throws(LinuxError) -> Int32 {
        Int32(
            try Kernel.call(
                .socket, Kernel.number(family), Kernel.number(type | 0o2000000), Kernel.number(number),
                on: "family \(family), type \(type & 15), protocol \(number)"))
    }

    /// getsockopt(2).
    ///
    /// - Parameter capacity: The longest value that is expected; what the kernel has beyond is cut off by it.
    /// - Returns: As many bytes as the kernel says.
    public static func option(
        _ fd: Int32, _ level: Int32, _ name: Int32, capacity: Int = 4
    ) throws(LinuxError) -> [UInt8] {
        try option(fd, level, name, asking: [UInt8](repeating: 0, count: capacity))
    }

    /// getsockopt(2) of an option that reads its argument too.
    public static func option(
        _ fd: Int32, _ level: Int32, _ name: Int32, asking: [UInt8]
    ) throws(LinuxError) -> [UInt8] {
        var bytes = asking
        var length = UInt32(asking.count)
        // SAFETY: the kernel writes at most `length` bytes, and the length; both live through the call.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withUnsafeMutablePointer(to: &length) {
                Kernel.attempt(
                    .getsockopt, Kernel.number(fd), Kernel.number(level), Kernel.number(name),
                    Kernel.number(buffer.baseAddress), Kernel.number(UnsafeRawPointer($0)))
            }
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("getsockopt", object: "fd \(fd), level \(level), option \(name)", errno)
        }
        return Array(bytes.prefix(Int(length)))
    }

    /// setsockopt(2).
    public static func setOption(
        _ fd: Int32, _ level: Int32, _ name: Int32, _ value: [UInt8]
    ) throws(LinuxError) {
        // SAFETY: the kernel reads the array's bytes during the call.
        let answer = withBytes(value) {
            Kernel.attempt(
                .setsockopt, Kernel.number(fd), Kernel.number(level), Kernel.number(name), $0, UInt64(value.count))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("setsockopt", object: "fd \(fd), level \(level), option \(name)", errno)
        }
    }

    /// An option that is an `int`.
    public static func number(_ fd: Int32, _ level: Int32, _ name: Int32) throws(LinuxError) -> Int32 {
        let bytes = try option(fd, level, name)
        var value: UInt32 = 0
        for (index, byte) in bytes.prefix(4).enumerated() { value |= UInt32(byte) << UInt32(8 * index) }
        return Int32(bitPattern: value)
    }

    /// Sets an option that is an `int`.
    public static func setNumber(_ fd: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws(LinuxError) {
        let bits = UInt32(bitPattern: value)
        try setOption(fd, level, name, (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) })
    }

    private static func address(_ call: SystemCall, _ fd: Int32) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 128)
        var length: UInt32 = 128
        // SAFETY: struct sockaddr_storage has 128 bytes; the kernel writes no more than `length` says.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withUnsafeMutablePointer(to: &length) {
                Kernel.attempt(
                    call, Kernel.number(fd), Kernel.number(buffer.baseAddress), Kernel.number(UnsafeRawPointer($0)))
            }
        }
        _ = try check(call.name, fd, answer)
        return Array(bytes.prefix(Int(length)))
    }

    /// getsockname(2).
    public static func localAddress(_ fd: Int32) throws(LinuxError) -> [UInt8] { try address(.getsockname, fd) }

    /// getpeername(2).
    ///
    /// - Returns: `nil` when the socket is not connected.
    public static func peerAddress(_ fd: Int32) throws(LinuxError) -> [UInt8]? {
        do {
            return try address(.getpeername, fd)
        } catch {
            if error.errno?.rawValue == 107 { return nil }  // ENOTCONN
            throw error
        }
    }

    /// bind(2).
    public static func bind(_ fd: Int32, _ address: [UInt8]) throws(LinuxError) {
        // SAFETY: the kernel reads the array's bytes during the call.
        _ = try check(
            "bind", fd, withBytes(address) { Kernel.attempt(.bind, Kernel.number(fd), $0, UInt64(address.count)) })
    }

    /// connect(2).
    public static func connect(_ fd: Int32, _ address: [UInt8]) throws(LinuxError) {
        // SAFETY: the kernel reads the array's bytes during the call.
        _ = try check(
            "connect", fd, withBytes(address) { Kernel.attempt(.connect, Kernel.number(fd), $0, UInt64(address.count)) }
        )
    }

    /// listen(2).
    public static func listen(_ fd: Int32, backlog: Int32) throws(LinuxError) {
        _ = try check("listen", fd, Kernel.attempt(.listen, Kernel.number(fd), Kernel.number(backlog)))
    }

    /// shutdown(2): SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2.
    public static func shutdown(_ fd: Int32, _ how: Int32) throws(LinuxError) {
        _ = try check("shutdown", fd, Kernel.attempt(.shutdown, Kernel.number(fd), Kernel.number(how)))
    }

    /// An ioctl(2) that answers with an `int`.
    public static func control(_ fd: Int32, _ request: UInt64) throws(LinuxError) -> Int32 {
        var value: Int32 = 0
        // SAFETY: the requests that are used here write one int.
        let answer = withUnsafeMutablePointer(to: &value) {
            Kernel.attempt(.ioctl, Kernel.number(fd), request, Kernel.number(UnsafeRawPointer($0)))
        }
        _ = try check("ioctl", fd, answer)
        return value
    }

    /// recvfrom(2) without an address.
    ///
    /// - Returns: As many bytes as came, at most `capacity`; none at the end of a stream.
    public static func receive(_ fd: Int32, capacity: Int, flags: Int32) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: capacity)
        // SAFETY: the kernel writes at most `capacity` bytes.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(
                .recvfrom, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64(capacity), Kernel.number(flags), 0,
                0)
        }
        let count = try check("recvfrom", fd, answer)
        bytes.removeLast(max(0, capacity - count))
        return bytes
    }

    /// recvmsg(2).
    public static func message(
        _ fd: Int32, capacity: Int, controlCapacity: Int = 1024, flags: Int32
    ) throws(LinuxError) -> Message {
        var bytes = [UInt8](repeating: 0, count: capacity)
        var control = [UInt8](repeating: 0, count: controlCapacity)
        var address = [UInt8](repeating: 0, count: 128)
        var header = [UInt64](repeating: 0, count: 7)
        // SAFETY: struct msghdr (name, its length, vector, its length, control, its length, flags) and one struct iovec;
        // all arrays live through the call and the kernel is told their lengths.
        let answer = bytes.withUnsafeMutableBytes { data in
            control.withUnsafeMutableBytes { ancillary in
                address.withUnsafeMutableBytes { name in
                    var vector = (Kernel.number(data.baseAddress), UInt64(capacity))
                    return withUnsafeMutablePointer(to: &vector) { vector in
                        header[0] = Kernel.number(name.baseAddress)
                        header[1] = 128
                        header[2] = Kernel.number(UnsafeRawPointer(vector))
                        header[3] = 1
                        header[4] = Kernel.number(ancillary.baseAddress)
                        header[5] = UInt64(controlCapacity)
                        return header.withUnsafeMutableBytes {
                            Kernel.attempt(
                                .recvmsg, Kernel.number(fd), Kernel.number($0.baseAddress), Kernel.number(flags))
                        }
                    }
                }
            }
        }
        let count = try check("recvmsg", fd, answer)
        return Message(
            bytes: Array(bytes.prefix(count)),
            address: Array(address.prefix(Int(UInt32(truncatingIfNeeded: header[1])))),
            control: Array(control.prefix(Int(header[5]))), flags: Int32(truncatingIfNeeded: header[6]))
    }

    /// sendto(2).
    ///
    /// - Parameter address: Where to; empty for a connected socket.
    /// - Returns: How many bytes were taken.
    @discardableResult
    public static func send(
        _ fd: Int32, _ bytes: ArraySlice<UInt8>, flags: Int32 = noSignal, to address: [UInt8] = []
    ) throws(LinuxError) -> Int {
        // SAFETY: the kernel reads both arrays during the call.
        let answer = bytes.withUnsafeBytes { data in
            withBytes(address) { name in
                Kernel.attempt(
                    .sendto, Kernel.number(fd), Kernel.number(data.baseAddress), UInt64(bytes.count),
                    Kernel.number(flags), address.isEmpty ? 0 : name, UInt64(address.count))
            }
        }
        return try check("sendto", fd, answer)
    }
}
