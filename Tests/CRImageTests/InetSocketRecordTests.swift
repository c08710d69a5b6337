import CRImage
import Testing

/// A tree with a listening TCP socket, a connection with queues, and an IPv6 datagram socket with a datagram.
private let sockets: ImageContents = {
    var contents = SampleImage.contents
    func add(_ number: UInt32, domain: UInt32, type: UInt32, _ change: (inout InetSocketRecord) -> Void) {
        var socket = SocketRecord()
        socket.number = number
        socket.domain = domain
        socket.type = type
        contents.sockets.append(socket)
        var record = InetSocketRecord()
        record.socket = number
        change(&record)
        contents.inetSockets.append(record)
    }
    add(201, domain: 2, type: 1) {
        $0.state = .listening
        $0.local = address4(80)
        $0.backlog = 5
        $0.options = [InetOptionValue(level: 6, name: 1, value: [1, 0, 0, 0])]
    }
    add(202, domain: 2, type: 1) {
        $0.state = .closeWait
        $0.local = address4(80)
        $0.peer = address4(40)
        $0.stream.sendQueue = [1, 2, 3]
        $0.stream.unsentBytes = 2
        $0.stream.receiveQueue = [4]
        $0.stream.window = [UInt8](repeating: 7, count: 20)
        $0.lock = "crengine-1-a"
    }
    add(203, domain: 10, type: 2) {
        $0.local = [10, 0, 0, 53] + [UInt8](repeating: 0, count: 24)
        var datagram = DatagramValue()
        datagram.address = $0.local
        datagram.bytes = [9]
        $0.datagrams = [datagram]
        var membership = MembershipValue()
        membership.group = [UInt8](repeating: 0xff, count: 16)
        membership.sources = [[UInt8](repeating: 1, count: 16)]
        $0.memberships = [membership]
    }
    return contents
}()

private func address4(_ port: UInt8) -> [UInt8] {
    [2, 0, 0, port, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
}

struct InetSocketRecordTests {
    @Test("Internet sockets are read as they were written")
    func roundTrip() throws {
        try sockets.validate()
        let read = try SampleImage.read(SampleImage.bytes(of: sockets, withPages: false))
        #expect(read.0 == sockets)
    }

    static let cases = [
        ConsistencyCase("an Internet socket that is not described") { $0.inetSockets.removeLast() },
        ConsistencyCase("an Internet socket described twice") { $0.inetSockets.append($0.inetSockets[0]) },
        ConsistencyCase("a description without a socket") { $0.inetSockets[0].socket = 77 },
        ConsistencyCase("an address of another family") { $0.inetSockets[2].local = address4(53) },
        ConsistencyCase("an address that is too short") { $0.inetSockets[0].local = [2, 0, 0, 80] },
        ConsistencyCase("a connection with nobody") { $0.inetSockets[1].peer = [] },
        ConsistencyCase("it listens nowhere") { $0.inetSockets[0].local = [] },
        ConsistencyCase("more unsent than there is") { $0.inetSockets[1].stream.unsentBytes = 4 },
        ConsistencyCase("a window of 19 bytes") { $0.inetSockets[1].stream.window.removeLast() },
        ConsistencyCase("a scale of 15") { $0.inetSockets[1].stream.sendScale = 15 },
        ConsistencyCase("a datagram from nowhere") { $0.inetSockets[2].datagrams[0].address = [] },
        ConsistencyCase("a source of another width") { $0.inetSockets[2].memberships[0].sources = [[1, 2, 3, 4]] },
        ConsistencyCase("a long option") { $0.inetSockets[0].options[0].value = [UInt8](repeating: 0, count: 257) },
    ]

    @Test("contents that do not hold together are refused", arguments: cases)
    func inconsistent(_ c: ConsistencyCase) {
        var contents = sockets
        c.damage(&contents)
        #expect(throws: ImageError.self) { try contents.validate() }
    }
}
