/// What kind of System V object it is.
public enum SystemVKind: UInt32, Sendable, Hashable {
    case segment = 1
    case semaphores = 2
    case queue = 3
}

/// A System V shared memory segment, semaphore set or message queue.
///
/// These belong to an IPC namespace, not to a process: on the host of the dump they outlive the tree. Restore takes them
/// as they are when they are still there, and makes them anew, under the same ID, when they are not.
public struct SystemVRecord: ImageValue {
    public var kind = SystemVKind.segment
    public var id: Int32 = 0
    /// 0 for IPC_PRIVATE.
    public var key: Int32 = 0
    /// Permission bits.
    public var mode: UInt32 = 0
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    public var creatorUid: UInt32 = 0
    public var creatorGid: UInt32 = 0
    /// PID of a process of the tree that made it or used it last; 0 for none.
    public var user: Int32 = 0
    /// Of a segment: its size, which need not be whole pages.
    public var sizeBytes: UInt64 = 0
    /// Of a segment: number of the ``InodeRecord`` that holds its content.
    public var inode: UInt32 = 0
    /// Of a segment: IPC_RMID was done, so it ends with its last attachment.
    public var isRemoved = false
    /// Of a segment: SHM_LOCK keeps it in memory.
    public var isLocked = false
    /// Of a set: the values.
    public var values: [UInt64] = []
    /// Of a set: what processes have promised to undo at their end (SEM_UNDO).
    public var undo: [SemaphoreUndoValue] = []
    /// Of a queue: the most bytes that it takes.
    public var capacityBytes: UInt64 = 0
    /// Of a queue: what waits in it, the oldest first.
    public var messages: [SystemVMessageValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.choice("kind", &kind)
        try fields.number("id", &id)
        try fields.number("key", &key)
        try fields.number("mode", &mode)
        try fields.number("uid", &uid)
        try fields.number("gid", &gid)
        try fields.number("creatorUid", &creatorUid)
        try fields.number("creatorGid", &creatorGid)
        try fields.number("user", &user)
        try fields.number("sizeBytes", &sizeBytes)
        try fields.number("inode", &inode)
        try fields.flag("isRemoved", &isRemoved)
        try fields.flag("isLocked", &isLocked)
        try fields.words("values", &values)
        try fields.list("undo", &undo)
        try fields.number("capacityBytes", &capacityBytes)
        try fields.list("messages", &messages)
    }
}

/// What the end of a process adds to a semaphore.
public struct SemaphoreUndoValue: ImageValue {
    /// PID.
    public var process: Int32 = 0
    /// Its number in the set.
    public var semaphore: UInt32 = 0
    /// -32768 to 32767.
    public var adjustment: Int32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("process", &process)
        try fields.number("semaphore", &semaphore)
        try fields.number("adjustment", &adjustment)
    }
}

/// One message of a System V queue.
public struct SystemVMessageValue: ImageValue {
    public var type: Int64 = 0
    public var text: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("type", &type)
        try fields.bytes("text", &text)
    }
}

extension ImageContents {
    /// Checks that each object can be made from what its record says.
    func systemVFits() throws(ImageError) {
        var seen: Set<UInt64> = []
        for object in systemV {
            func fail(_ why: String) -> ImageError {
                .inconsistent(record: "System V \(object.kind) \(object.id)", why: why)
            }
            guard object.id >= 0, seen.insert(UInt64(object.kind.rawValue) << 32 | UInt64(object.id)).inserted else {
                throw fail("its ID is negative or used twice")
            }
            guard object.mode <= 0o777 else { throw fail("its mode holds more than permissions") }
            switch object.kind {
            case .segment:
                let inode = inodes.first { $0.number == object.inode }
                guard let inode, inode.kind == .systemVSegment, object.sizeBytes > 0,
                    inode.sizeBytes >= object.sizeBytes, inode.sizeBytes < 1 << 46
                else { throw fail("its content is missing or too short") }
            case .semaphores:
                guard !object.values.isEmpty, object.values.count <= 1 << 20,
                    object.values.allSatisfy({ $0 <= 32767 })
                else { throw fail("its values are none that semaphores have") }
                let processes = Set(processes.map(\.pid))
                guard
                    object.undo.allSatisfy({
                        processes.contains($0.process) && Int($0.semaphore) < object.values.count
                            && (-32768...32767).contains($0.adjustment)
                    })
                else { throw fail("its undo list names no process or semaphore") }
            case .queue:
                guard object.messages.allSatisfy({ $0.type > 0 }) else { throw fail("a message has no type") }
            }
        }
        let known = Set(systemV.map(\.inode))
        for inode in inodes where inode.kind == .systemVSegment && !known.contains(inode.number) {
            throw .inconsistent(record: "inode \(inode.number)", why: "no System V segment has it")
        }
    }
}
