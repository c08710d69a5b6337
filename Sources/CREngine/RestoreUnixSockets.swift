internal import CRImage
internal import LinuxKit

/// Makes the UNIX sockets of the image: in the root's stub, because the kernel remembers who made them.
///
/// ``build()`` connects everything before the other stubs are forked; ``fill(_:)`` queues the messages when all tasks
/// exist, so that each can be sent in the name of its sender.
final class RestoreUnixSockets {
    let contents: ImageContents
    let records: [UInt32: UnixSocketRecord]
    let types: [UInt32: UInt32]
    let root: RestoreStub
    let makers: RestoreMakers
    let names: RestoreUnixNames
    /// Socket number to the descriptor in the root's stub, and later in the engine too.
    private(set) var descriptors: [UInt32: Int32] = [:]
    /// Other ends that are not in the image and end with the restore, by the socket that they are connected to.
    private(set) var ghosts: [UInt32: Int32] = [:]
    /// Who sends the queued datagrams of a socket, by the sender's name.
    var senders: [UInt32: [[UInt8]: Int32]] = [:]
    /// Datagram sockets that connect only when their queue is full again.
    var lateConnections: [UInt32] = []
    var notes: [String] = []
    /// Where to connect sockets whose peers are outside the tree.
    var outside: [UInt32: Externals.Peer] = [:]
    private var nextNumber: Int32
    private var temporary: [Int32] = []

    /// - Parameter firstNumber: From here on all descriptors are free, in the root's stub and in the engine.
    init(
        _ contents: ImageContents, root: RestoreStub, tree: RestoreTree, firstNumber: Int32
    ) throws(EngineError) {
        self.contents = contents
        self.root = root
        records = Dictionary(contents.unixSockets.map { ($0.socket, $0) }, uniquingKeysWith: { first, _ in first })
        types = Dictionary(contents.sockets.map { ($0.number, $0.type) }, uniquingKeysWith: { first, _ in first })
        makers = try RestoreMakers(root: root, tree: tree)
        names = try RestoreUnixNames(root: root)
        nextNumber = firstNumber
    }

    func describe(_ number: UInt32) -> String {
        guard let name = records[number]?.name, !name.isEmpty else { return "UNIX socket \(number)" }
        let text = String(decoding: name.filter { $0 != 0 }, as: UTF8.self)
        return "UNIX socket \(number) (\(name.first == 0 ? "@" : "")\(text))"
    }

    /// Makes, names and connects all of them, and fetches them for the engine.
    ///
    /// - Returns: All descriptors that the engine now has.
    func build() throws(EngineError) -> [Int32] {
        for (number, peer) in outside {
            if case .descriptor(let fd) = peer { descriptors[number] = fd }
        }
        try connectStreams()
        try connectDatagrams()
        for record in contents.unixSockets where record.isPeerOutside { try connectOutside(record) }
        for (key, record) in records {
            if names.places[key] != nil { try names.setOwner(key, record, describe(key)) }
        }
        try makers.end()
        notes += makers.notes
        try names.settle()
        return try EngineError.wrap("fetch the UNIX sockets", task: root.tid) { () throws(LinuxError) in
            let pidfd = try Pidfd.open(root.outer)
            defer { Files.close(pidfd) }
            var fetched: [Int32] = []
            let wanted =
                Array(descriptors.values) + Array(ghosts.values) + senders.values.flatMap { Array($0.values) }
            for fd in Set(wanted) {
                let copy = try Pidfd.descriptor(pidfd, fd)
                defer { Files.close(copy) }
                try Kernel.call(.dup3, Kernel.number(copy), Kernel.number(fd), 0o2000000, on: "fd \(fd)")
                fetched.append(fd)
            }
            return fetched
        }
    }

    // MARK: Descriptors in the root's stub

    /// Moves a new descriptor of the root's stub to the next number that is free everywhere.
    private func place(_ fd: UInt64) throws(EngineError) -> Int32 {
        let number = nextNumber
        nextNumber += 1
        try root.call(.dup3, [fd, UInt64(number), 0o2000000], doing: "place a socket")
        try root.call(.close, [fd], doing: "place a socket")
        return number
    }

    func socket(type: UInt32) throws(EngineError) -> Int32 {
        try place(try root.call(.socket, [1, UInt64(type) | 0o2000000, 0], doing: "make a UNIX socket"))
    }

    /// Makes the socket of a record and binds it to its name.
    func make(_ number: UInt32) throws(EngineError) -> Int32 {
        if let fd = descriptors[number] { return fd }
        let fd = try socket(type: types[number] ?? 1)
        descriptors[number] = fd
        try bind(number)
        return fd
    }

    private func bind(_ number: UInt32) throws(EngineError) {
        guard let record = records[number], let fd = descriptors[number], !record.name.isEmpty else { return }
        try names.bind(fd, to: record.name, target: record.path, key: number, describe(number))
    }

    /// Makes two connected sockets in the name of whom the first one shows.
    func pair(_ first: UInt32, _ second: UInt32?) throws(EngineError) {
        guard let record = records[first] else { return }
        let type = UInt64(types[first] ?? 1)
        let (a, b) = try makers.act(as: record.peerCredentials, groups: record.peerGroups, describe(first)) {
            (stub) throws(EngineError) -> (UInt64, UInt64) in
            let answer = try stub.put(words: [0])
            try stub.call(.socketpair, [1, type | 0o2000000, 0, answer], doing: "make a socket pair")
            let both = try stub.remote.read(at: answer, count: 8)
            return (UInt64(both.half(at: 0)), UInt64(both.half(at: 4)))
        }
        descriptors[first] = try place(a)
        let other = try place(b)
        if let second { descriptors[second] = other } else { ghosts[first] = other }
        try bind(first)
        if let second { try bind(second) }
    }

    // MARK: Streams and sequences of packets

    /// A connection that came about through a listening socket.
    private struct Connection {
        /// 0 for an end that is not in the image any more; the other end then is.
        var client: UInt32
        var server: UInt32
    }

    /// Listening sockets are the same to their clients when type and name are.
    private struct Address: Hashable {
        var type: UInt32
        var name: [UInt8]
    }

    private func address(_ number: UInt32, _ name: [UInt8]? = nil) -> Address {
        Address(type: types[number] ?? 1, name: name ?? records[number]?.name ?? [])
    }

    private func connectStreams() throws(EngineError) {
        var listeners: [Address: UInt32] = [:]
        for record in contents.unixSockets where record.state == .listening {
            listeners[address(record.socket)] = record.socket
        }
        let waiting = Set(contents.unixSockets.flatMap(\.waiting).map { UInt32(truncatingIfNeeded: $0) })
        var connections: [Address: [Connection]] = [:]
        for record in contents.unixSockets {
            let number = record.socket
            guard types[number] != 2, record.state == .connected, !record.isPeerOutside, !waiting.contains(number)
            else { continue }
            if record.peer != 0, record.peer < number { continue }
            let peer = record.peer == 0 ? nil : records[record.peer]
            let (mine, theirs) = (address(number), address(number, peer?.name ?? record.peerName))
            if mine.name.isEmpty, theirs.name.isEmpty {
                try pair(number, peer?.socket)
                continue
            }
            // The end that was accepted has the name of the socket that listened.
            let isServer =
                listeners[mine] != nil
                ? true
                : listeners[theirs] != nil ? false : !mine.name.isEmpty && (theirs.name.isEmpty || !record.path.isEmpty)
            let connection = Connection(
                client: isServer ? peer?.socket ?? 0 : number, server: isServer ? number : peer?.socket ?? 0)
            connections[isServer ? mine : theirs, default: []].append(connection)
        }
        for (address, connections) in connections where listeners[address] == nil {
            try connect(connections, toFormer: address)
        }
        for record in contents.unixSockets where record.state == .listening {
            try listen(record, connections[address(record.socket)] ?? [])
        }
        for record in contents.unixSockets where types[record.socket] != 2 && record.state == .idle {
            _ = try make(record.socket)
        }
    }

    /// Connections whose listening socket is gone: one that does not stay takes its place.
    private func connect(_ connections: [Connection], toFormer address: Address) throws(EngineError) {
        let fd = try socket(type: address.type)
        let path = connections.compactMap { records[$0.server]?.path }.first { !$0.isEmpty } ?? ""
        let key = connections.map(\.server).first { $0 != 0 && records[$0]?.path == path } ?? names.newKey()
        let object = "a former listening socket"
        try names.bind(fd, to: address.name, target: path, key: key, object)
        var last: UnixCredentialsValue?
        for connection in connections {
            let client = records[connection.client]
            let credentials = client?.peerCredentials ?? UnixCredentialsValue()
            if last != credentials || last == nil {
                try listen(fd, 128, as: credentials, client?.peerGroups ?? [], object)
                last = credentials
            }
            try connect(connection, to: fd, key: key, name: address.name)
        }
        try root.call(.close, [UInt64(fd)], doing: "close a former listening socket")
    }

    private func listen(
        _ fd: Int32, _ backlog: Int32, as credentials: UnixCredentialsValue, _ groups: [UInt64], _ object: String
    ) throws(EngineError) {
        try makers.act(as: credentials, groups: groups, object) { (stub) throws(EngineError) in
            _ = try stub.call(.listen, [UInt64(fd), RestoreStub.word(backlog)], doing: "listen on \(object)")
        }
    }

    private func listen(_ record: UnixSocketRecord, _ connections: [Connection]) throws(EngineError) {
        let number = record.socket
        let fd = try make(number)
        var last: UnixCredentialsValue?
        for connection in connections {
            let client = records[connection.client]
            let credentials = client?.peerCredentials ?? record.peerCredentials
            if last != credentials {
                try listen(fd, 128, as: credentials, client?.peerGroups ?? record.peerGroups, describe(number))
                last = credentials
            }
            try connect(connection, to: fd, key: number, name: record.name)
        }
        for entry in record.waiting {
            guard let number = UInt32(exactly: entry), let client = records[number] else { continue }
            let credentials = client.peerCredentials
            if last != credentials {
                try listen(fd, 4096, as: credentials, client.peerGroups, describe(number))
                last = credentials
            }
            // Whoever accepts it will see who called connect(2): the client itself, as far as anybody knows.
            let socket = try make(number)
            let (owner, groups) = owner(of: number)
            try makers.act(as: owner, groups: groups, describe(number)) {
                (stub) throws(EngineError) in
                try names.connect(stub, socket, to: record.socket, name: record.name, describe(number))
            }
        }
        try listen(fd, record.backlog, as: record.peerCredentials, record.peerGroups, describe(number))
    }

    /// The process that has the socket open.
    func owner(of number: UInt32) -> (UnixCredentialsValue, groups: [UInt64]) {
        var credentials = UnixCredentialsValue()
        guard let file = contents.openFiles.first(where: { $0.socket == number }),
            let table = contents.fileTables.first(where: { $0.entries.contains { $0.openFile == file.number } }),
            let process = contents.processes.first(where: { !$0.isZombie && $0.fileTable == table.number }),
            let task = contents.tasks.first(where: { $0.tid == process.pid })
        else { return (credentials, []) }
        credentials.isPresent = true
        credentials.pid = process.pid
        credentials.uid = UInt32(truncatingIfNeeded: task.credentials.users[1])
        credentials.gid = UInt32(truncatingIfNeeded: task.credentials.groups[1])
        return (credentials, task.credentials.supplementaryGroups)
    }

    private func connect(
        _ connection: Connection, to listener: Int32, key: UInt32, name: [UInt8]
    ) throws(EngineError) {
        let server = records[connection.server]
        let client: Int32
        if connection.client != 0 {
            client = try make(connection.client)
        } else {
            client = try socket(type: types[connection.server] ?? 1)
            ghosts[connection.server] = client
            if let peerName = server?.peerName, !peerName.isEmpty {
                try names.bind(client, to: peerName, target: "", key: names.newKey(), describe(connection.server))
            }
        }
        let object = describe(connection.server)
        try makers.act(as: server?.peerCredentials ?? .init(), groups: server?.peerGroups ?? [], object) {
            (stub) throws(EngineError) in try names.connect(stub, client, to: key, name: name, object)
        }
        let accepted = try place(
            try root.call(.accept4, [UInt64(listener), 0, 0, 0o2000000], doing: "accept \(object)"))
        if connection.server != 0 {
            descriptors[connection.server] = accepted
        } else {
            ghosts[connection.client] = accepted
        }
    }

    // MARK: Datagrams

    private func connectDatagrams() throws(EngineError) {
        let datagrams = contents.unixSockets.filter { types[$0.socket] == 2 }
        for record in datagrams
        where record.peerCredentials.isPresent && !record.isPeerOutside && descriptors[record.socket] == nil {
            // Only socketpair(2) gives credentials to datagram sockets.
            let peer = records[record.peer]
            let isPair = peer?.peer == record.socket && peer?.peerCredentials == record.peerCredentials
            try pair(record.socket, isPair && record.peer != record.socket ? record.peer : nil)
        }
        for record in datagrams { _ = try make(record.socket) }
        for record in datagrams {
            guard let ghost = ghosts[record.socket] else { continue }
            if record.state == .idle {
                let none = try root.put([0, 0] + [UInt8](repeating: 0, count: 14))
                let fd = descriptors[record.socket] ?? -1
                try root.call(.connect, [RestoreStub.word(fd), none, 16], doing: "disconnect a socket")
            } else if record.peer == 0, !record.peerName.isEmpty {
                try bindLeftover(ghost, record.peerName, describe(record.socket))
            }
        }
        try connectEarly(datagrams)
        for record in datagrams { try prepareSenders(record) }
    }

    /// Binds a socket that does not stay. An abstract name may be in use by one that does.
    private func bindLeftover(_ fd: Int32, _ name: [UInt8], _ object: String) throws(EngineError) {
        do throws(EngineError) {
            try names.bind(fd, to: name, target: "", key: names.newKey(), object)
        } catch {
            notes.append("the name of a former peer of \(object) is in use, so it shows none")
        }
    }

    private func connectEarly(_ datagrams: [UnixSocketRecord]) throws(EngineError) {
        // Nobody connects to a socket that has another peer already, so those that nobody waits for come first.
        var left: [UnixSocketRecord] = []
        for record in datagrams where record.state == .connected && !record.isPeerOutside {
            let number = record.socket
            if record.peer == 0 {
                if ghosts[number] == nil { try connectToFormer(record) }
                continue
            }
            if let peer = records[record.peer], peer.peer == number, peer.peerCredentials.isPresent,
                record.peerCredentials.isPresent, peer.peerCredentials == record.peerCredentials
            {
                continue
            }
            let fromPeer = record.messages.allSatisfy { $0.sender == records[record.peer]?.name ?? [] }
            let peerIsConnected = records[record.peer]?.peer == number
            if record.messages.isEmpty || fromPeer && peerIsConnected {
                left.append(record)
            } else {
                lateConnections.append(number)
            }
        }
        while !left.isEmpty {
            let targets = Set(left.filter { records[$0.peer]?.peer != $0.socket }.map(\.peer))
            let index = left.firstIndex { !targets.contains($0.socket) } ?? 0
            try connectDatagram(left.remove(at: index).socket)
        }
    }

    /// Connects a datagram socket to its peer, which has a name.
    func connectDatagram(_ number: UInt32) throws(EngineError) {
        guard let record = records[number], let fd = descriptors[number], let peer = records[record.peer] else {
            return
        }
        guard !peer.name.isEmpty else {
            throw .image(describe(number), why: "its peer has no name to connect to")
        }
        try names.connect(root, fd, to: record.peer, name: peer.name, describe(record.peer))
    }

    private func connectToFormer(_ record: UnixSocketRecord) throws(EngineError) {
        guard let fd = descriptors[record.socket] else { return }
        let object = describe(record.socket)
        let ghost = try socket(type: 2)
        ghosts[record.socket] = ghost
        let key = names.newKey()
        do throws(EngineError) {
            try names.bind(ghost, to: record.peerName, target: "", key: key, object)
        } catch {
            notes.append("the former peer of \(object) could not be made, so it is not connected")
            return
        }
        try names.connect(root, fd, to: key, name: record.peerName, object)
    }

    /// Finds or makes somebody who can send the queued datagrams: the kernel shows the sender's name.
    private func prepareSenders(_ record: UnixSocketRecord) throws(EngineError) {
        let number = record.socket
        for name in Set(record.messages.map(\.sender)) {
            let peer = records[record.peer]
            if let peer, peer.peer == number, peer.name == name, !lateConnections.contains(number) {
                senders[number, default: [:]][name] = descriptors[record.peer]
            } else if let ghost = ghosts[number], record.peerCredentials.isPresent || record.state == .connected {
                senders[number, default: [:]][name] = ghost
            } else if record.name.isEmpty {
                throw .image(describe(number), why: "a message waits in it that nobody can have sent")
            } else if name.first == 0, let owner = contents.unixSockets.first(where: { $0.name == name }),
                types[owner.socket] == 2
            {
                senders[number, default: [:]][name] = descriptors[owner.socket]
            } else {
                let sender = try socket(type: 2)
                if !name.isEmpty { try names.bind(sender, to: name, target: "", key: names.newKey(), describe(number)) }
                try names.connect(root, sender, to: number, name: record.name, describe(number))
                senders[number, default: [:]][name] = sender
            }
        }
    }
}
