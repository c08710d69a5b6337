internal import CRImage
internal import CRModel
internal import LinuxKit

/// POSIX message queues: found by name, or made with what was in them.
extension RestoreFiles {
    func openMessageQueues() throws(EngineError) {
        for inode in contents.inodes where inode.kind == .messageQueue {
            guard let queue = inode.queue.first else { continue }
            let fd = queue.isCarried ? try create(queue, inode) : try find(queue, inode)
            inodes[inode.number] = try EngineError.wrap("keep message queue \(inode.path)") { () throws(LinuxError) in
                try lift(fd, inode.path)
            }
        }
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
                } catch {
                    guard error.errno == .exists, queue.isRemoved, attempt < 100 else { throw error }
                    name = "\(inode.path).crengine-\(attempt)"
                    attempt += 1
                }
            }
            let fd = made ?? -1
            do throws(LinuxError) {
                if queue.isRemoved { try MessageQueues.unlink(name) }
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
