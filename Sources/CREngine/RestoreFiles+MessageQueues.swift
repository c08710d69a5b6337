internal import CRImage
internal import CRModel
internal import LinuxKit

/// POSIX message queues: found by name, or made with what was in them.
extension RestoreFiles {
    func openMessageQueues() throws(EngineError) {
        let queues = contents.inodes.filter { $0.kind == .messageQueue }
        // One that was removed may have had the name that another one has now.
        for inode in queues.filter({ $0.queue.first?.isRemoved == false })
            + queues.filter({ $0.queue.first?.isRemoved == true })
        {
            guard let queue = inode.queue.first else { continue }
            if !queue.isRemoved { queueNames[inode.number] = inode.path }
            let fd = queue.isCarried ? try create(queue, inode) : try find(queue, inode)
            inodes[inode.number] = try EngineError.wrap("keep message queue \(inode.path)") { () throws(LinuxError) in
                try lift(fd, inode.path)
            }
        }
    }

    /// Takes names away that were there only to open queues.
    func removeQueueNames() {
        for inode in contents.inodes where inode.queue.first?.isRemoved == true {
            if let name = queueNames.removeValue(forKey: inode.number) { try? MessageQueues.unlink(name) }
        }
    }

    /// Opens a queue once more. mq_open(3) sets no O_LARGEFILE (0100000), and open(2) always does.
    func openQueue(_ file: OpenFileRecord, _ content: Int32) throws(LinuxError) -> Int32 {
        let flags = UInt64(file.flags & Self.openOnly)
        guard let name = queueNames[file.inode], file.flags & 0o100000 == 0 else {
            return try RestoreCalls.open("/proc/self/fd/\(content)", rawFlags: flags)
        }
        // O_ACCMODE, O_NONBLOCK
        return try MessageQueues.open(name, rawFlags: flags & 0o4003)
    }

    private func find(_ queue: MessageQueueValue, _ inode: InodeRecord) throws(EngineError) -> Int32 {
        func refusal(_ reason: Reason, _ why: String) -> EngineError {
            .refused(
                Refusal(reason: reason.rawValue, object: "message queue \(inode.path)", message: why))
        }
        do throws(LinuxError) {
            let fd = try MessageQueues.open(inode.path)
            let found = try MessageQueues.attributes(of: fd)
            if found.limit == queue.limit, found.messageBytes == queue.messageBytes { return fd }
            Files.close(fd)
        } catch {
            if error.errno == .noEntry { throw refusal(.filesystemMissing, "the workload uses it, and it is not here") }
            throw .system(error, task: nil, doing: "open message queue \(inode.path)")
        }
        throw refusal(
            .filesystemChanged, "another one is here: it was for \(queue.limit) messages of \(queue.messageBytes) bytes"
        )
    }

    private func create(_ queue: MessageQueueValue, _ inode: InodeRecord) throws(EngineError) -> Int32 {
        try EngineError.wrap("make message queue \(inode.path)") { () throws(LinuxError) in
            let attributes = MessageQueues.Attributes(limit: queue.limit, messageBytes: queue.messageBytes)
            var name = inode.path
            var attempt = 0
            var made: Int32?
            while made == nil {
                do throws(LinuxError) {
                    made = try MessageQueues.open(name, creating: attributes)
                    queueNames[inode.number] = name
                } catch {
                    guard error.errno == .exists, queue.isRemoved, attempt < 100 else { throw error }
                    name = "\(inode.path).crengine-\(attempt)"
                    attempt += 1
                }
            }
            let fd = made ?? -1
            do throws(LinuxError) {
                try RestoreCalls.changeOwner(fd, inode.uid, inode.gid)
                try RestoreCalls.changeMode(fd, inode.mode)
                for message in queue.messages {
                    try MessageQueues.send(
                        MessageQueues.Message(priority: message.priority, bytes: message.bytes), to: fd)
                }
            } catch {
                Files.close(fd)
                throw error
            }
            return fd
        }
    }
}
