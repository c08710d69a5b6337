import CRImage
import Testing

/// A tree with a listening UNIX socket, somebody who waits, a pair with a message, a netlink and a packet socket.
private let sockets: ImageContents = {
    var contents = SampleImage.contents
    func add(_ number: UInt32, domain: UInt32, type: UInt32) {
        var socket = SocketRecord()
        socket.number = number
        socket.domain = domain
        socket.type = type
        socket.options.values = [SocketOptionValue(name: 7, value: [0, 64, 0, 0])]
        contents.sockets.append(socket)
    }
    func unix(_ number: UInt32, _ state: UnixSocketState, peer: UInt32 = 0) {
        var socket = UnixSocketRecord()
        socket.socket = number
        socket.state = state
        socket.peer = peer
        contents.unixSockets.append(socket)
    }
    for number in UInt32(201)...204 { add(number, domain: 1, type: 1) }
    unix(201, .listening)
    contents.unixSockets[0].name = Array("/run/x\0".utf8)
    contents.unixSockets[0].path = "/run/x"
    contents.unixSockets[0].waiting = [202]
    unix(202, .connected)
    unix(203, .connected, peer: 204)
    unix(204, .connected, peer: 203)
    var message = UnixMessageValue()
    message.bytes = [1, 2]
    message.files = [20]
    contents.unixSockets[3].messages = [message]
    add(205, domain: 16, type: 3)
    var netlink = NetlinkSocketRecord()
    netlink.socket = 205
    netlink.groups = [1, 40]
    contents.netlinkSockets = [netlink]
    add(206, domain: 17, type: 3)
    var packet = PacketSocketRecord()
    packet.socket = 206
    packet.memberships = [PacketMembershipValue()]
    contents.packetSockets = [packet]
    var ring = InodeRecord()
    ring.number = 207
    ring.kind = .packetRing
    ring.device = 206
    contents.inodes.append(ring)
    var file = OpenFileRecord()
    file.number = 208
    file.kind = .socket
    file.socket = 201
    contents.openFiles.append(file)
    return contents
}()

struct SocketRecordTests {
    @Test("sockets are read as they were written")
    func roundTrip() throws {
        try sockets.validate()
        let read = try SampleImage.read(SampleImage.bytes(of: sockets, withPages: false))
        #expect(read.0 == sockets)
    }

    static let cases = [
        ConsistencyCase("open file of a missing socket") { $0.openFiles[3].socket = 77 },
        ConsistencyCase("two open files of one socket") {
            $0.openFiles.append($0.openFiles[3])
            $0.openFiles[4].number = 300
        },
        ConsistencyCase("a UNIX socket that is not described") { $0.unixSockets.removeLast() },
        ConsistencyCase("a UNIX socket described twice") { $0.unixSockets.append($0.unixSockets[0]) },
        ConsistencyCase("a peer of another family") { $0.unixSockets[2].peer = 205 },
        ConsistencyCase("a peer that has another one") { $0.unixSockets[2].peer = 202 },
        ConsistencyCase("its own peer") { $0.unixSockets[2].peer = 203 },
        ConsistencyCase("a name of 109 bytes") { $0.unixSockets[0].name = [UInt8](repeating: 1, count: 109) },
        ConsistencyCase("a relative path") { $0.unixSockets[0].path = "run/x" },
        ConsistencyCase("a path of an abstract name") { $0.unixSockets[0].name[0] = 0 },
        ConsistencyCase("somebody waits twice") { $0.unixSockets[0].waiting = [202, 202] },
        ConsistencyCase("somebody waits who is connected") { $0.unixSockets[0].waiting = [203] },
        ConsistencyCase("somebody waits who is missing") { $0.unixSockets[0].waiting = [1 << 40] },
        ConsistencyCase("nobody listens") { $0.unixSockets[0].state = .idle },
        ConsistencyCase("a missing file on its way") { $0.unixSockets[3].messages[0].files = [77] },
        ConsistencyCase("254 files in one message") {
            $0.unixSockets[3].messages[0].files = [UInt64](repeating: 20, count: 254)
        },
        ConsistencyCase("a filter of half an instruction") { $0.sockets[0].options.filter = [1, 2, 3, 4] },
        ConsistencyCase("an option of 17 bytes") {
            $0.sockets[0].options.values[0].value = [UInt8](repeating: 0, count: 17)
        },
        ConsistencyCase("a netlink socket of another family") { $0.netlinkSockets[0].socket = 206 },
        ConsistencyCase("a packet socket that is not described") { $0.packetSockets = [] },
        ConsistencyCase("an address of 33 bytes") {
            $0.packetSockets[0].memberships[0].address = [UInt8](repeating: 0, count: 33)
        },
        ConsistencyCase("rings of a socket without rings") { $0.inodes[$0.inodes.count - 1].device = 205 },
    ]

    @Test("sockets that contradict each other are refused", arguments: cases)
    func contradiction(_ c: ConsistencyCase) throws {
        var contents = sockets
        c.damage(&contents)
        #expect(throws: ImageError.self) { try contents.validate() }
    }
}
