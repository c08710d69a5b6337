import Testing

@testable import LinuxKit

struct SocketDiagnosticsTests {
    private func attribute(_ type: UInt16, _ words: UInt32...) -> [UInt8] {
        NetlinkMessage.attribute(type, words.flatMap { NetlinkMessage.number($0) })
    }

    @Test("a listening UNIX socket with a file and two who wait")
    func listening() throws {
        let header: [UInt8] = [1, 1, 10, 0] + NetlinkMessage.number(UInt32(77)) + NetlinkMessage.number(UInt64(0))
        let bytes =
            header + attribute(1, 500, 8 << 20 | 3) + attribute(3, 11, 0) + attribute(4, 2, 128)
            + NetlinkMessage.attribute(6, [1])
        let socket = try #require(UnixDiagnostics.parse(bytes))
        #expect(socket.inode == 77 && socket.state == 10)
        #expect(socket.file == FileIdentity(device: 8 << 32 | 3, inode: 500))
        #expect(socket.waiting == [11, 0] && socket.readable == 2 && socket.unread == 128)
        #expect(socket.peer == nil && socket.shutdown == 1)
    }

    static let cuts = [0, 3, 15, 16, 17, 19, 21, 25]

    @Test("an answer that ends early does not trap", arguments: cuts)
    func cut(_ count: Int) {
        let bytes = [UInt8](repeating: 0x41, count: 16) + attribute(2, 5) + attribute(4, 1)
        _ = UnixDiagnostics.parse(Array(bytes.prefix(count)))
        _ = PacketDiagnostics.parse(Array(bytes.prefix(count)))
    }

    @Test("a packet socket with a membership, a ring and a group")
    func packet() {
        let header: [UInt8] =
            [17, 3, 0x00, 0x08] + NetlinkMessage.number(UInt32(78)) + NetlinkMessage.number(UInt64(0))
        let member =
            NetlinkMessage.number(UInt32(2)) + NetlinkMessage.number(UInt32(3)) + [1, 0, 6, 0]
            + [UInt8](repeating: 9, count: 32)
        let bytes =
            header + attribute(0, 4, 1, 0, 0, 0, 0) + NetlinkMessage.attribute(1, member)
            + attribute(2, 4096, 2, 2048, 4, 0, 0, 0) + attribute(3, 0, 0, 0, 0, 0, 0, 0) + attribute(4, 0x1_0007)
        let socket = PacketDiagnostics.parse(bytes)
        #expect(socket.protocolNumber == 0x800 && socket.interface == 4)
        #expect(
            socket.memberships == [.init(interface: 2, count: 3, type: 1, address: [UInt8](repeating: 9, count: 6))])
        #expect(
            socket.receiveRing == [4096, 2, 2048, 4, 0, 0, 0] && socket.sendRing == nil && socket.fanout == 0x10007)
    }

    @Test("bytes that were sent together are found")
    func border() throws {
        let pair = try Sockets.pair()
        defer {
            Files.close(pair.0)
            Files.close(pair.1)
        }
        try SocketCalls.send(pair.0, [1, 2, 3][...])
        try SocketCalls.send(pair.0, [4, 5][...])
        // MSG_PEEK | MSG_DONTWAIT
        #expect(try SocketCalls.border(pair.1, count: 5, flags: 0x42) == 3)
        #expect(try SocketCalls.border(pair.1, count: 3, flags: 0x42) == 0)
    }
}

/// Sockets of the test itself.
enum Sockets {
    static func pair(type: UInt64 = 1) throws -> (Int32, Int32) {
        var pair: (Int32, Int32) = (-1, -1)
        let answer = withUnsafeMutablePointer(to: &pair) {
            Kernel.attempt(.socketpair, 1, type, 0, Kernel.number(UnsafeRawPointer($0)))
        }
        #expect(answer == 0)
        return pair
    }
}
