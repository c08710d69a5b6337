import LinuxKit
import Testing

@testable import CREngine

/// Looking into the queues of UNIX sockets leaves them as they are.
struct UnixQueueTests {
    private func pair(_ type: UInt64) throws -> (Int32, Int32) {
        var pair: (Int32, Int32) = (-1, -1)
        let answer = withUnsafeMutablePointer(to: &pair) {
            Kernel.attempt(.socketpair, 1, type, 0, Kernel.number(UnsafeRawPointer($0)))
        }
        try #require(answer == 0)
        return pair
    }

    private func rights(_ files: [Int32]) -> [UInt8] {
        var bytes = [UInt64(16 + files.count * 4), 1 | 1 << 32].littleEndianBytes
        for file in files { bytes += [UInt64(UInt32(bitPattern: file))].littleEndianBytes[..<4] }
        while bytes.count % 8 != 0 { bytes.append(0) }
        return bytes
    }

    private func close(_ pair: (Int32, Int32), _ messages: [UnixQueue.Message]) {
        for fd in [pair.0, pair.1] + messages.flatMap(\.files) { Files.close(fd) }
    }

    @Test("bytes of a stream, and where descriptors start", arguments: [0, 1, 5, 3000])
    func stream(_ before: Int) throws {
        let ends = try pair(1)
        let plain = [UInt8](repeating: 7, count: before)
        if before > 0 { try SocketCalls.send(ends.0, plain[...]) }
        _ = try SocketCalls.sendMessage(ends.0, [1, 2, 3], control: rights([ends.0, ends.1]))
        try SocketCalls.send(ends.0, [9][...])
        try SocketCalls.setNumber(ends.1, 1, 42, 2)
        for _ in 0..<2 {
            let messages = try UnixQueue.peek(ends.1, type: 1, readable: UInt32(before + 4))
            #expect(messages.map(\.bytes) == (before > 0 ? [plain] : []) + [[1, 2, 3], [9]])
            #expect(messages.map(\.files.count) == (before > 0 ? [0] : []) + [2, 0])
            #expect(messages.allSatisfy { !$0.hasCredentials })
            for file in messages.flatMap(\.files) { Files.close(file) }
        }
        #expect(try SocketCalls.number(ends.1, 1, 42) == 2)
        #expect(try SocketCalls.number(ends.1, 1, 16) == 0)
        #expect(try SocketCalls.receive(ends.1, capacity: before + 3, flags: 0x40).count == before + 3)
        close(ends, [])
    }

    @Test("borders of messages, empty ones too", arguments: [2, 5] as [UInt64])
    func records(_ type: UInt64) throws {
        let ends = try pair(type)
        let long = [UInt8](repeating: 1, count: 100_000)
        for message in [[], [5], [], long, []] { try SocketCalls.send(ends.0, message[...]) }
        let readable = type == 2 ? 0 : UInt32(long.count + 1)
        let messages = try UnixQueue.peek(ends.1, type: UInt32(type), readable: readable)
        #expect(messages.map(\.bytes) == [[], [5], [], long, []])
        // Whoever has looked at empty messages does not see them again, but notices.
        #expect(throws: LinuxError.self) { try UnixQueue.peek(ends.1, type: UInt32(type), readable: readable) }
        for message in [[], [5], [], long, []] {
            #expect(try SocketCalls.receive(ends.1, capacity: 200_000, flags: 0x40) == message)
        }
        close(ends, messages)
    }

    @Test("the end of a connection is no message")
    func end() throws {
        let ends = try pair(5)
        try SocketCalls.send(ends.0, [UInt8]()[...])
        Files.close(ends.0)
        let messages = try UnixQueue.peek(ends.1, type: 5, readable: 0)
        #expect(messages.count == 1)
        Files.close(ends.1)
    }

    @Test("credentials of a sender")
    func credentials() throws {
        let ends = try pair(2)
        try SocketCalls.setNumber(ends.0, 1, 16, 1)
        try SocketCalls.send(ends.0, [1][...])
        let messages = try UnixQueue.peek(ends.1, type: 2, readable: 1)
        #expect(messages.first?.pid == Int32(Kernel.attempt(.getpid)))
        #expect(try SocketCalls.number(ends.1, 1, 16) == 0)
        close(ends, messages)
    }
}
