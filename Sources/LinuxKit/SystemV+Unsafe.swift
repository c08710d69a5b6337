/// System V shared memory, semaphores and message queues, of the calling task's IPC namespace.
public enum SystemV {
    /// Owner, creator and permissions of any object: `struct ipc64_perm`.
    public struct Permissions: Sendable, Hashable {
        public var key: Int32
        public var uid: UInt32
        public var gid: UInt32
        public var creatorUid: UInt32
        public var creatorGid: UInt32
        /// Permission bits, and for a segment 01000 (it ends with its last attachment).
        public var mode: UInt32
    }

    /// A shared memory segment.
    public struct Segment: Sendable, Hashable {
        public var permissions: Permissions
        public var sizeBytes: UInt64
        public var attachments: UInt64
    }

    /// A message queue.
    public struct Queue: Sendable, Hashable {
        public var permissions: Permissions
        public var messages: UInt64
        public var capacityBytes: UInt64
    }

    private static let status: UInt64 = 2
    private static let set: UInt64 = 1
    private static let remove: UInt64 = 0

    private static func control(
        _ call: SystemCall, _ id: Int32, _ command: UInt64, _ bytes: inout [UInt8]
    ) throws(LinuxError) {
        let answer = bytes.withUnsafeMutableBytes { buffer in
            // SAFETY: each caller's buffer is as large as the structure of its call.
            let address = Kernel.number(buffer.baseAddress)
            return call == .semctl
                ? Kernel.attempt(call, Kernel.number(id), 0, command, address)
                : Kernel.attempt(call, Kernel.number(id), command, address)
        }
        if let errno = Kernel.errno(of: answer) { throw .call(call.name, object: "ID \(id)", errno) }
    }

    private static func permissions(_ bytes: [UInt8]) -> Permissions {
        func half(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
        }
        return Permissions(
            key: Int32(bitPattern: half(0)), uid: half(4), gid: half(8), creatorUid: half(12), creatorGid: half(16),
            mode: half(20))
    }

    private static func long(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }

    // MARK: Looking

    /// shmctl(IPC_STAT).
    public static func segment(_ id: Int32) throws(LinuxError) -> Segment {
        var bytes = [UInt8](repeating: 0, count: 128)  // struct shmid64_ds: 112
        try control(.shmctl, id, status, &bytes)
        return Segment(permissions: permissions(bytes), sizeBytes: long(bytes, 48), attachments: long(bytes, 88))
    }

    /// semctl(IPC_STAT, GETALL).
    public static func semaphores(_ id: Int32) throws(LinuxError) -> (permissions: Permissions, values: [UInt16]) {
        var bytes = [UInt8](repeating: 0, count: 128)  // struct semid64_ds: 104
        try control(.semctl, id, status, &bytes)
        let count = Int(min(long(bytes, 80), 1 << 20))
        var values = [UInt8](repeating: 0, count: max(2, count * 2))
        try control(.semctl, id, 13, &values)  // GETALL
        return (permissions(bytes), (0..<count).map { UInt16(values[$0 * 2]) | UInt16(values[$0 * 2 + 1]) << 8 })
    }

    /// The processes that operated last on each semaphore of a set; 0 where nobody has.
    public static func lastUsers(ofSemaphores id: Int32, count: Int) -> [Int32] {
        (0..<count).map { index in
            let answer = Kernel.attempt(.semctl, Kernel.number(id), Kernel.number(index), 11, 0)  // GETPID
            return Kernel.errno(of: answer) == nil ? Int32(truncatingIfNeeded: answer) : 0
        }
    }

    /// msgctl(IPC_STAT).
    public static func queue(_ id: Int32) throws(LinuxError) -> Queue {
        var bytes = [UInt8](repeating: 0, count: 128)  // struct msqid64_ds: 120
        try control(.msgctl, id, status, &bytes)
        return Queue(permissions: permissions(bytes), messages: long(bytes, 80), capacityBytes: long(bytes, 88))
    }

    /// A copy of message number `index` of a queue, which stays in it (MSG_COPY).
    public static func message(_ id: Int32, at index: Int) throws(LinuxError) -> (type: Int64, text: [UInt8]) {
        var capacity = 8192
        while true {
            var bytes = [UInt8](repeating: 0, count: 8 + capacity)
            let answer = bytes.withUnsafeMutableBytes { buffer in
                // IPC_NOWAIT | MSG_COPY
                Kernel.attempt(
                    .msgrcv, Kernel.number(id), Kernel.number(buffer.baseAddress), Kernel.number(capacity),
                    Kernel.number(index), 0o44000)
            }
            if let errno = Kernel.errno(of: answer) {
                // E2BIG
                guard errno == Errno(rawValue: 7), capacity < 1 << 26 else {
                    throw .call("msgrcv", object: "queue \(id)", errno)
                }
                capacity *= 4
                continue
            }
            return (Int64(bitPattern: long(bytes, 0)), Array(bytes[8..<(8 + min(Int(answer), capacity))]))
        }
    }

    // MARK: Making

    /// Makes an object under a chosen ID (`/proc/sys/kernel/*_next_id`).
    ///
    /// - Throws: EEXIST when the ID is taken.
    private static func create(
        _ what: String, _ id: Int32, _ call: SystemCall, _ arguments: (UInt64, UInt64, UInt64), _ remove: SystemCall,
        creator: (uid: UInt32, gid: UInt32)
    ) throws(LinuxError) {
        try Files.write(Array("\(id)".utf8), to: "/proc/sys/kernel/\(what)_next_id")
        // The kernel notes the creator for ever. Group before user, which may change neither; capabilities come back with
        // user 0.
        let keep = UInt64(UInt32.max)
        let isOther = creator != (0, 0)
        if isOther {
            _ = Kernel.attempt(.setresgid, keep, UInt64(creator.gid), keep)
            _ = Kernel.attempt(.setresuid, keep, UInt64(creator.uid), keep)
        }
        let answer = Kernel.attempt(call, arguments.0, arguments.1, arguments.2)
        if isOther {
            _ = Kernel.attempt(.setresuid, keep, 0, keep)
            _ = Kernel.attempt(.setresgid, keep, 0, keep)
        }
        if let errno = Kernel.errno(of: answer) {
            // Whoever comes next shall not get the number.
            try? Files.write(Array("-1".utf8), to: "/proc/sys/kernel/\(what)_next_id")
            throw .call(call.name, object: "ID \(id)", errno)
        }
        if answer != Int64(id) {
            try? self.remove(remove, Int32(truncatingIfNeeded: answer))
            throw .call(call.name, object: "ID \(id)", .exists)
        }
    }

    /// shmget(2).
    public static func createSegment(
        id: Int32, key: Int32, sizeBytes: UInt64, mode: UInt32, hugePageShift: UInt32,
        creator: (uid: UInt32, gid: UInt32)
    ) throws(LinuxError) {
        // IPC_CREAT | IPC_EXCL, SHM_HUGETLB and the size above it
        let flags = UInt64(mode & 0o777) | 0o3000 | (hugePageShift == 0 ? 0 : 0o4000 | UInt64(hugePageShift) << 26)
        try create(
            "shm", id, .shmget, (UInt64(UInt32(bitPattern: key)), sizeBytes, flags), .shmctl,
            // Huge pages ask for a capability.
            creator: hugePageShift == 0 ? creator : (0, 0))
    }

    /// semget(2), then SETALL.
    public static func createSemaphores(
        id: Int32, key: Int32, values: [UInt16], mode: UInt32, creator: (uid: UInt32, gid: UInt32)
    ) throws(LinuxError) {
        let flags = UInt64(mode & 0o777) | 0o3000
        try create(
            "sem", id, .semget, (UInt64(UInt32(bitPattern: key)), UInt64(values.count), flags), .semctl,
            creator: creator)
        var bytes = values.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        try control(.semctl, id, 17, &bytes)  // SETALL
    }

    /// msgget(2).
    public static func createQueue(
        id: Int32, key: Int32, mode: UInt32, creator: (uid: UInt32, gid: UInt32)
    ) throws(LinuxError) {
        let flags = UInt64(mode & 0o777) | 0o3000
        try create("msg", id, .msgget, (UInt64(UInt32(bitPattern: key)), flags, 0), .msgctl, creator: creator)
    }

    /// msgsnd(2), without waiting for room.
    public static func send(_ id: Int32, type: Int64, text: [UInt8]) throws(LinuxError) {
        var bytes = (0..<8).map { UInt8(truncatingIfNeeded: type >> Int64(8 * $0)) }
        bytes += text
        let answer = bytes.withUnsafeBytes { buffer in
            Kernel.attempt(
                .msgsnd, Kernel.number(id), Kernel.number(buffer.baseAddress), Kernel.number(text.count), 0o4000)
        }
        if let errno = Kernel.errno(of: answer) { throw .call("msgsnd", object: "queue \(id)", errno) }
    }

    /// IPC_SET: owner and mode, and of a queue its capacity.
    ///
    /// - Parameter call: `shmctl`, `semctl` or `msgctl`.
    public static func setOwner(
        _ call: SystemCall, _ id: Int32, uid: UInt32, gid: UInt32, mode: UInt32, capacityBytes: UInt64 = 0
    ) throws(LinuxError) {
        var bytes = [UInt8](repeating: 0, count: 128)
        try control(call, id, status, &bytes)
        func put(_ value: UInt64, _ offset: Int, _ count: Int) {
            for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
        }
        put(UInt64(uid), 4, 4)
        put(UInt64(gid), 8, 4)
        put(UInt64(mode & 0o777), 20, 4)
        if call == .msgctl { put(capacityBytes, 88, 8) }
        try control(call, id, set, &bytes)
    }

    /// IPC_RMID. A segment goes when nobody has it attached any more.
    public static func remove(_ call: SystemCall, _ id: Int32) throws(LinuxError) {
        var bytes = [UInt8](repeating: 0, count: 128)
        try control(call, id, remove, &bytes)
    }

    /// A descriptor of a segment's memory.
    ///
    /// The segment is attached for a moment, which its time of attachment shows.
    public static func open(segment id: Int32, sizeBytes: UInt64, writable: Bool) throws(LinuxError) -> Int32 {
        let answer = Kernel.attempt(.shmat, Kernel.number(id), 0, writable ? 0 : 0o10000)  // SHM_RDONLY
        if let errno = Kernel.errno(of: answer) { throw .call("shmat", object: "segment \(id)", errno) }
        let start = UInt64(bitPattern: answer)
        defer { _ = Kernel.attempt(.shmdt, start) }
        // Huge pages round its end up further than the size says.
        guard let range = try ProcParser.mappings(Files.text(of: "/proc/self/maps")).first(where: { $0.start == start })
        else {
            throw .call("shmat", object: "segment \(id)", .noEntry)
        }
        let name = String(range.start, radix: 16) + "-" + String(range.end, radix: 16)
        return try Files.open("/proc/self/map_files/\(name)", writable ? .readWrite : .readOnly)
    }

    /// The numbers in a table of `/proc/sysvipc`, line by line, without its title.
    public static func table(_ name: String) throws(LinuxError) -> [[Int64]] {
        let lines = try Files.text(of: "/proc/sysvipc/\(name)").split(separator: "\n").dropFirst()
        return lines.map { line in line.split(separator: " ").map { Int64($0) ?? 0 } }
    }
}
