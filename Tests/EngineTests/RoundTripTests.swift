import Foundation
import Testing

extension EngineTests {
    /// Dumps and restores every workload on the lab machine itself: no VM, same PIDs, same files.
    @Suite("workloads survive dump and restore", EngineLab.trait)
    struct RoundTripTests {
        /// A dump of a restored tree is a test of its own.
        static let rounds = 3

        @Test("dump, restore, go on, verify", arguments: Workload.carried)
        func roundTrip(_ workload: Workload) throws {
            let running = try RunningWorkload(workload)
            defer { running.finish() }
            do {
                for round in 1...Self.rounds {
                    do {
                        try running.advance(UInt64(round))
                        try Self.dumpAndRestore(running)
                        try running.advance()
                        if round == 1 { try running.checkFromOutside() }
                    } catch {
                        throw Failure("round \(round): \(error)")
                    }
                }
                try running.verify()
            } catch {
                Issue.record("\(workload.name), \(error)")
            }
        }

        @Test(
            "an object beyond those of the workloads",
            arguments: ["signalfd", "socketpair", "unix-listener", "netlink", "mqueue"])
        func object(_ kind: String) throws {
            let running = try RunningWorkload(Workload(holding: kind))
            defer { running.finish() }
            for _ in 0..<3 {
                try running.advance()
                try Self.dumpAndRestore(running)
            }
            try running.advance()
            try running.verify()
        }

        @Test("connections of a client outside the tree stay", arguments: Workload.carried.filter { $0.witness != nil })
        func witness(_ workload: Workload) throws {
            let running = try RunningWorkload(workload)
            defer { running.finish() }
            try running.advance()
            try running.startWitness()
            for _ in 0..<2 {
                try Self.dumpAndRestore(running)
                try running.advance()
                try running.advanceWitness()
            }
            try running.endWitness()
            try running.verify()
        }

        @Test("a workload that is broken on purpose says so after a restore", arguments: Workload.carried)
        func brokenIsNoticed(_ workload: Workload) throws {
            // CRLAB_BREAK strikes after three healthy steps, so dump before that; slow dumps may come later and meet a tree
            // that has ended already.
            let running = try RunningWorkload(workload.with("CRLAB_BREAK=1"))
            defer { running.finish() }
            let tree = running.processes()
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            if dump.code == 0 {
                try Self.awaitEnd(of: tree)
                let restore = try Self.restore(running)
                try #require(restore.code == 0, "restore: \(Engine.words(restore))")
            }
            try wait("\(workload.name): failed:", seconds: 20) { running.events.last?.hasPrefix("failed:") == true }
            #expect(!running.events.contains("verified"))
        }

        static func dumpAndRestore(_ running: RunningWorkload) throws {
            try? FileManager.default.removeItem(atPath: running.image)
            let tree = running.processes()
            let before = running.workload.isSteady ? ProcessSnapshot(tree: tree) : nil
            let dump = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            if dump.code != 0 { throw Failure("dump: \(Engine.words(dump))\(running.diagnosis)") }
            try awaitEnd(of: tree)
            let restore = try restore(running)
            if restore.code != 0 { throw Failure("restore: \(Engine.words(restore))") }
            let tasks = (dumped: dump.json?["tasks"]?.int, restored: restore.json?["tasks"]?.int)
            if tasks.dumped == nil || tasks.dumped != tasks.restored {
                throw Failure("dumped and restored tasks: \(tasks)")
            }
            if let before {
                let now = running.processes()
                try running.requireAlive()
                if now != tree { throw Failure("PIDs \(tree) became \(now)" + running.diagnosis) }
                let differences = before.differences(to: ProcessSnapshot(tree: now))
                if !differences.isEmpty {
                    throw Failure("changed: " + differences.prefix(8).joined(separator: "; ") + running.diagnosis)
                }
            }
        }

        /// A PID of the tree may have been taken meanwhile by somebody on this machine: exit 75 says so, and that goes away.
        static func restore(_ running: RunningWorkload) throws -> Command.Answer {
            let deadline = Date(timeIntervalSinceNow: 10)
            while true {
                let answer = try Engine.run(["restore", "-i", running.image, "--detach"])
                if answer.code != 75 || Date() > deadline { return answer }
                usleep(100_000)
            }
        }

        static func awaitEnd(of tree: [Int32]) throws {
            try wait("end of the dumped tree \(tree)", seconds: 5) {
                // A child born between our look and the freeze is nobody's but ours now; unreaped it keeps its PID.
                if let root = tree.first { ProcessTree.reap(session: root) }
                return tree.allSatisfy { !ProcessTree.exists($0) }
            }
        }
    }
}
