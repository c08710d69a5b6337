internal import CRImage
internal import LinuxKit

/// POSIX message queues.
///
/// A queue with a name lives on in its IPC namespace, messages included, as a file does. One that has lost its name, or
/// whose namespace ends with the tree, travels in the image: then nobody but the frozen tree has it, so its messages are
/// taken out and put back at once.
extension DumpCollector {
    /// - Parameter openAt: A path under `/proc` that leads to the very queue.
    /// - Returns: The number of its inode.
    func messageQueue(
        _ link: String, _ status: FileStatus, openAt: String, process: Int32, object: String
    ) throws(EngineError) -> UInt32 {
        let key = InodeKey(identity: status.identity, path: "")
        if let number = inodes[key] { return number }
        try checkText(link, process)
        let root = tree.processes.first?.subject ?? process
        let space = try? Files.link("/proc/\(root)/ns/ipc")
        guard (try? Files.link("/proc/\(process)/ns/ipc")) == space else {
            throw refuse(process, object, "its process is in another IPC namespace than the root process")
        }
        var queue = MessageQueueValue()
        queue.isRemoved = status.links == 0
        queue.isCarried = queue.isRemoved || space != namespaceBook.engine["ipc"]
        var record = InodeRecord()
        record.kind = .messageQueue
        // Opened by mq_open(3), or as a file wherever the file system of queues is mounted: the name is the last part.
        let path = queue.isRemoved && link.hasSuffix(" (deleted)") ? String(link.dropLast(10)) : link
        record.path = "/" + (path.split(separator: "/").last ?? "")
        try refuseNotification(openAt, queue, process: process, object: object)
        let fd = try EngineError.wrap("open \(object)", task: process) { () throws(LinuxError) in
            try Files.open(openAt, [.readWrite, .nonBlocking])
        }
        defer { Files.close(fd) }
        let attributes = try EngineError.wrap("look at \(object)", task: process) { () throws(LinuxError) in
            try MessageQueues.attributes(of: fd)
        }
        queue.limit = attributes.limit
        queue.messageBytes = attributes.messageBytes
        if queue.isCarried, attributes.count > 0 {
            queue.messages = try EngineError.wrap("read \(object)", task: process) { () throws(LinuxError) in
                let messages = try MessageQueues.drain(fd, attributes)
                for message in messages { try MessageQueues.send(message, to: fd) }
                return messages.map {
                    var value = QueuedMessageValue()
                    (value.priority, value.bytes) = ($0.priority, $0.bytes)
                    return value
                }
            }
        }
        record.number = newNumber()
        record.mode = status.mode
        record.uid = status.uid
        record.gid = status.gid
        record.queue = [queue]
        inodes[key] = record.number
        contents.inodes.append(record)
        return record.number
    }

    /// Who waits for the next message of an empty queue shows, but not the value that the signal would bring; and a queue
    /// that is emptied and filled again would tell them. Others' waiting at a queue that stays is nothing to a dump.
    private func refuseNotification(
        _ path: String, _ queue: MessageQueueValue, process: Int32, object: String
    ) throws(EngineError) {
        let text = try EngineError.wrap("look at \(object)", task: process) { () throws(LinuxError) in
            try Files.text(of: path)
        }
        let words = text.split { $0 == " " || $0 == "\n" }
        guard let word = words.first(where: { $0.hasPrefix("NOTIFY_PID:") }), let who = Int32(word.dropFirst(11)),
            who != 0, queue.isCarried || tree.processes.contains(where: { $0.pid == who })
        else { return }
        throw refuse(
            process, object, "process \(who) waits to be notified of its next message (mq_notify), which is not carried"
        )
    }

    /// Records the queues of the tree's own IPC namespace that nobody has open.
    func collectMessageQueues() throws(EngineError) {
        guard let root = tree.processes.first?.subject,
            (try? Files.link("/proc/\(root)/ns/ipc")) != namespaceBook.engine["ipc"],
            let folder = try EngineError.wrap(
                "list the message queues", task: root,
                { () throws(LinuxError) in
                    try MessageQueues.mount()
                })
        else { return }
        defer { Files.close(folder) }
        let path = Namespaces.reachable("/proc/self/fd/\(folder)")
        let names = try EngineError.wrap("list the message queues", task: root) { () throws(LinuxError) in
            try Files.names(in: path)
        }
        for name in names.sorted() {
            let object = "message queue /\(name)"
            let status = try EngineError.wrap("look at \(object)", task: root) { () throws(LinuxError) in
                try Files.status(of: "\(path)/\(name)")
            }
            _ = try messageQueue("/\(name)", status, openAt: "\(path)/\(name)", process: root, object: object)
        }
    }
}
