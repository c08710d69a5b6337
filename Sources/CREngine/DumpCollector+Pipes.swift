internal import CRImage
internal import LinuxKit

/// Pipes and FIFOs: who has their ends, and what is in them.
extension DumpCollector {
    /// Notes one end of a pipe and gives the pipe's number.
    func pipe(_ identity: FileIdentity, process: Int32, fd: Int32, flags: UInt32, isNamed: Bool) -> UInt32 {
        var ends: PipeEnds
        if let known = pipes[identity] {
            ends = known
        } else {
            var record = PipeRecord()
            record.number = newNumber()
            ends = PipeEnds(number: record.number, index: contents.pipes.count, any: (process, fd), isNamed: isNamed)
            contents.pipes.append(record)
        }
        if flags & 3 != 1 { ends.reader = (process, fd) }
        if flags & 3 != 0 {
            ends.writer = (process, fd)
            // Packet mode is a property of the writing end.
            if flags & 0o40000 != 0 { ends.isPacket = true }
        }
        pipes[identity] = ends
        return ends.number
    }

    /// Copies the content of every pipe, leaving it where it is.
    func collectPipes() throws(EngineError) {
        for ends in pipes.values {
            try checkInterruption()
            try collectPipe(ends)
        }
    }

    private func collectPipe(_ ends: PipeEnds) throws(EngineError) {
        let (process, fd) = ends.any
        let object = "fd \(fd): pipe"
        let path = "/proc/\(process)/fd/\(fd)"
        // Looked at before the engine opens an end of its own, which would count.
        try checkOtherEnd(ends)
        let content = try EngineError.wrap("copy the content of \(object)", task: process) {
            () throws(LinuxError) -> PipeContent in try PipeContent(of: path, isPacket: ends.isPacket)
        }
        contents.pipes[ends.index].capacityBytes = UInt32(content.capacityBytes)
        contents.pipes[ends.index].content = content.bytes
        contents.pipes[ends.index].packets = ends.isPacket ? content.packets : []
    }

    /// A pipe that leads out of the tree cannot be put together again.
    private func checkOtherEnd(_ ends: PipeEnds) throws(EngineError) {
        guard ends.reader == nil || ends.writer == nil else { return }
        let (process, fd) = ends.any
        let events = try EngineError.wrap("ask for the other end of fd \(fd)", task: process) {
            () throws(LinuxError) -> Int16 in
            let pidfd = try Pidfd.open(process)
            defer { Files.close(pidfd) }
            let copy = try Pidfd.descriptor(pidfd, fd)
            defer { Files.close(copy) }
            return try Files.poll(copy, events: 0)
        }
        // POLLHUP on a reading end: nobody has it open for writing; POLLERR on a writing end: nobody reads.
        let isAlone = ends.writer == nil ? events & 0x10 != 0 : events & 0x8 != 0
        // A FIFO that was opened for reading only and never had a writer reports nothing; it has a name, so that whoever
        // comes later finds it.
        if !isAlone, !ends.isNamed {
            let inode = ((try? Procfs.descriptorLink(process, fd)) ?? "pipe:[INODE]").dropFirst(5)
            throw refuse(
                process, "fd \(fd): pipe",
                "its other end is \(ends.writer == nil ? "written" : "read") outside the tree; declare it: "
                    + "--external 'pipe\(inode):NAME'")
        }
    }
}
