extension SocketCalls {
    /// SO_GET_FILTER: the classic BPF program of a socket.
    ///
    /// - Returns: `struct sock_filter`, 8 bytes for each instruction; empty when it has none.
    /// - Throws: EACCES for a program that is not classic.
    public static func filter(of fd: Int32) throws(LinuxError) -> [UInt8] {
        // Lengths are counted in instructions; BPF_MAXINSNS is 4096.
        let count = try filter(of: fd, room: 0).count
        guard count > 0 else { return [] }
        guard count <= 4096 else { throw .malformed("SO_GET_FILTER", why: "\(count) instructions") }
        return try filter(of: fd, room: count).bytes
    }

    private static func filter(of fd: Int32, room: Int) throws(LinuxError) -> (bytes: [UInt8], count: Int) {
        var bytes = [UInt8](repeating: 0, count: room * 8)
        var length = UInt32(room)
        // SAFETY: the kernel writes at most `room` instructions of 8 bytes.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            withUnsafeMutablePointer(to: &length) {
                Kernel.attempt(
                    .getsockopt, Kernel.number(fd), 1, 26, Kernel.number(buffer.baseAddress),
                    Kernel.number(UnsafeRawPointer($0)))
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("getsockopt", object: "fd \(fd), SO_GET_FILTER", errno) }
        return (bytes, Int(length))
    }

    /// How many bytes an option would have; for options that say so when they are given no room.
    public static func optionBytes(_ fd: Int32, _ level: Int32, _ name: Int32) throws(LinuxError) -> Int {
        var length: UInt32 = 0
        // SAFETY: the kernel is given no room and writes the length only.
        let answer = withUnsafeMutablePointer(to: &length) {
            Kernel.attempt(
                .getsockopt, Kernel.number(fd), Kernel.number(level), Kernel.number(name), 0,
                Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("getsockopt", object: "fd \(fd), level \(level), option \(name)", errno)
        }
        return Int(min(length, 1 << 20))
    }

    /// SO_ATTACH_FILTER with `struct sock_filter`s of 8 bytes each.
    public static func attach(filter: [UInt8], to fd: Int32) throws(LinuxError) {
        guard filter.count % 8 == 0, filter.count / 8 <= 4096 else {
            throw .malformed("socket filter", why: "\(filter.count) bytes")
        }
        var failure: LinuxError?
        // SAFETY: struct sock_fprog holds the address of the instructions, which live through the call.
        filter.withUnsafeBytes { program in
            let words = [UInt64(filter.count / 8), Kernel.number(program.baseAddress)]
            do throws(LinuxError) {
                try setOption(fd, 1, 26, words.withUnsafeBytes { Array($0) })
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Where in a stream the bytes start that were sent together with the last of the next `count` bytes.
    ///
    /// The kernel copies what was sent together as a whole, and stops where it meets memory that it cannot write. So room
    /// for all bytes but the last one shows where the last piece starts.
    ///
    /// - Parameter flags: MSG_PEEK among them.
    /// - Returns: How many bytes come before that piece.
    public static func border(_ fd: Int32, count: Int, flags: Int32) throws(LinuxError) -> Int {
        guard count > 1 else { return 0 }
        var bytes = [UInt8](repeating: 0, count: count - 1)
        // SAFETY: struct msghdr with two struct iovec: memory of its length, and one byte at an address in the first page,
        // which nobody can map, so that the kernel fails to write there.
        let answer = bytes.withUnsafeMutableBytes { buffer in
            let vectors = [Kernel.number(buffer.baseAddress), UInt64(count - 1), 8, 1]
            return vectors.withUnsafeBytes { vectors in
                var header = [UInt64](repeating: 0, count: 7)
                header[2] = Kernel.number(vectors.baseAddress)
                header[3] = 2
                return header.withUnsafeMutableBytes {
                    Kernel.attempt(.recvmsg, Kernel.number(fd), Kernel.number($0.baseAddress), Kernel.number(flags))
                }
            }
        }
        if let errno = Kernel.errno(of: answer) {
            if errno == .fault { return 0 }
            throw .call("recvmsg", object: "fd \(fd)", errno)
        }
        return Int(answer)
    }

    /// Whether the memory that a socket shares with its owner (the rings of AF_PACKET) holds zeros only.
    public static func mappingIsZero(_ fd: Int32, byteCount: Int) throws(LinuxError) -> Bool {
        // PROT_READ, MAP_SHARED
        let address = try Kernel.call(.mmap, 0, Kernel.number(byteCount), 1, 1, Kernel.number(fd), 0, on: "fd \(fd)")
        defer { _ = Kernel.attempt(.munmap, address, Kernel.number(byteCount)) }
        // SAFETY: the kernel has just mapped that many bytes there; they are unmapped after the last look.
        let bytes = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: UInt(address)), count: byteCount)
        return bytes.allSatisfy { $0 == 0 }
    }

    /// sendmsg(2), the whole message at once.
    ///
    /// - Parameters:
    ///   - control: Control messages as `struct cmsghdr` lays them out.
    ///   - address: Where to; empty for a connected socket.
    /// - Returns: How many bytes were taken.
    public static func sendMessage(
        _ fd: Int32, _ bytes: [UInt8], control: [UInt8], to address: [UInt8] = [], flags: Int32 = noSignal
    ) throws(LinuxError) -> Int {
        // SAFETY: struct msghdr and struct iovec as in `message`; the kernel reads arrays that live through the call.
        let answer = bytes.withUnsafeBytes { data in
            control.withUnsafeBytes { ancillary in
                address.withUnsafeBytes { name in
                    var vector = (Kernel.number(data.baseAddress), UInt64(bytes.count))
                    return withUnsafeMutablePointer(to: &vector) { vector in
                        var header = [UInt64](repeating: 0, count: 7)
                        header[0] = address.isEmpty ? 0 : Kernel.number(name.baseAddress)
                        header[1] = UInt64(address.count)
                        header[2] = Kernel.number(UnsafeRawPointer(vector))
                        header[3] = 1
                        header[4] = control.isEmpty ? 0 : Kernel.number(ancillary.baseAddress)
                        header[5] = UInt64(control.count)
                        return header.withUnsafeBytes {
                            Kernel.attempt(
                                .sendmsg, Kernel.number(fd), Kernel.number($0.baseAddress), Kernel.number(flags))
                        }
                    }
                }
            }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("sendmsg", object: "fd \(fd)", errno) }
        return Int(answer)
    }

    /// The file that a UNIX socket is bound to, wherever its name is by now (SIOCUNIXFILE).
    ///
    /// - Returns: An O_PATH descriptor that the caller closes; `nil` for a socket without a name in a file system.
    public static func file(ofName fd: Int32) throws(LinuxError) -> Int32? {
        let answer = Kernel.attempt(.ioctl, Kernel.number(fd), 0x89e0)
        if let errno = Kernel.errno(of: answer) {
            if errno == .noEntry || errno == .invalid { return nil }
            throw .call("ioctl(SIOCUNIXFILE)", object: "fd \(fd)", errno)
        }
        return Int32(answer)
    }
}
