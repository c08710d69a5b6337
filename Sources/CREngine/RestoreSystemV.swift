internal import CRImage
internal import LinuxKit

/// Brings back the System V objects of an image, or finds them still there.
///
/// - Precondition: The calling thread is in the IPC namespace of the tree to be.
final class RestoreSystemV {
    /// Inode number to its segment.
    private(set) var segments: [UInt32: SystemVRecord] = [:]
    private(set) var notes: [String] = []
    private let contents: ImageContents
    private var created: [(call: SystemCall, id: Int32)] = []

    init(_ contents: ImageContents) {
        self.contents = contents
        for record in contents.systemV where record.kind == .segment { segments[record.inode] = record }
    }

    /// Makes what is missing.
    ///
    /// - Parameter opened: Takes a descriptor to fill a segment with; not called for one that is in use by others,
    ///   whose content is newer than the image's.
    func create(_ opened: (UInt32, Int32) throws(LinuxError) -> Void) throws(EngineError) {
        for record in contents.systemV {
            let name = "System V \(record.kind) \(record.id)"
            do throws(LinuxError) {
                switch record.kind {
                case .segment: try segment(record, opened)
                case .semaphores: try semaphores(record)
                case .queue: try queue(record)
                }
            } catch {
                guard error.errno == .exists else { throw .system(error, task: nil, doing: "create \(name)") }
                throw .busy(
                    "\(name) (key 0x\(String(UInt32(bitPattern: record.key), radix: 16))) is another one here",
                    task: nil,
                    next: "remove it with ipcrm, or restore in an IPC namespace of its own")
            }
        }
    }

    /// Whether the object is there; one with the same ID that differs counts as in the way.
    private func found<Value>(
        _ look: () throws(LinuxError) -> Value, _ fits: (Value) -> Bool
    ) throws(LinuxError) -> Value? {
        do throws(LinuxError) {
            let value = try look()
            guard fits(value) else { throw LinuxError.call("IPC_STAT", object: "its ID", .exists) }
            return value
        } catch {
            // EINVAL: no such ID; EIDRM: an older or younger object in its place.
            if error.errno == .invalid || error.errno == Errno(rawValue: 43) { return nil }
            throw error
        }
    }

    private func segment(
        _ record: SystemVRecord, _ opened: (UInt32, Int32) throws(LinuxError) -> Void
    ) throws(LinuxError) {
        let inode = contents.inodes.first { $0.number == record.inode }
        let there = try found { () throws(LinuxError) in
            try SystemV.segment(record.id)
        } _: {
            $0.permissions.key == record.key && $0.sizeBytes == record.sizeBytes && $0.permissions.mode & 0o1000 == 0
        }
        if let there {
            if there.attachments > 0 {
                notes.append("segment \(record.id) is in use by others and keeps its present content")
                return
            }
        } else {
            try SystemV.createSegment(
                id: record.id, key: record.key, sizeBytes: record.sizeBytes, mode: record.mode,
                hugePageShift: inode?.hugePageShift ?? 0, creator: (record.creatorUid, record.creatorGid))
            created.append((.shmctl, record.id))
            try own(.shmctl, record)
            // SHM_LOCK
            if record.isLocked {
                try Kernel.call(.shmctl, Kernel.number(record.id), 11, 0, on: "System V segment \(record.id)")
            }
        }
        try opened(record.inode, try SystemV.open(segment: record.id, sizeBytes: record.sizeBytes, writable: true))
    }

    private func semaphores(_ record: SystemVRecord) throws(LinuxError) {
        let there = try found { () throws(LinuxError) in
            try SystemV.semaphores(record.id)
        } _: {
            $0.permissions.key == record.key && $0.values.count == record.values.count
        }
        if let there {
            if there.values.map({ UInt64($0) }) != record.values {
                notes.append("semaphore set \(record.id) has changed since the dump and stays as it is")
            }
            return
        }
        try SystemV.createSemaphores(
            id: record.id, key: record.key, values: record.values.map { UInt16(truncatingIfNeeded: $0) },
            mode: record.mode, creator: (record.creatorUid, record.creatorGid))
        created.append((.semctl, record.id))
        try own(.semctl, record)
    }

    private func queue(_ record: SystemVRecord) throws(LinuxError) {
        let there = try found { () throws(LinuxError) in
            try SystemV.queue(record.id)
        } _: {
            $0.permissions.key == record.key
        }
        if let there {
            if there.messages != UInt64(record.messages.count) {
                notes.append("message queue \(record.id) has changed since the dump and stays as it is")
            }
            return
        }
        try SystemV.createQueue(
            id: record.id, key: record.key, mode: record.mode, creator: (record.creatorUid, record.creatorGid))
        created.append((.msgctl, record.id))
        try own(.msgctl, record)
        for message in record.messages { try SystemV.send(record.id, type: message.type, text: message.text) }
    }

    private func own(_ call: SystemCall, _ record: SystemVRecord) throws(LinuxError) {
        do {
            try SystemV.setOwner(
                call, record.id, uid: record.uid, gid: record.gid, mode: record.mode,
                capacityBytes: record.capacityBytes)
        } catch {
            // Only a capacity above the system's needs more than the engine may have.
            guard call == .msgctl, error.errno == .notPermitted else { throw error }
            let capacity = try SystemV.queue(record.id).capacityBytes
            try SystemV.setOwner(
                call, record.id, uid: record.uid, gid: record.gid, mode: record.mode, capacityBytes: capacity)
            notes.append("message queue \(record.id) takes \(capacity) bytes instead of \(record.capacityBytes)")
        }
    }

    /// Lets the processes that used an object last use it again: the kernel notes their PIDs, and by them the next dump
    /// knows what is the tree's.
    func touch(_ stub: (Int32) -> RestoreStub?) throws(EngineError) {
        for object in created {
            guard let kind = Self.kinds[object.call],
                let record = contents.systemV.first(where: { $0.kind == kind && $0.id == object.id }),
                let stub = stub(record.user)
            else { continue }
            let id = UInt64(UInt32(bitPattern: record.id))
            switch kind {
            case .segment:
                if contents.addressSpaces.contains(where: { $0.vmas.contains { $0.inode == record.inode } }) {
                    continue
                }
                let start = try stub.call(.shmat, [id, 0, 0], doing: "attach System V segment \(id)")
                try stub.call(.shmdt, [start], doing: "detach System V segment \(id)")
            case .semaphores:
                guard record.values.count * 2 <= Int(RestoreStub.Area.dataBytes) else { continue }
                let bytes = record.values.flatMap {
                    [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
                }
                // SETALL
                try stub.call(.semctl, [id, 0, 17, try stub.put(bytes)], doing: "set System V semaphores \(id)")
            case .queue:
                // An empty message of a type that is taken back at once; a full queue has no room for it.
                let message = try stub.put(words: [UInt64(Int64.max)])
                if try stub.attempt(.msgsnd, [id, message, 0, 0o4000]) == nil {
                    try stub.call(
                        .msgrcv, [id, message, 0, UInt64(Int64.max), 0o4000], doing: "use System V queue \(id)")
                }
            }
        }
    }

    /// Lets processes promise again to undo what they had done to semaphores: they do it once more, and take it back at
    /// once without a promise.
    ///
    /// - Precondition: All values are set, which takes promises away.
    func promise(_ stub: (Int32) -> RestoreStub?) throws(EngineError) {
        for record in contents.systemV where created.contains(where: { $0.call == .semctl && $0.id == record.id }) {
            for undo in record.undo {
                guard let stub = stub(undo.process) else { continue }
                let value = Int32(truncatingIfNeeded: record.values[Int(undo.semaphore)])
                let pair = SemaphoreUndo.promise(undo.adjustment, value)
                let list = try stub.put(SemaphoreUndo.bytes(pair, Int(undo.semaphore)))
                try stub.call(
                    .semop, [UInt64(UInt32(bitPattern: record.id)), list, UInt64(pair.count)],
                    doing: "promise to undo an operation of semaphore \(undo.semaphore) of set \(record.id)")
            }
        }
    }

    private static let kinds: [SystemCall: SystemVKind] = [.shmctl: .segment, .semctl: .semaphores, .msgctl: .queue]

    /// Removes segments that were removed at the source, once the tree has them attached.
    func removeMarked() throws(EngineError) {
        for record in contents.systemV where record.kind == .segment && record.isRemoved {
            try EngineError.wrap("remove System V segment \(record.id)") { () throws(LinuxError) in
                try SystemV.remove(.shmctl, record.id)
            }
        }
    }

    /// The tree runs: what was made is the workload's.
    func commit() { created = [] }

    /// Removes what was made for a tree that did not come to be.
    func undo() {
        for object in created.reversed() { try? SystemV.remove(object.call, object.id) }
        created = []
    }
}
