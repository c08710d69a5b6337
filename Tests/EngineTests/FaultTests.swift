import CRModel
import Foundation
import Testing

extension EngineTests {
    /// An engine that is killed leaves a workload untouched or restorable, never half.
    @Suite("the engine is killed at every fault point", EngineLab.trait)
    struct FaultTests {
        static let workloads = Workload.carried.filter { ["counter", "memory", "threads"].contains($0.name) }
        static let dumpPoints = [
            "dump-frozen", "dump-collected", "dump-metadata", "dump-written", "dump-committed", "dump-ending",
        ]
        static let restorePoints = [
            "restore-read", "restore-files", "restore-tasks", "restore-pages", "restore-descriptors", "restore-state",
            "restore-armed", "restore-awake", "restore-released",
        ]

        @Test("while it dumps", arguments: workloads, dumpPoints)
        func dump(_ workload: Workload, _ point: String) throws {
            let running = try RunningWorkload(workload)
            defer { running.finish() }
            try running.advance()
            let tree = running.processes()
            let answer = try Engine.run(
                ["dump", "--pid", "\(running.pid)", "-o", running.image], environment: ["CRENGINE_FAULT=\(point)"])
            #expect(answer.code == 137, "the engine lived on: \(Engine.words(answer))")
            let image = FileManager.default.fileExists(atPath: running.image)
            if point == "dump-ending" {
                try RoundTripTests.awaitEnd(of: tree)
                try #require(image, "the tree was ended and there is no image")
                let restore = try RoundTripTests.restore(running)
                try #require(restore.code == 0, "restore: \(Engine.words(restore))")
            } else {
                #expect(image == (point == "dump-committed"), "an image under its name that is not whole")
            }
            try running.advance(2)
            try running.verify()
        }

        @Test("while tasks make its calls", arguments: ["dump-asking", "dump-asking-threads"])
        func calls(_ point: String) throws {
            let running = try RunningWorkload(Workload(folder: EngineLab.workloadFolder + "/threads"))
            defer { running.finish() }
            try running.advance()
            for _ in 0..<5 {
                let answer = try Engine.run(
                    ["dump", "--pid", "\(running.pid)", "-o", running.image],
                    environment: ["CRENGINE_FAULT=\(point)"])
                #expect(answer.code == 137, "the engine lived on: \(Engine.words(answer))")
                try running.advance(2)
            }
            try running.verify()
        }

        static let tracer = "/usr/bin/strace"

        /// Nothing differs afterwards, the list of mappings included.
        @Test(
            "at each request to the kernel about a task",
            .enabled(if: FileManager.default.isExecutableFile(atPath: tracer)),
            arguments: ["ptrace", "wait4", "process_vm_writev"])
        func requests(_ call: String) throws {
            let running = try RunningWorkload(Workload(folder: EngineLab.workloadFolder + "/counter"))
            defer { running.finish() }
            try running.advance()
            func state() -> [String?] {
                let folder = "/proc/\(running.pid)/"
                let status = try? String(contentsOfFile: folder + "status", encoding: .utf8)
                let lines = status?.split(separator: "\n").filter {
                    $0.hasPrefix("SigPnd") || $0.hasPrefix("SigBlk") || $0.hasPrefix("TracerPid")
                }
                return [try? String(contentsOfFile: folder + "maps", encoding: .utf8), lines?.joined(separator: " ")]
            }
            let before = state()
            var number = 1
            while true {
                let answer = try Command.run(
                    [
                        Self.tracer, "-o", "/dev/null", "-e", "inject=\(call):signal=KILL:when=\(number)",
                        EngineLab.engine,
                        "dump", "--leave-running", "--pid", "\(running.pid)", "-o", running.image,
                    ],
                    environment: ["PATH=/usr/bin:/bin"], directory: "/", seconds: 60)
                try running.advance()
                #expect(state() == before, "killed at \(call) number \(number)")
                if answer.code == 0 { break }
                number += 1
                try #require(number < 500)
            }
            #expect(number > 4)
            try running.verify()
        }

        @Test("while it restores", arguments: workloads, restorePoints)
        func restore(_ workload: Workload, _ point: String) throws {
            let running = try RunningWorkload(workload)
            defer { running.finish() }
            try running.advance()
            let tree = running.processes()
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            try #require(dump.code == 0, "dump: \(Engine.words(dump))")
            try RoundTripTests.awaitEnd(of: tree)
            let answer = try Engine.run(
                ["restore", "-i", running.image, "--detach"], environment: ["CRENGINE_FAULT=\(point)"])
            #expect(answer.code == 137, "the engine lived on: \(Engine.words(answer))")
            if point != "restore-released" {
                try RoundTripTests.awaitEnd(of: tree)
                let again = try RoundTripTests.restore(running)
                try #require(again.code == 0, "restore: \(Engine.words(again))")
            }
            try running.advance(2)
            try running.verify()
        }
    }
}
