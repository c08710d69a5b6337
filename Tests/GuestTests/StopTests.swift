import Foundation
import Testing

extension GuestTests {
    @Suite("a run that is stopped")
    struct StopTests {
        /// Ten moments of `kill -9`.
        static let kills = 10

        @Test("killed at ten random moments and resumed: every cell has one outcome", .timeLimit(.minutes(6)))
        func killed() async throws {
            let seed =
                ProcessInfo.processInfo.environment["CRLAB_TEST_SEED"].flatMap { UInt64($0) }
                ?? UInt64.random(in: 1...UInt64(UInt32.max))
            GuestLab.say("kill -9 of crlab run: CRLAB_TEST_SEED=\(seed)")
            var random = SplitMix(state: seed)
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    Scenarios.pair(["counter", "avx2-dispatch", "sse42-crc"]), to: "pair.yaml")
                let planned = try await sandbox.crlab(["plan", scenario, "--format", "json"])
                    .decoded(PlanAnswer.self).cells.map(\.id)
                var left = Self.kills
                var runs = 0
                var finishedAtKills: [Int] = []
                // A run that ends before its kill is checked like any other, and the kills go on with the next one.
                while left > 0 {
                    runs += 1
                    let run = sandbox.run("run-\(runs)")
                    var kept: [String: String] = [:]
                    while true {
                        let isStarted = FileManager.default.fileExists(atPath: run.file("run.sqlite"))
                        let execution = try sandbox.start(
                            isStarted ? sandbox.resumeWords(run) : sandbox.runWords(scenario, into: run))
                        if left > 0 { try await Self.moment(of: execution, &random) }
                        if left > 0, execution.isRunning {
                            execution.send(SIGKILL)
                            left -= 1
                            _ = try await execution.end(seconds: 5)
                            try await sandbox.expectNothingLeft()
                            kept = try await Self.expectKept(kept, in: run, planned: planned, sandbox)
                            finishedAtKills.append(kept.count)
                            continue
                        }
                        let answer = try await execution.end(seconds: 180)
                        #expect(answer.status == 0, "seed \(seed): \(answer)")
                        break
                    }
                    try await run.expectOneOutcomeEach(planned)
                    try await run.expectWhole()
                    let verdicts = try run.results().verdicts
                    for (cell, verdict) in kept { #expect(verdicts[cell] == verdict, "seed \(seed)") }
                    try await sandbox.expectNothingLeft()
                }
                GuestLab.say(
                    "killed with so many of \(planned.count) cells finished: \(finishedAtKills); runs: \(runs)")
            }
        }

        /// Waits for a random moment: so many lines of progress, and some time more. Lines and not time alone, because
        /// a busy lab machine would put every moment into the boots.
        private static func moment(of execution: Execution, _ random: inout SplitMix) async throws {
            let lines = Int(random.next() % 10)
            let more = Int(random.next() % 1200)
            try await wait("\(lines) lines of progress", seconds: 120) {
                execution.count(of: "\n") >= lines || !execution.isRunning
            }
            try await Task.sleep(for: .milliseconds(more))
        }

        /// What was finished before a kill is finished after it, with the same outcome; and the store can be read.
        private static func expectKept(
            _ kept: [String: String], in run: RunFolder, planned: [String], _ sandbox: Sandbox
        ) async throws -> [String: String] {
            guard FileManager.default.fileExists(atPath: run.file("run.sqlite")) else { return kept }
            let answer = try await sandbox.crlab(["report", run.path, "--format", "json"], seconds: 30)
            guard answer.status == 0 else {
                #expect(kept.isEmpty, "a run with finished cells cannot be read: \(answer)")
                // Killed between the store's file and its first record: there is nothing to go on with.
                try FileManager.default.removeItem(atPath: run.path)
                return kept
            }
            let now = try answer.decoded(RunResults.self)
            #expect(Set(now.cells.map(\.id)).count == now.cells.count)
            #expect(Set(now.cells.map(\.id)).isSubset(of: planned))
            let verdicts = now.verdicts
            for (cell, verdict) in kept { #expect(verdicts[cell] == verdict) }
            return verdicts
        }

        @Test("a deadline is exit 124, an interrupt exit 130, and both can go on", .timeLimit(.minutes(3)))
        func stopped() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.pair(), to: "pair.yaml")
                let run = sandbox.run("run")
                // Four boots one after the other take longer than this.
                let late = try await sandbox.crlab(
                    sandbox.runWords(scenario, into: run, ["--deadline", "5s", "--guests", "1"]), seconds: 60)
                #expect(late.status == 124, "\(late)")
                #expect(late.errors.contains("--resume"), "it says how to go on: \(late)")
                try await sandbox.expectNothingLeft()

                let interrupted = try sandbox.start(sandbox.resumeWords(run))
                try await interrupted.hears("slower than this machine")
                interrupted.send(SIGINT)
                let answer = try await interrupted.end(seconds: 15)
                #expect(answer.status == 130, "\(answer)")
                try await sandbox.expectNothingLeft()
                // What was found out is worth a report.
                #expect(FileManager.default.fileExists(atPath: run.file("report.html")))

                let resumed = try await sandbox.crlab(sandbox.resumeWords(run))
                #expect(resumed.status == 0, "\(resumed)")
                #expect(try run.results().run.counts.cells == 8)
                try await run.expectWhole()
            }
        }

        @Test("two at once do not share a run", .timeLimit(.minutes(2)))
        func locked() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.single(), to: "single.yaml")
                let run = sandbox.run("run")
                let first = try sandbox.start(sandbox.runWords(scenario, into: run))
                try await first.hears("slower than this machine")
                let second = try await sandbox.crlab(sandbox.resumeWords(run), seconds: 60)
                #expect(second.status == 69, "\(second)")
                let answer = try await first.end(seconds: 90)
                #expect(answer.status == 0, "the second one did not disturb the first: \(answer)")
                try await sandbox.expectNothingLeft()
            }
        }
    }
}

/// A small generator with a seed that can be given again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
