import CRModel
import Foundation
import LinuxKit
import Testing

extension EngineTests {
    /// Connections whose other end lies outside the tree outlive whatever happens to the engine.
    @Suite("connections to peers outside", EngineLab.trait)
    struct ConnectionTests {
        static let hasTracer = FileManager.default.isExecutableFile(atPath: FaultTests.tracer)

        /// A workload with a client that never stops writing.
        private static func start() throws -> RunningWorkload {
            let running = try RunningWorkload(Workload(folder: EngineLab.workloadFolder + "/tcp-stream"))
            do {
                try running.startWitness()
            } catch {
                running.finish()
                throw error
            }
            return running
        }

        /// An engine that is killed when it has made a call so many times.
        private static func run(_ words: [String], killedAt call: String, _ number: Int) throws -> Command.Answer {
            try Command.run(
                [
                    FaultTests.tracer, "-o", "/dev/null", "-e", "inject=\(call):signal=KILL:when=\(number)",
                    EngineLab.engine,
                ] + words,
                environment: ["PATH=/usr/bin:/bin"], directory: "/", seconds: 60)
        }

        @Test("the engine is killed while it reads them", .enabled(if: hasTracer))
        func dump() throws {
            let running = try Self.start()
            defer { running.finish() }
            var number = 1
            while true {
                let words = ["dump", "--leave-running", "--pid", "\(running.pid)", "-o", running.image]
                let answer = try Self.run(words, killedAt: "setsockopt", number)
                try running.advanceWitness()
                if answer.code == 0 { break }
                number += 5
                try #require(number < 500)
            }
            #expect(number > 20)
            try running.endWitness()
            try running.verify()
        }

        @Test("the engine is killed while it brings them to life", .enabled(if: hasTracer))
        func restore() throws {
            let running = try Self.start()
            defer { running.finish() }
            let log = running.directory + "/calls"
            func dump() throws {
                let tree = running.processes()
                let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
                try #require(dump.code == 0, "dump: \(Engine.words(dump))")
                try RoundTripTests.awaitEnd(of: tree)
            }
            try dump()
            let words = ["restore", "-i", running.image, "--detach"]
            let whole = try Command.run(
                [FaultTests.tracer, "-o", log, "-e", "trace=setsockopt", EngineLab.engine] + words, directory: "/")
            try #require(whole.code == 0, "\(Engine.words(whole))")
            let count = try String(contentsOfFile: log, encoding: .utf8).matches(of: /setsockopt\(/).count
            try #require(count > 40)
            // The last ones are those that a peer can notice.
            for number in [1, count / 2] + Array(stride(from: count - 24, through: count, by: 3)) {
                try running.advanceWitness()
                try dump()
                let answer = try Self.run(words, killedAt: "setsockopt", number)
                // How many calls there are depends on what waits in the queues.
                if answer.code == 0 { continue }
                let isGone = (try? wait("its end", seconds: 1) { !ProcessTree.exists(running.pid) }) != nil
                if isGone {
                    let again = try RoundTripTests.restore(running)
                    try #require(again.code == 0, "restore after call \(number): \(Engine.words(again))")
                }
            }
            try running.advanceWitness()
            try running.endWitness()
            try running.verify()
        }

        private static let server = """
            import socket, time
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            open("port", "w").write(str(listener.getsockname()[1]) + "\\n")
            connection = listener.accept()[0]
            listener.close()
            while True:
                connection.send(b"x")
                time.sleep(0.003)
            """

        /// What comes after a connection was read, the image knows nothing of: numbers and times that a restored connection
        /// would not reach before long.
        @Test(
            "nothing is sent after they were read",
            .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")))
        func silence() throws {
            let folder = EngineLab.temporary("silence")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let server = try Command.spawn(
                ["/usr/bin/python3", "-c", Self.server], environment: [], directory: folder, stdout: "/dev/null",
                stderr: "/dev/null", newSession: true)
            defer { try? Signals.send(Signals.kill, to: server) }
            var port: UInt16 = 0
            try wait("its port", seconds: 20) {
                let text = (try? String(contentsOfFile: folder + "/port", encoding: .utf8)) ?? ""
                port = text.hasSuffix("\n") ? UInt16(text.dropLast()) ?? 0 : 0
                return port != 0
            }
            let client = try SocketCalls.create(family: 2, type: 1, protocol: 6)
            defer { Files.close(client) }
            // struct sockaddr_in
            try SocketCalls.connect(
                client, [2, 0, UInt8(port >> 8), UInt8(port & 255), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8))
            /// tcpi_segs_in
            func segments() throws -> [UInt8] { Array(try SocketCalls.option(client, 6, 11, capacity: 256)[140..<144]) }
            let first = try segments()
            try wait("its first answers", seconds: 20) { try segments() != first }

            let image = folder + "/image"
            let dump = try Command.spawn(
                [EngineLab.engine, "dump", "--pid", "\(server)", "-o", image],
                environment: ["CRENGINE_FAULT=dump-collected:stop"], directory: "/", stdout: "/dev/null",
                stderr: "/dev/null")
            try wait("the engine to stand", seconds: 20) { ProcessTree.states(dump).first?.state == "T" }
            let before = try segments()
            // Longer than what makes TCP send again.
            #expect(throws: Failure.self) { try wait("a segment", seconds: 1.5) { try segments() != before } }
            try Signals.send(Signals.cont, to: dump)
            #expect(Command.end(of: dump, seconds: 30) == 0)
            try RoundTripTests.awaitEnd(of: [server])

            let restore = try Engine.run(["restore", "-i", image, "--detach"])
            try #require(restore.code == 0, "\(Engine.words(restore))")
            try wait("an answer", seconds: 5) { try segments() != before }
        }
    }
}
