import Foundation
import Testing

extension EngineTests {
    /// `crengine` as a command: streams, exit codes, what a wrong image does.
    @Suite("the engine's command line", EngineLab.trait)
    struct CommandTests {
        static func counter() throws -> Workload {
            try Workload(folder: EngineLab.workloadFolder + "/counter")
        }

        @Test("a dump with --leave-running lets the workload run on, and its PIDs are in use")
        func leaveRunning() throws {
            let running = try RunningWorkload(Self.counter())
            defer { running.finish() }
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image, "--leave-running"])
            #expect(dump.code == 0, "\(Engine.words(dump))")
            try running.advance(2)
            let restore = try Engine.run(["restore", "-i", running.image, "--detach"])
            #expect(restore.code == 75, "\(Engine.words(restore))")
            try running.advance()
            try running.verify()
        }

        @Test("through a pipe from dump to restore")
        func throughPipe() throws {
            let running = try RunningWorkload(Self.counter())
            defer { running.finish() }
            // `cat` in the middle: nothing can be sought, and reads come in pieces.
            let dump = try Command.run(
                ["/bin/sh", "-c", "\(EngineLab.engine) dump --pid \(running.pid) -o - | cat > \(running.image)"],
                directory: "/")
            try #require(
                dump.code == 0 && FileManager.default.fileExists(atPath: running.image), "\(Engine.words(dump))")
            try EngineTests.RoundTripTests.awaitEnd(of: [running.pid])
            let restore = try Command.run(
                ["/bin/sh", "-c", "cat \(running.image) | \(EngineLab.engine) restore -i - --detach"],
                directory: "/")
            try #require(restore.code == 0, "\(Engine.words(restore))")
            try running.advance(2)
            try running.verify()
        }

        @Test("without --detach restore ends as the workload ends")
        func waits() throws {
            let running = try RunningWorkload(Self.counter())
            defer { running.finish() }
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            try #require(dump.code == 0, "\(Engine.words(dump))")
            try EngineTests.RoundTripTests.awaitEnd(of: [running.pid])
            try Data().write(to: URL(filePath: running.directory + "/verify"))
            let restore = try Engine.run(["restore", "-i", running.image])
            #expect(restore.code == 0, "\(Engine.words(restore))")
            #expect(running.events.last == "verified")
        }

        @Test("into a new PID namespace, whatever PIDs are in use outside")
        func newNamespace() throws {
            let running = try RunningWorkload(Self.counter())
            defer { running.finish() }
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            try #require(dump.code == 0, "\(Engine.words(dump))")
            try EngineTests.RoundTripTests.awaitEnd(of: [running.pid])
            try Data().write(to: URL(filePath: running.directory + "/verify"))
            let restore = try Engine.run(["restore", "-i", running.image, "--new-pid-namespace"])
            #expect(restore.code == 0, "\(Engine.words(restore))")
            #expect(running.events.last == "verified")
        }

        @Test("a damaged or cut image creates nothing and exits 66")
        func wrongImages() throws {
            let running = try RunningWorkload(Self.counter())
            defer { running.finish() }
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            try #require(dump.code == 0, "\(Engine.words(dump))")
            try EngineTests.RoundTripTests.awaitEnd(of: [running.pid])
            let whole = try Data(contentsOf: URL(filePath: running.image))
            let broken = running.image + ".broken"
            var variants: [(name: String, bytes: Data)] = [0, 1, 7, 100, whole.count / 2, whole.count - 1].map {
                ("cut after \($0) bytes", whole.prefix($0))
            }
            for position in [0, 9, 200, whole.count / 3, whole.count * 2 / 3, whole.count - 3] {
                var damaged = whole
                damaged[position] ^= 0x40
                variants.append(("byte \(position) damaged", damaged))
            }
            variants.append(("bytes after the end", whole + Data([1, 2, 3])))
            for variant in variants {
                try variant.bytes.write(to: URL(filePath: broken))
                for words in [["check", "-i", broken], ["restore", "-i", broken, "--detach"]] {
                    let answer = try Engine.run(words)
                    #expect(answer.code == 66, "\(words[0]), \(variant.name): \(Engine.words(answer))")
                }
                #expect(!ProcessTree.exists(running.pid), "\(variant.name): a task was created")
            }
            let answer = try Engine.run(["check", "-i", running.image])
            #expect(answer.code == 0, "\(Engine.words(answer))")
            let restore = try EngineTests.RoundTripTests.restore(running)
            try #require(restore.code == 0, "\(Engine.words(restore))")
            try running.verify()
        }

        @Test(
            "damage anywhere in a large image is seen before anything is created",
            .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "needs python3"))
        func damageInTheMiddle() throws {
            let folder = EngineLab.temporary("large")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let program =
                "import os, signal; pages = os.urandom(40 << 20); os.write(1, b'ready'); signal.pause()"
            try Subreaper.begin()
            let pid = try Command.spawn(
                ["/usr/bin/python3", "-c", program], environment: [], directory: folder,
                stdout: folder + "/out", stderr: folder + "/err", newSession: true)
            defer {
                kill(pid, SIGKILL)
                _ = Command.end(of: pid, seconds: 10)
            }
            let deadline = Date(timeIntervalSinceNow: 30)
            while (try? Data(contentsOf: URL(filePath: folder + "/out")))?.isEmpty ?? true {
                try #require(Date() < deadline, "python3 does not get ready")
                usleep(2000)
            }
            let image = folder + "/image"
            let dump = try Engine.run(["dump", "--pid", "\(pid)", "-o", image])
            try #require(dump.code == 0, "\(Engine.words(dump))")
            try EngineTests.RoundTripTests.awaitEnd(of: [pid])
            let file = try FileHandle(forUpdating: URL(filePath: image))
            let size = try file.seekToEnd()
            try #require(size > 40 << 20)
            for part in [0.1, 0.4, 0.5, 0.75, 0.99] {
                let place = UInt64(Double(size) * part)
                func flip() throws {
                    try file.seek(toOffset: place)
                    let byte = try #require(try file.read(upToCount: 1)?.first)
                    try file.seek(toOffset: place)
                    try file.write(contentsOf: Data([byte ^ 1]))
                }
                try flip()
                let answer = try Engine.run(["restore", "-i", image, "--detach"])
                #expect(answer.code == 66, "byte \(place): \(Engine.words(answer))")
                #expect(!ProcessTree.exists(pid), "byte \(place): a task was created")
                try flip()
            }
            let restore = try Engine.run(["restore", "-i", image, "--detach"])
            #expect(restore.code == 0, "\(Engine.words(restore))")
            #expect(ProcessTree.exists(pid))
        }

        @Test("a failed dump removes nothing that it did not make")
        func keepsWhatWasThere() throws {
            // Our own copy of /dev/null: root that unlinks the real one takes it from the whole machine.
            let device = EngineLab.temporary("device")
            defer { try? FileManager.default.removeItem(atPath: device) }
            let made = try Command.run(["/bin/mknod", device, "c", "1", "3"], directory: "/")
            try #require(made.code == 0, "mknod: \(made.stderr)")
            let file = EngineLab.temporary("file")
            defer { try? FileManager.default.removeItem(atPath: file) }
            try Data("precious".utf8).write(to: URL(filePath: file))
            for path in [device, file] {
                let answer = try Engine.run(["dump", "--pid", "4000000", "-o", path])
                #expect(answer.code == 70, "\(Engine.words(answer))")
                #expect(FileManager.default.fileExists(atPath: path), "\(path) was removed")
            }
        }

        @Test("help and manual page name every command and option")
        func manual() throws {
            let commands = ["dump", "restore", "check", "inspect", "run", "manual"]
            let page = try Command.run([EngineLab.engine, "manual"], directory: "/").stdout
            let help = try Command.run([EngineLab.engine, "--help"], directory: "/").stdout
            for command in commands {
                #expect(help.contains("  \(command) "), "--help does not name \(command)")
                let own = try Command.run([EngineLab.engine, command, "--help"], directory: "/")
                #expect(own.code == 0)
                let options = own.stdout.split(separator: "\n").filter { $0.hasPrefix("  -") }
                for option in options {
                    let name = option.split(separator: " ")[0].filter { $0 != "," }
                    #expect(page.contains(name.replacingOccurrences(of: "-", with: "\\-")), "no \(name) in the manual")
                }
            }
        }

        @Test("without an image, check says what this kernel gives")
        func kernel() throws {
            let answer = try Engine.run(["check", "--format", "json"])
            #expect(answer.code == 0, "\(Engine.words(answer))")
            #expect((answer.json?["features"]?.elements ?? []).count > 10)
        }

        @Test("no such process, no such image, no such word")
        func usage() throws {
            let output = EngineLab.temporary("output")
            defer { try? FileManager.default.removeItem(atPath: output) }
            #expect(try Engine.run(["dump", "--pid", "4000000", "-o", output]).code == 70)
            #expect(try Engine.run(["restore", "-i", "/nonexistent/image"]).code == 66)
            #expect(try Engine.run(["dump"]).code == 64)
            #expect(try Engine.run(["undump"]).code == 64)
            for word in ["--version", "--help"] {
                let answer = try Command.run([EngineLab.engine, word], directory: "/")
                #expect(answer.code == 0 && !answer.stdout.isEmpty, "\(word): \(Engine.words(answer))")
            }
        }
    }
}
