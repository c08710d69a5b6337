extension ImageContents {
    /// Sockets and the open files that lead to them.
    func socketsFit() throws(ImageError) {
        let numbers = Set(sockets.map(\.number))
        var seen: Set<UInt32> = []
        for file in openFiles where file.kind == .socket || file.socket != 0 {
            guard file.kind == .socket, numbers.contains(file.socket), seen.insert(file.socket).inserted else {
                throw .inconsistent(
                    record: "open file \(file.number)", why: "its socket is not there, or belongs to another file too")
            }
        }
        for socket in sockets {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "socket \(socket.number)", why: why) }
            guard socket.type <= 10 else { throw fail("type \(socket.type) is none") }
            guard socket.options.filter.count % 8 == 0, socket.options.filter.count <= 4096 * 8 else {
                throw fail("its filter has \(socket.options.filter.count) bytes")
            }
            for option in socket.options.values where option.value.count > 16 {
                throw fail("option \(option.name) has \(option.value.count) bytes")
            }
        }
        try unixSocketsFit()
        let families = Dictionary(sockets.map { ($0.number, $0.domain) }, uniquingKeysWith: { first, _ in first })
        var described: Set<UInt32> = []
        for (number, domain) in netlinkSockets.map({ ($0.socket, UInt32(16)) }) + packetSockets.map({ ($0.socket, 17) })
        {
            guard families[number] == domain, described.insert(number).inserted else {
                throw .inconsistent(record: "socket \(number)", why: "it is described twice, or of another family")
            }
        }
        for socket in sockets where (socket.domain == 16 || socket.domain == 17) && !described.contains(socket.number) {
            throw .inconsistent(record: "socket \(socket.number)", why: "it is not described")
        }
        for inode in inodes where inode.kind == .packetRing {
            guard let number = UInt32(exactly: inode.device), families[number] == 17 else {
                throw .inconsistent(record: "inode \(inode.number)", why: "its socket is not there, or has no rings")
            }
        }
        for membership in packetSockets.flatMap(\.memberships) where membership.address.count > 32 {
            throw .inconsistent(record: "packet socket", why: "an address has \(membership.address.count) bytes")
        }
    }

    private func unixSocketsFit() throws(ImageError) {
        let records = Dictionary(
            sockets.filter { $0.domain == 1 }.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        let files = Set(openFiles.map(\.number))
        var seen: [UInt32: UnixSocketRecord] = [:]
        var waiting: Set<UInt64> = []
        for socket in unixSockets {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "UNIX socket \(socket.socket)", why: why) }
            guard let record = records[socket.socket], seen.updateValue(socket, forKey: socket.socket) == nil,
                record.type == 1 || record.type == 2 || record.type == 5
            else { throw fail("its socket is not there, is described twice or is of no type that UNIX sockets have") }
            let names = [socket.name, socket.peerName] + socket.messages.map(\.sender)
            for name in names where name.count > 108 { throw fail("a name has \(name.count) bytes") }
            guard socket.path.isEmpty || socket.path.utf8.first == UInt8(ascii: "/") && socket.isPathName else {
                throw fail("the path of its name is not absolute")
            }
            guard socket.peer == 0 || records[socket.peer]?.type == record.type,
                socket.peer != socket.socket || record.type == 2
            else { throw fail("its peer is not there or of another type") }
            guard socket.state == .listening || socket.waiting.isEmpty, record.type != 2 || socket.state != .listening
            else { throw fail("connections wait where nobody listens") }
            guard !socket.isPeerOutside || socket.state == .connected && socket.peer == 0,
                !socket.isPeerOutside || socket.messages.isEmpty || record.type == 2 && !socket.name.isEmpty
            else {
                throw fail("it is connected to the outside and to the inside, or holds what only the outside can send")
            }
            for message in socket.messages {
                guard message.files.count <= 253,
                    message.files.allSatisfy({ UInt32(exactly: $0).map { files.contains($0) } ?? false })
                else { throw fail("a message carries an open file that the image does not hold") }
            }
            for number in socket.waiting {
                guard waiting.insert(number).inserted, let client = UInt32(exactly: number),
                    records[client]?.type == record.type, client != socket.socket
                else { throw fail("what waits to be accepted is not there, or waits twice") }
            }
        }
        for socket in unixSockets {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "UNIX socket \(socket.socket)", why: why) }
            guard socket.peer == 0 || records[socket.socket]?.type == 2 || seen[socket.peer]?.peer == socket.socket
            else {
                throw fail("its peer has another peer")
            }
            if waiting.contains(UInt64(socket.socket)), socket.state != .connected || socket.peer != 0 {
                throw fail("it waits to be accepted, and is connected")
            }
        }
        guard seen.count == records.count else {
            throw .inconsistent(record: "sockets", why: "a UNIX socket is not described")
        }
    }
}
