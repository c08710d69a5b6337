internal import CRImage
internal import LinuxKit

/// What UNIX sockets get when all tasks exist: messages, late connections, what was shut down.
extension RestoreUnixSockets {
    /// - Parameters:
    ///   - outer: PID of the image to the PID that the engine sees.
    /// - Precondition: The engine has all sockets and all open files of the image; no task runs.
    func fill(_ openFiles: [UInt32: Int32], outer: (Int32) -> Int32) throws(EngineError) {
        for record in contents.unixSockets where !record.messages.isEmpty {
            guard let fd = descriptors[record.socket] else { continue }
            try fill(record, fd, openFiles, outer)
        }
        if !lateConnections.isEmpty {
            // The stub may have entered its own folder by now.
            let here = try root.call(
                .openat, [RestoreStub.word(-100), try root.put(text: "."), 0o12200000], doing: "open a folder")
            for number in lateConnections { try connectDatagram(number) }
            try root.call(.fchdir, [here], doing: "go back to a folder")
            try root.call(.close, [here], doing: "go back to a folder")
        }
        names.clean()
        for record in contents.unixSockets {
            guard let fd = descriptors[record.socket] else { continue }
            try EngineError.wrap("shut down \(describe(record.socket))") { () throws(LinuxError) in
                // The other end goes away with this byte unread.
                if record.isReset, ghosts[record.socket] != nil { _ = try SocketCalls.send(fd, [0][...]) }
                if record.shutdown & 3 != 0 { try SocketCalls.shutdown(fd, Int32(record.shutdown & 3) - 1) }
            }
        }
    }

    private func fill(
        _ record: UnixSocketRecord, _ fd: Int32, _ openFiles: [UInt32: Int32], _ outer: (Int32) -> Int32
    ) throws(EngineError) {
        let number = record.socket
        let isDatagram = types[number] == 2
        let bytes = record.messages.reduce(0) { $0 + $1.bytes.count + 4096 }
        for message in record.messages {
            let sender = isDatagram ? senders[number]?[message.sender] : descriptors[record.peer] ?? ghosts[number]
            guard let sender else { throw .image(describe(number), why: "nobody can send what waits in it") }
            // SO_SNDBUFFORCE: the options of the sender come later.
            try? SocketCalls.setNumber(sender, 1, 32, Int32(min(bytes * 2 + 65536, 1 << 30)))
            var control: [UInt8] = []
            let files = message.files.compactMap { openFiles[UInt32(truncatingIfNeeded: $0)] }
            guard files.count == message.files.count else {
                throw .image(describe(number), why: "an open file that travels through it is not there")
            }
            if !files.isEmpty { control += Self.control(type: 1, files.map { UInt32(bitPattern: $0) }) }
            let who = message.credentials
            var rights = control
            if who.isPresent {
                control += Self.control(type: 2, [UInt32(bitPattern: outer(who.pid)), who.uid, who.gid])
            }
            // Not connected to the receiver when it is a socket of the image that has the sender's name.
            let address =
                isDatagram && (try? SocketCalls.peerAddress(sender)) == .some(nil) ? address(of: record) : []
            do throws(LinuxError) {
                do throws(LinuxError) {
                    try send(message, sender, control, address)
                } catch {
                    // ESRCH: the process that sent it has ended, and its PID cannot be named any more.
                    guard who.isPresent, error.errno == .noProcess || error.errno == .notPermitted else { throw error }
                    rights += Self.control(
                        type: 2, [UInt32(bitPattern: outer(contents.header.root)), who.uid, who.gid])
                    try send(message, sender, rights, address)
                    notes.append("a message in \(describe(number)) shows another sender than process \(who.pid)")
                }
            } catch {
                throw .system(error, task: nil, doing: "queue a message in \(describe(number))")
            }
        }
    }

    private func address(of record: UnixSocketRecord) -> [UInt8] {
        guard let place = names.places[record.socket] else { return RestoreUnixNames.address(record.name) }
        return RestoreUnixNames.address(Array(place.path.utf8) + [0])
    }

    private func send(
        _ message: UnixMessageValue, _ fd: Int32, _ control: [UInt8], _ address: [UInt8]
    ) throws(LinuxError) {
        // MSG_DONTWAIT | MSG_NOSIGNAL
        let sent = try SocketCalls.sendMessage(fd, message.bytes, control: control, to: address, flags: 0x4040)
        guard sent == message.bytes.count else { throw .call("sendmsg", object: "fd \(fd)", .noSpace) }
    }

    /// `struct cmsghdr` of level SOL_SOCKET with 32-bit values.
    private static func control(type: UInt32, _ values: [UInt32]) -> [UInt8] {
        var bytes = [UInt64(16 + values.count * 4), 1 | UInt64(type) << 32].littleEndianBytes
        for value in values { bytes += [UInt64(value)].littleEndianBytes[..<4] }
        while bytes.count % 8 != 0 { bytes.append(0) }
        return bytes
    }
}
