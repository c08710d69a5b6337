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
            "restore-armed", "restore-released",
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

        @Test("while threads make its calls")
        func calls() throws {
            let running = try RunningWorkload(Workload(folder: EngineLab.workloadFolder + "/threads"))
            defer { running.finish() }
            try running.advance()
            for _ in 0..<5 {
                let answer = try Engine.run(
                    ["dump", "--pid", "\(running.pid)", "-o", running.image],
                    environment: ["CRENGINE_FAULT=dump-asking"])
                #expect(answer.code == 137, "the engine lived on: \(Engine.words(answer))")
                try running.advance(2)
            }
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
