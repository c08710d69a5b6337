import CLinux

/// ioctl(2) requests of terminals.
///
/// - Source: `ioctl_tty(2)`; numbers from `asm-generic/ioctls.h`.
public enum Terminals {
    /// Requests that take or give one int through a pointer.
    public enum Number: UInt64, Sendable {
        case index = 0x8004_5430  // TIOCGPTN
        case device = 0x8004_5432  // TIOCGDEV
        case setLock = 0x4004_5431  // TIOCSPTLCK
        case lock = 0x8004_5439  // TIOCGPTLCK
        case setPacketMode = 0x5420  // TIOCPKT
        case packetMode = 0x8004_5438  // TIOCGPKT
        case exclusive = 0x8004_5440  // TIOCGEXCL
        case discipline = 0x5424  // TIOCGETD
        case session = 0x5429  // TIOCGSID
        case foreground = 0x540f  // TIOCGPGRP
        case setForeground = 0x5410  // TIOCSPGRP
        case queued = 0x541b  // FIONREAD
    }

    /// Requests that take a number by value.
    public enum Action: UInt64, Sendable {
        case setExclusive = 0x540c  // TIOCEXCL
        case control = 0x540e  // TIOCSCTTY
        case openPeer = 0x5441  // TIOCGPTPEER
        case flow = 0x540a  // TCXONC
        case giveUp = 0x5422  // TIOCNOTTY
    }

    /// Structures that are read and written whole.
    public enum Structure: Sendable {
        /// `struct termios2`, 44 bytes.
        case settings
        /// The bits that TIOCSLCKTRMIOS has locked: `struct termios`, 36 bytes.
        case lockedSettings
        /// `struct winsize`, 8 bytes.
        case size

        var numbers: (get: UInt64, set: UInt64) {
            switch self {
            case .settings: (0x802c_542a, 0x402c_542b)
            case .lockedSettings: (0x5456, 0x5457)
            case .size: (0x5413, 0x5414)
            }
        }

        /// How many bytes it has.
        public var byteCount: Int {
            switch self {
            case .settings: 44
            case .lockedSettings: 36
            case .size: 8
            }
        }
    }

    /// Asks for a number.
    public static func number(_ request: Number, of fd: Int32) throws(LinuxError) -> Int32 {
        var value: Int32 = 0
        // SAFETY: each of these requests writes one int at most.
        let answer = withUnsafeMutablePointer(to: &value) {
            Kernel.attempt(.ioctl, Kernel.number(fd), request.rawValue, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl \(request)", object: "terminal fd \(fd)", errno) }
        return value
    }

    /// Hands over a number.
    public static func set(_ request: Number, of fd: Int32, to value: Int32) throws(LinuxError) {
        var value = value
        // SAFETY: each of these requests reads one int at most.
        let answer = withUnsafeMutablePointer(to: &value) {
            Kernel.attempt(.ioctl, Kernel.number(fd), request.rawValue, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl \(request)", object: "terminal fd \(fd)", errno) }
    }

    /// Makes a request that takes its argument by value.
    ///
    /// - Returns: The kernel's answer: a new descriptor for `openPeer`, else 0.
    @discardableResult
    public static func act(_ request: Action, on fd: Int32, _ argument: UInt64 = 0) throws(LinuxError) -> Int32 {
        let answer = Kernel.attempt(.ioctl, Kernel.number(fd), request.rawValue, argument)
        if let errno = Kernel.errno(of: answer) { throw .call("ioctl \(request)", object: "terminal fd \(fd)", errno) }
        return Int32(truncatingIfNeeded: answer)
    }

    /// Reads a structure.
    public static func bytes(_ structure: Structure, of fd: Int32) throws(LinuxError) -> [UInt8] {
        // A little room, in case a kernel knows a longer form.
        var bytes = [UInt8](repeating: 0, count: 64)
        // SAFETY: the structures have at most 44 bytes.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(.ioctl, Kernel.number(fd), structure.numbers.get, Kernel.number($0.baseAddress))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ioctl \(structure)", object: "terminal fd \(fd)", errno)
        }
        return Array(bytes.prefix(structure.byteCount))
    }

    /// Writes a structure; `bytes` shorter than it are filled up with zeros.
    public static func set(_ structure: Structure, of fd: Int32, to bytes: [UInt8]) throws(LinuxError) {
        var copy = Array(bytes.prefix(structure.byteCount))
        copy += [UInt8](repeating: 0, count: 64 - copy.count)
        // SAFETY: the structures have at most 44 bytes.
        let answer = copy.withUnsafeMutableBytes {
            Kernel.attempt(.ioctl, Kernel.number(fd), structure.numbers.set, Kernel.number($0.baseAddress))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ioctl set \(structure)", object: "terminal fd \(fd)", errno)
        }
    }

    /// Opens `/dev/tty` as a process would whose controlling terminal is `slave`: in a passing child with a session of
    /// its own that shares this process's descriptors.
    ///
    /// - Parameters:
    ///   - path: `/dev/tty` or another name of it.
    ///   - target: An open descriptor, which is replaced.
    public static func openControlling(
        _ slave: Int32, path: String, flags: UInt64, replacing target: Int32
    ) throws(LinuxError) {
        // SAFETY: the path lives through the call, which returns after the child has ended.
        let answer = path.withCString { crl_open_controlling(slave, $0, Int32(truncatingIfNeeded: flags), target) }
        if answer < 0 { throw .call("open", object: path, Errno(rawValue: -answer)) }
    }

    /// Reads what is there.
    ///
    /// - Returns: `nil` when there is nothing; empty at an end-of-file mark.
    public static func read(_ fd: Int32, atMost count: Int) throws(LinuxError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: the kernel writes at most `count` bytes into `bytes`.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(.read, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64(count))
        }
        if let errno = Kernel.errno(of: answer) {
            if errno == .again || errno == .inputOutput { return nil }
            throw .call("read", object: "terminal fd \(fd)", errno)
        }
        return Array(bytes.prefix(Int(answer)))
    }

    /// Writes all bytes through a descriptor with O_NONBLOCK.
    ///
    /// - Throws: EAGAIN when there is no room for two seconds.
    public static func write(_ fd: Int32, _ bytes: [UInt8]) throws(LinuxError) {
        let deadline = Deadline(seconds: 2)
        var done = 0
        while done < bytes.count {
            // SAFETY: the rest of `bytes` is read, which lives through the call.
            let answer = bytes[done...].withUnsafeBytes {
                Kernel.attempt(.write, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64($0.count))
            }
            if let errno = Kernel.errno(of: answer) {
                guard errno == .again || errno == .interrupted, deadline.remainingNanoseconds > 0 else {
                    throw .call("write", object: "terminal fd \(fd)", errno)
                }
                _ = try Files.poll(fd, events: 4, milliseconds: 1)  // POLLOUT
                continue
            }
            done += Int(answer)
        }
    }
}
