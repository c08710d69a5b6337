/// What statx(2) tells about an inode.
public struct FileStatus: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        case regular, directory, symbolicLink, fifo, socket, character, block
        /// Anonymous inodes (eventfd, epoll, …) have type bits 0.
        case none
    }

    public var device: UInt64
    public var inode: UInt64
    /// Type and permission bits.
    public var mode: UInt32
    public var links: UInt32
    public var uid: UInt32
    public var gid: UInt32
    public var sizeBytes: UInt64
    /// Device number of a device node.
    public var specialDevice: UInt64
    public var modifiedNanoseconds: Int64
    /// The unit that its file system counts in: the size of a page of a file of huge pages.
    public var blockBytes: UInt32 = 4096
    public var accessedNanoseconds: Int64 = 0

    /// The type in `mode`.
    public var kind: Kind {
        switch mode & 0xf000 {
        case 0x8000: .regular
        case 0x4000: .directory
        case 0xa000: .symbolicLink
        case 0x1000: .fifo
        case 0xc000: .socket
        case 0x2000: .character
        case 0x6000: .block
        default: .none
        }
    }

    /// Identity of the inode as long as it exists.
    public var identity: FileIdentity { FileIdentity(device: device, inode: inode) }
}

/// Device and inode number: two open files with equal ones are the same file.
public struct FileIdentity: Sendable, Hashable {
    /// `major << 32 | minor`, so that it can be compared with what `/proc` prints.
    public var device: UInt64
    public var inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// Opening, reading and looking at files by raw system calls.
public enum Files {
    public struct OpenFlags: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        public static let readOnly: OpenFlags = []
        public static let writeOnly = OpenFlags(rawValue: 0o1)
        public static let readWrite = OpenFlags(rawValue: 0o2)
        public static let create = OpenFlags(rawValue: 0o100)
        public static let exclusive = OpenFlags(rawValue: 0o200)
        public static let truncate = OpenFlags(rawValue: 0o1000)
        public static let append = OpenFlags(rawValue: 0o2000)
        public static let nonBlocking = OpenFlags(rawValue: 0o4000)
        public static let directory = OpenFlags(rawValue: 0o200000)
        public static let noFollow = OpenFlags(rawValue: 0o400000)
        public static let closeOnExec = OpenFlags(rawValue: 0o2000000)
        public static let pathOnly = OpenFlags(rawValue: 0o10000000)
        /// A file without a name in the folder that is opened (O_TMPFILE).
        public static let nameless = OpenFlags(rawValue: 0o20200000)
    }

    static func withPath(_ path: String, _ body: (UInt64) -> Int64) -> Int64 {
        // SAFETY: the bytes live through the call that `body` makes.
        Namespaces.reachable(path).withCString { body(Kernel.number(UnsafeRawPointer($0))) }
    }

    static let currentDirectory = Kernel.number(Int32(-100))

    /// openat(2) relative to the working directory; always close-on-exec.
    ///
    /// - Returns: A descriptor that the caller closes.
    public static func open(_ path: String, _ flags: OpenFlags, mode: UInt32 = 0o600) throws(LinuxError) -> Int32 {
        let answer = withPath(path) {
            Kernel.attempt(.openat, currentDirectory, $0, flags.union(.closeOnExec).rawValue, UInt64(mode))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("open", object: path, errno) }
        return Int32(answer)
    }

    /// close(2); an error says nothing that a caller could act on.
    public static func close(_ fd: Int32) { _ = Kernel.attempt(.close, Kernel.number(fd)) }

    /// One read(2) into `buffer`, again after EINTR.
    ///
    /// - Returns: 0 at the end of the file.
    public static func read(_ fd: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(LinuxError) -> Int {
        while true {
            let answer = Kernel.attempt(
                .read, Kernel.number(fd), Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            guard let errno = Kernel.errno(of: answer) else { return Int(answer) }
            if errno != .interrupted { throw .call("read", object: "fd \(fd)", errno) }
        }
    }

    /// One pread(2) into `buffer`, again after EINTR.
    public static func read(
        _ fd: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LinuxError) -> Int {
        while true {
            let answer = Kernel.attempt(
                .pread64, Kernel.number(fd), Kernel.number(buffer.baseAddress), UInt64(buffer.count), offset)
            guard let errno = Kernel.errno(of: answer) else { return Int(answer) }
            if errno != .interrupted { throw .call("pread", object: "fd \(fd)", errno) }
        }
    }

    /// Writes all bytes.
    public static func write(_ fd: Int32, _ buffer: UnsafeRawBufferPointer) throws(LinuxError) {
        var done = 0
        while done < buffer.count {
            let answer = Kernel.attempt(
                .write, Kernel.number(fd), Kernel.number(buffer.baseAddress) + UInt64(done), UInt64(buffer.count - done)
            )
            if let errno = Kernel.errno(of: answer) {
                if errno == .interrupted { continue }
                throw .call("write", object: "fd \(fd)", errno)
            }
            done += Int(answer)
        }
    }

    /// Writes all bytes.
    public static func write(_ fd: Int32, _ bytes: [UInt8]) throws(LinuxError) {
        var failure: LinuxError?
        bytes.withUnsafeBytes { buffer in
            do throws(LinuxError) { try write(fd, buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Everything in a file from its start to its end, as `/proc` files need to be read: until read returns 0.
    public static func contents(of path: String) throws(LinuxError) -> [UInt8] {
        try contents(of: path, chunkBytes: 32768, inOnePiece: false)
    }

    /// A file of `/proc` that the kernel writes in one go, as those about a single task: what does not fill the room is
    /// all there is.
    public static func record(at path: String) throws(LinuxError) -> [UInt8] {
        try contents(of: path, chunkBytes: 4096, inOnePiece: true)
    }

    private static func contents(
        of path: String, chunkBytes: Int, inOnePiece: Bool
    ) throws(LinuxError) -> [UInt8] {
        let fd = try open(path, .readOnly)
        defer { close(fd) }
        var result: [UInt8] = []
        while true {
            var failure: LinuxError?
            // SAFETY: the closure says how much of the room it has filled.
            let chunk = [UInt8](unsafeUninitializedCapacity: chunkBytes) { buffer, count in
                let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<chunkBytes])
                do throws(LinuxError) { count = try read(fd, into: room) } catch { failure = error }
            }
            if let failure {
                if let errno = failure.errno { throw .call("read", object: path, errno) }
                throw failure
            }
            if result.isEmpty, inOnePiece, chunk.count < chunkBytes { return chunk }
            if chunk.isEmpty { return result }
            result += chunk
        }
    }

    /// At most `count` bytes from the start of an open file, whatever its offset.
    public static func prefix(of fd: Int32, count: Int) throws(LinuxError) -> [UInt8] {
        try bytes(of: fd, from: 0, count: count)
    }

    /// At most `count` bytes of an open file, whatever its offset; fewer at its end.
    public static func bytes(of fd: Int32, from offset: UInt64, count: Int) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        var failure: LinuxError?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(LinuxError) { got = try read(fd, at: offset, into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        return Array(bytes[..<got])
    }

    /// ``contents(of:)`` as text; bytes that are no UTF-8 become U+FFFD.
    public static func text(of path: String) throws(LinuxError) -> String {
        String(decoding: try contents(of: path), as: UTF8.self)
    }

    /// Replaces or creates a file.
    public static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(LinuxError) {
        let fd = try open(path, [.writeOnly, .create, .truncate], mode: mode)
        defer { close(fd) }
        try write(fd, bytes)
    }

    /// readlink(2).
    public static func link(_ path: String) throws(LinuxError) -> String {
        // Names in /proc can be longer than PATH_MAX only through " (deleted)".
        return try withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 8) { buffer throws(LinuxError) in
            // SAFETY: the kernel writes at most as many bytes as there are, and says how many.
            let answer = withPath(path) {
                Kernel.attempt(.readlink, $0, Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            }
            if let errno = Kernel.errno(of: answer) { throw .call("readlink", object: path, errno) }
            return String(decoding: buffer[..<Int(answer)], as: UTF8.self)
        }
    }

    /// Names in a folder, without `.` and `..`, in the file system's order.
    public static func names(in path: String) throws(LinuxError) -> [String] {
        let fd = try open(path, [.readOnly, .directory])
        defer { close(fd) }
        var names: [String] = []
        var chunk = [UInt8](repeating: 0, count: 32768)
        while true {
            // SAFETY: the kernel writes at most `count` bytes into `chunk`.
            let answer = chunk.withUnsafeMutableBytes {
                Kernel.attempt(.getdents64, Kernel.number(fd), Kernel.number($0.baseAddress), UInt64($0.count))
            }
            if let errno = Kernel.errno(of: answer) { throw .call("getdents64", object: path, errno) }
            if answer == 0 { return names }
            var offset = 0
            while offset + 19 <= Int(answer) {
                let length = Int(chunk[offset + 16]) | Int(chunk[offset + 17]) << 8
                guard length > 19, offset + length <= Int(answer) else {
                    throw .malformed(path, why: "directory record of \(length) bytes")
                }
                let name = String(decoding: chunk[(offset + 19)..<(offset + length)].prefix { $0 != 0 }, as: UTF8.self)
                if name != ".", name != ".." { names.append(name) }
                offset += length
            }
        }
    }

    /// statx(2) of a path. The last symbolic link is followed unless `follow` is false.
    public static func status(of path: String, follow: Bool = true) throws(LinuxError) -> FileStatus {
        try status(object: path) { buffer in
            withPath(path) { Kernel.attempt(.statx, currentDirectory, $0, follow ? 0 : 0x100, 0x7ff, buffer) }
        }
    }

    /// statx(2) of an open file.
    public static func status(of fd: Int32) throws(LinuxError) -> FileStatus {
        try status(object: "fd \(fd)") { buffer in
            withPath("") { Kernel.attempt(.statx, Kernel.number(fd), $0, 0x1000, 0x7ff, buffer) }
        }
    }

    private static func status(object: String, _ call: (UInt64) -> Int64) throws(LinuxError) -> FileStatus {
        // struct statx is 256 bytes; the words below are its documented offsets divided by 4.
        var words = [UInt32](repeating: 0, count: 64)
        let answer = words.withUnsafeMutableBytes { call(Kernel.number($0.baseAddress)) }
        if let errno = Kernel.errno(of: answer) { throw .call("statx", object: object, errno) }
        func long(_ index: Int) -> UInt64 { UInt64(words[index]) | UInt64(words[index + 1]) << 32 }
        return FileStatus(
            device: UInt64(words[34]) << 32 | UInt64(words[35]), inode: long(8), mode: words[7] & 0xffff,
            links: words[4], uid: words[5], gid: words[6], sizeBytes: long(10),
            specialDevice: UInt64(words[32]) << 32 | UInt64(words[33]),
            modifiedNanoseconds: Int64(bitPattern: long(28)) &* 1_000_000_000 &+ Int64(words[30]), blockBytes: words[1],
            accessedNanoseconds: Int64(bitPattern: long(16)) &* 1_000_000_000 &+ Int64(words[18]))
    }

    /// The type of the file system that holds a path: `f_type` of statfs(2), a number from `linux/magic.h`.
    public static func fileSystemType(of path: String) throws(LinuxError) -> UInt64 {
        try fileSystem(of: path)[0]
    }

    /// Whether the mount that `path` leads to is read-only.
    public static func isOnReadOnlyMount(_ path: String) throws(LinuxError) -> Bool {
        // f_flags, ST_RDONLY
        try fileSystem(of: path)[10] & 1 != 0
    }

    private static func fileSystem(of path: String) throws(LinuxError) -> [UInt64] {
        // struct statfs is 120 bytes; its first word is f_type.
        var words = [UInt64](repeating: 0, count: 15)
        let answer = words.withUnsafeMutableBytes { buffer in
            withPath(path) { Kernel.attempt(.statfs, $0, Kernel.number(buffer.baseAddress)) }
        }
        if let errno = Kernel.errno(of: answer) { throw .call("statfs", object: path, errno) }
        return words
    }

    /// Where `fd` reads or writes next; lseek(2) with 0 from here.
    public static func offset(of fd: Int32) throws(LinuxError) -> UInt64 {
        try Kernel.call(.lseek, Kernel.number(fd), 0, 1, on: "fd \(fd)")
    }

    /// The next stretch of data at or after `offset` (SEEK_DATA, SEEK_HOLE).
    ///
    /// - Returns: `nil` when only a hole follows. A file system without holes says that all is data.
    public static func nextData(of fd: Int32, from offset: UInt64) throws(LinuxError) -> Range<UInt64>? {
        let start = Kernel.attempt(.lseek, Kernel.number(fd), offset, 3)
        if let errno = Kernel.errno(of: start) {
            if errno == .noDeviceAddress { return nil }
            throw .call("lseek", object: "fd \(fd)", errno)
        }
        let end = try Kernel.call(.lseek, Kernel.number(fd), UInt64(bitPattern: start), 4, on: "fd \(fd)")
        return UInt64(bitPattern: start)..<end
    }

    /// Who gets the signals of an open file (F_GETOWN_EX): F_OWNER_TID 0, F_OWNER_PID 1, F_OWNER_PGRP 2; ID 0 for nobody.
    public static func owner(of fd: Int32) -> (kind: Int32, id: Int32) {
        var owner: (Int32, Int32) = (0, 0)
        // SAFETY: struct f_owner_ex is two ints.
        let answer = withUnsafeMutablePointer(to: &owner) {
            Kernel.attempt(.fcntl, Kernel.number(fd), 16, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil ? (owner.0, owner.1) : (0, 0)
    }

    /// timerfd_gettime(2), for its effect: a repeating timer that has expired counts what it missed and runs again.
    public static func windTimer(_ fd: Int32) throws(LinuxError) {
        var setting: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        // SAFETY: struct itimerspec is four words.
        let answer = withUnsafeMutablePointer(to: &setting) {
            Kernel.attempt(.timerfd_gettime, Kernel.number(fd), Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("timerfd_gettime", object: "fd \(fd)", errno) }
    }

    /// A pipe; both ends close-on-exec.
    public static func pipe(nonBlocking: Bool = false) throws(LinuxError) -> (read: Int32, write: Int32) {
        var pair: (Int32, Int32) = (-1, -1)
        let flags = nonBlocking ? OpenFlags.closeOnExec.union(.nonBlocking) : .closeOnExec
        // SAFETY: the kernel writes two ints.
        let answer = withUnsafeMutablePointer(to: &pair) {
            Kernel.attempt(.pipe2, Kernel.number(UnsafeRawPointer($0)), flags.rawValue)
        }
        if let errno = Kernel.errno(of: answer) { throw .call("pipe2", object: "a new pipe", errno) }
        return (pair.0, pair.1)
    }

    /// Which of `events` (POLL* bits; POLLERR and POLLHUP always) hold now.
    ///
    /// - Parameter milliseconds: How long to wait for one of them.
    public static func poll(_ fd: Int32, events: Int16, milliseconds: Int = 0) throws(LinuxError) -> Int16 {
        var request: (Int32, Int16, Int16) = (fd, events, 0)
        // SAFETY: one struct pollfd.
        let answer = withUnsafeMutablePointer(to: &request) {
            Kernel.attempt(.poll, Kernel.number(UnsafeRawPointer($0)), 1, Kernel.number(milliseconds))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("poll", object: "fd \(fd)", errno) }
        return request.2
    }

    /// mkdir(2), mknod(2) and friends report through this.
    static func path(_ call: String, _ path: String, _ answer: Int64) throws(LinuxError) {
        if let errno = Kernel.errno(of: answer) { throw .call(call, object: path, errno) }
    }

    /// mkdir(2).
    public static func makeFolder(_ path: String, mode: UInt32 = 0o755) throws(LinuxError) {
        try self.path("mkdir", path, withPath(path) { Kernel.attempt(.mkdir, $0, UInt64(mode)) })
    }

    /// unlink(2).
    public static func unlink(_ path: String) throws(LinuxError) {
        try self.path("unlink", path, withPath(path) { Kernel.attempt(.unlink, $0) })
    }

    /// memfd_create(2), close-on-exec, sealing allowed.
    ///
    /// - Parameter hugePageShift: Binary logarithm of the size of its huge pages; 0 for ordinary pages.
    public static func memfd(_ name: String, hugePageShift: UInt32 = 0) throws(LinuxError) -> Int32 {
        // MFD_CLOEXEC | MFD_ALLOW_SEALING, MFD_HUGETLB and the size above it
        let flags: UInt64 = hugePageShift == 0 ? 3 : 7 | UInt64(hugePageShift) << 26
        let answer = withPath(name) { Kernel.attempt(.memfd_create, $0, flags) }
        try self.path("memfd_create", name, answer)
        return Int32(answer)
    }
}
