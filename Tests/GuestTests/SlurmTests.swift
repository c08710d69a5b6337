import Foundation
import Testing

extension GuestTests {
    @Suite("shards")
    struct ShardTests {
        private static let trait: ConditionTrait = {
            if let missing = SlurmCluster.missing { GuestLab.say("Slurm test skipped: \(missing)") }
            let mustRun = ProcessInfo.processInfo.environment["CI"] == "true" && getuid() == 0
            return .enabled(if: SlurmCluster.missing == nil || mustRun, Comment(rawValue: SlurmCluster.missing ?? ""))
        }()

        @Test("an array of Slurm jobs loses a node, and no cell", trait, .timeLimit(.minutes(5)))
        func slurm() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    Scenarios.pair(["counter", "avx2-dispatch", "sse42-crc"]), to: "pair.yaml")
                let planned = try await sandbox.crlab(["plan", scenario, "--format", "json"])
                    .decoded(PlanAnswer.self).cells.map(\.id)
                let cluster = try await SlurmCluster(sandbox, nodes: ["n1", "n2"])
                let shards = sandbox.path("shards")
                _ = try await cluster.ask(
                    "sbatch",
                    [
                        "--array=1-3", "--chdir=\(sandbox.folder)", "--output=\(sandbox.folder)/shard-%a.log",
                        GuestLab.repository + "CI/slurm.sbatch", scenario, shards, "--accelerator", "tcg", "--guests",
                        "1",
                    ], environment: ["CRLAB": GuestLab.command, "CRLAB_CI": GuestLab.repository + "CI"])

                // In the middle of the first shard: it has some cells, and not all.
                var node = ""
                try await cluster.waitFor("a shard at work", seconds: 90) {
                    let log = (try? String(contentsOfFile: sandbox.path("shard-1.log"), encoding: .utf8)) ?? ""
                    guard log.contains("[1/") else { return false }
                    let running = try await cluster.queue().first { $0.hasPrefix("1 RUNNING ") }
                    node = running.map { String($0.dropFirst("1 RUNNING ".count)) } ?? ""
                    return !node.isEmpty
                }
                cluster.kill(node: node)
                // Not an empty queue: a job that lost its node is in none of the states that squeue shows for a moment.
                try await cluster.waitFor("the end of every shard", seconds: 150) {
                    (1...3).allSatisfy { FileManager.default.fileExists(atPath: "\(shards)/shard-\($0).1/exit-status") }
                }

                for shard in 1...3 {
                    let status = try? String(contentsOfFile: "\(shards)/shard-\(shard).1/exit-status", encoding: .utf8)
                    let log = try? String(contentsOfFile: sandbox.path("shard-\(shard).log"), encoding: .utf8)
                    #expect(status == "0\n", "shard \(shard): \(log ?? "no log")")
                }
                let merge = try await cluster.run(
                    GuestLab.repository + "CI/merge", [shards], environment: ["CRLAB": GuestLab.command], seconds: 60)
                #expect(merge.status == 0, "\(merge)")
                cluster.stop()
                let merged = RunFolder(path: shards + "/merged")
                try await merged.expectOneOutcomeEach(planned)
                #expect(try merged.results().cells.allSatisfy { $0.expected == true })
            }
        }
    }
}
