/// Sockets of this process, by raw system calls; addresses and option values are bytes as the kernel takes them.
public enum Sockets {
    public static let levelSocket: Int32 = 1

    /// socket(2), close-on-exec.
    public static func create(domain: UInt32, type: UInt32, protocolNumber: Int32 = 0) throws(LinuxError) -> Int32 {
        Int32(
            try Kernel.call(
                .socket, UInt64(domain), UInt64(type) | 0o2000000, Kernel.number(protocolNumber),
                on: "a new socket of family \(domain)"))
    }

    /// socketpair(2) of UNIX sockets, close-on-exec.
    public static func pair(type: UInt32) throws(LinuxError) -> (Int32, Int32) {
        var pair: (Int32, Int32) = (-1, -1)
        // SAFETY: the kernel writes two ints.
        let answer = withUnsafeMutablePointer(to: &pair) {
            Kernel.attempt(.socketpair, 1, UInt64(type) | 0o2000000, 0, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("socketpair", object: "a new socket pair", errno) }
        return pair
    }

    /// bind(2).
    public static func bind(_ fd: Int32, to address: [UInt8]) throws(LinuxError) {
        try pass(address, .bind, fd)
    }

    /// connect(2).
    public static func connect(_ fd: Int32, to address: [UInt8]) throws(LinuxError) {
        try pass(address, .connect, fd)
    }

    private static func pass(_ address: [UInt8], _ call: SystemCall, _ fd: Int32) throws(LinuxError) {
        // SAFETY: the bytes live through the call, which reads no more than their count.
        let answer = address.withUnsafeBytes {
            Kernel.attempt(call, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64($0.count))
        }
        if let errno = Kernel.errno(of: answer) { throw .call(call.name, object: "socket fd \(fd)", errno) }
    }

    /// listen(2).
    public static func listen(_ fd: Int32, backlog: Int32) throws(LinuxError) {
        try Kernel.call(.listen, Kernel.number(fd), Kernel.number(backlog), on: "socket fd \(fd)")
    }

    /// accept4(2), close-on-exec.
    public static func accept(_ fd: Int32) throws(LinuxError) -> Int32 {
        Int32(try Kernel.call(.accept4, Kernel.number(fd), 0, 0, 0o2000000, on: "socket fd \(fd)"))
    }

    /// shutdown(2): SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2.
    public static func shutdown(_ fd: Int32, how: UInt64) throws(LinuxError) {
        try Kernel.call(.shutdown, Kernel.number(fd), how, on: "socket fd \(fd)")
    }

    /// getsockname(2); `[family, 0]` or less for a socket without a name.
    public static func name(of fd: Int32) throws(LinuxError) -> [UInt8] {
        try address(.getsockname, fd)
    }

    /// getpeername(2); fails with ENOTCONN for a socket without a peer.
    public static func peerName(of fd: Int32) throws(LinuxError) -> [UInt8] {
        try address(.getpeername, fd)
    }

    private static func address(_ call: SystemCall, _ fd: Int32) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 128)
        var count: UInt32 = 128
        // SAFETY: the kernel writes at most `count` bytes and the real length into `count`.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withUnsafeMutablePointer(to: &count) {
                Kernel.attempt(
                    call, Kernel.number(fd), Kernel.number(buffer.baseAddress), Kernel.number(UnsafeRawPointer($0)))
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call(call.name, object: "socket fd \(fd)", errno) }
        return Array(bytes.prefix(Int(count)))
    }

    /// getsockopt(2) with room for `count` bytes.
    ///
    /// - Returns: As many bytes as the kernel has written.
    public static func option(
        _ fd: Int32, level: Int32 = levelSocket, _ name: UInt32, count: Int = 4
    ) throws(LinuxError) -> [UInt8] {
        let (bytes, written) = try optionWithCount(fd, level: level, name, count: count)
        return Array(bytes.prefix(written))
    }

    /// getsockopt(2) whose count is not one of bytes, like that of SO_GET_FILTER.
    ///
    /// - Parameters:
    ///   - count: Room in bytes.
    ///   - argument: What the call is told instead of `count`; `nil` for `count` itself.
    public static func optionWithCount(
        _ fd: Int32, level: Int32 = levelSocket, _ name: UInt32, count: Int, argument: UInt32? = nil
    ) throws(LinuxError) -> (bytes: [UInt8], count: Int) {
        var bytes = [UInt8](repeating: 0, count: count)
        var length = argument ?? UInt32(count)
        // SAFETY: the kernel writes at most what `length` allows, which callers give room for.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withUnsafeMutablePointer(to: &length) {
                Kernel.attempt(
                    .getsockopt, Kernel.number(fd), Kernel.number(level), UInt64(name),
                    Kernel.number(buffer.baseAddress), Kernel.number(UnsafeRawPointer($0)))
            }
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("getsockopt(\(level), \(name))", object: "socket fd \(fd)", errno)
        }
        return (bytes, Int(length))
    }

    /// An option that is one `int`.
    public static func integer(_ fd: Int32, level: Int32 = levelSocket, _ name: UInt32) throws(LinuxError) -> Int32 {
        let bytes = try option(fd, level: level, name)
        var value: UInt32 = 0
        for (index, byte) in bytes.prefix(4).enumerated() { value |= UInt32(byte) << (8 * UInt32(index)) }
        return Int32(bitPattern: value)
    }

    /// setsockopt(2).
    public static func setOption(
        _ fd: Int32, level: Int32 = levelSocket, _ name: UInt32, _ value: [UInt8]
    ) throws(LinuxError) {
        // SAFETY: the bytes live through the call, which reads no more than their count.
        let answer = value.withUnsafeBytes {
            Kernel.attempt(
                .setsockopt, Kernel.number(fd), Kernel.number(level), UInt64(name), Kernel.number($0.baseAddress),
                UInt64($0.count))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("setsockopt(\(level), \(name))", object: "socket fd \(fd)", errno)
        }
    }

    /// An option that is one `int`.
    public static func setInteger(
        _ fd: Int32, level: Int32 = levelSocket, _ name: UInt32, _ value: Int32
    ) throws(LinuxError) {
        let bits = UInt32(bitPattern: value)
        try setOption(fd, level: level, name, (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) })
    }

    /// SO_GET_FILTER: the classic BPF program of a socket.
    ///
    /// - Returns: 8 bytes for each instruction; empty when it has none.
    /// - Throws: EACCES for a program that is not classic.
    public static func filter(of fd: Int32) throws(LinuxError) -> [UInt8] {
        let asked = try optionWithCount(fd, 26, count: 0)
        if asked.count == 0 { return [] }
        // Counted in instructions; BPF_MAXINSNS is 4096.
        guard asked.count <= 4096 else { throw .malformed("SO_GET_FILTER", why: "\(asked.count) instructions") }
        return try optionWithCount(fd, 26, count: asked.count * 8, argument: UInt32(asked.count)).bytes
    }

    /// SO_ATTACH_FILTER with `struct sock_filter`s of 8 bytes each.
    public static func attach(filter: [UInt8], to fd: Int32) throws(LinuxError) {
        guard filter.count % 8 == 0, filter.count / 8 <= 4096 else {
            throw .malformed("socket filter", why: "\(filter.count) bytes")
        }
        var failure: LinuxError?
        // SAFETY: struct sock_fprog holds the address of the instructions, which live through the call.
        filter.withUnsafeBytes { program in
            do throws(LinuxError) {
                let words = [UInt64(filter.count / 8), Kernel.number(program.baseAddress)]
                try setOption(fd, 26, words.withUnsafeBytes { Array($0) })
            } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
