import Foundation
import Testing

/// One real run that several tests look at, made once around their suite.
struct SmallRun: SuiteTrait, TestScoping {
    struct Made: Sendable {
        let sandbox: Sandbox
        let scenario: String
        let folder: RunFolder
        let status: Int32
        let output: String
    }

    @TaskLocal static var current: Made?

    static var made: Made {
        get throws {
            guard let current else { throw Failure("the suite's run was not made") }
            return current
        }
    }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await Sandbox.with { sandbox in
            let scenario = try sandbox.write(Scenarios.pair(), to: "pair.yaml")
            let folder = sandbox.run("run")
            let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: folder), seconds: 180)
            if answer.status != 0 { Issue.record("the run that this suite looks at: \(answer)") }
            let made = Made(
                sandbox: sandbox, scenario: scenario, folder: folder, status: answer.status, output: answer.output)
            try await Self.$current.withValue(made) { try await function() }
        }
    }
}

extension GuestTests {
    @Suite("a small real run", SmallRun(), .timeLimit(.minutes(3)))
    struct SmallRunTests {
        static let broken = "native/avx2-dispatch/haswell/nehalem"

        @Test("ends as expected, leaves nothing behind, and says where the report is")
        func ending() async throws {
            let made = try SmallRun.made
            #expect(made.status == 0)
            #expect(made.output.contains(made.folder.file("report.html")), "\(made.output)")
            try await made.sandbox.expectNothingLeft()
            let results = try made.folder.results()
            #expect(results.schema == "crlab.results/1")
            #expect(results.run.counts == .init(cells: 8, restored: 7, refused: 0, broke: 1, misses: 0, unexpected: 0))
            // One for the dumps of each host, one for its restores; a shared lab machine may cost a retry.
            #expect((4...6).contains(results.run.boots))
            #expect(results.cells.filter(\.control).count == 4)
            // Each host has to refuse a damaged image; what broke on Nehalem works there when it is started there.
            #expect(results.controls.map(\.kind) == ["known-fault", "known-fault", "workload-alone"])
            #expect(results.controls.allSatisfy { $0.passed == true })
            #expect(results.cells.allSatisfy { $0.expected == true && $0.health == "ok" && $0.imageBytes > 0 })
        }

        @Test("its files can be read by others")
        func files() async throws {
            let made = try SmallRun.made
            try await made.folder.expectWhole()
            #expect(made.folder.images.isEmpty, "images of a finished run are dropped")
            let planned = ["avx2-dispatch", "counter"].flatMap { workload in
                ["haswell", "nehalem"].flatMap { source in
                    ["haswell", "nehalem"].map { "native/\(workload)/\(source)/\($0)" }
                }
            }
            try await made.folder.expectOneOutcomeEach(planned)
        }

        @Test("hosts are what their own CPUID says")
        func hosts() throws {
            let hosts = try SmallRun.made.folder.results().hosts
            let new = try #require(hosts["haswell"])
            let old = try #require(hosts["nehalem"])
            for feature in ["avx", "avx2", "bmi2"] {
                #expect(new.cpuFeatures.contains(feature))
                #expect(!old.cpuFeatures.contains(feature))
            }
            // The accelerator gives no such thing, so a host that claims it was not asked.
            #expect(!new.cpuFeatures.contains("invpcid"))
            #expect(new.kernelRelease.hasPrefix("6.1."))
        }

        @Test("AVX2 code breaks where there is no AVX2, and the finding names the instruction")
        func finding() throws {
            let cell = try #require(try SmallRun.made.folder.results()[Self.broken])
            #expect(cell.outcome == "broke")
            let finding = try #require(cell.finding)
            #expect(finding.category == "cpu")
            #expect(finding.reason == "cpu.instruction-missing")
            #expect(finding.confidence != "suspected", "other cells of the matrix bear it out")
            // It names the host that lacks the instruction.
            #expect(finding.summary.contains("nehalem"), "\(finding.summary)")
            #expect(!finding.remedy.isEmpty)
            let evidence = finding.evidence.map { "\($0.kind): \($0.text)" }.joined(separator: "\n")
            let words = finding.summary + "\n" + evidence
            #expect(words.contains(/(?i)\b(avx2?|bmi[12])\b/), "\(words)")
            #expect(words.contains("mix_avx2_bmi2"), "\(words)")
            #expect(finding.evidence.contains { $0.kind == "instruction" }, "\(words)")
        }

        @Test("the other direction restores")
        func otherDirection() throws {
            let results = try SmallRun.made.folder.results()
            for id in ["avx2-dispatch/nehalem/haswell", "counter/haswell/nehalem", "counter/nehalem/haswell"] {
                let cell = try #require(results["native/" + id])
                #expect(cell.verdict == "restored" && cell.finding == nil && cell.stage == nil)
            }
        }

        @Test("show prints one cell in words and as JSON")
        func show() async throws {
            let made = try SmallRun.made
            let words = try await made.sandbox.crlab(["show", made.folder.path, Self.broken])
            #expect(words.status == 0, "\(words)")
            for part in ["broke", "cpu.instruction-missing", "mix_avx2_bmi2", "crlab repro"] {
                #expect(words.output.contains(part), "\(part): \(words)")
            }
            let json = try await made.sandbox.crlab(["show", made.folder.path, Self.broken, "--format", "json"])
            #expect(try json.decoded(RunResults.Entry.self).id == Self.broken)
            let evidence = try await made.sandbox.crlab(["show", made.folder.path, Self.broken, "--evidence"])
            #expect(evidence.status == 0 && evidence.output.contains("trap invalid opcode"), "\(evidence)")
            let nothing = try await made.sandbox.crlab(["show", made.folder.path, "native/counter/haswell/nowhere"])
            #expect(nothing.status == 64 && nothing.output.isEmpty, "\(nothing)")
            #expect(nothing.errors.contains("native/counter/haswell/nehalem"), "it says which there are: \(nothing)")
        }

        @Test("report prints every format, the same as in the folder")
        func report() async throws {
            let made = try SmallRun.made
            for (format, file) in [
                ("json", "results.json"), ("junit", "junit.xml"), ("markdown", "summary.md"), ("html", "report.html"),
            ] {
                let answer = try await made.sandbox.crlab(["report", made.folder.path, "--format", format])
                #expect(answer.status == 0, "\(format): \(answer)")
                #expect(
                    try answer.output.trimmingCharacters(in: .newlines)
                        == made.folder.text(file).trimmingCharacters(in: .newlines), "\(format)")
            }
            let table = try await made.sandbox.crlab(["report", made.folder.path])
            #expect(table.status == 0 && table.output.contains("avx2-dispatch"), "\(table)")
            #expect(!table.output.contains("\u{1b}"), "colours are for terminals")
            // Writing again makes what was lost.
            try FileManager.default.removeItem(atPath: made.folder.file("report.html"))
            let again = try await made.sandbox.crlab(["report", made.folder.path, "--write"])
            #expect(again.status == 0 && FileManager.default.fileExists(atPath: made.folder.file("report.html")))
        }

        @Test("plan knows cells and boots without booting")
        func plan() async throws {
            let made = try SmallRun.made
            let table = try await made.sandbox.crlab(["plan", made.scenario, "--cells"])
            #expect(table.status == 0 && table.output.contains(Self.broken), "\(table)")
            let plan = try await made.sandbox.crlab(["plan", made.scenario, "--format", "json"])
                .decoded(PlanAnswer.self)
            #expect(plan.cells.map(\.id) == (try made.folder.results().cells.map(\.id)))
            #expect(plan.estimate.boots == 4 && plan.estimate.dumps == 4 && plan.estimate.seconds > 0)
            let part = try await made.sandbox.crlab(
                ["plan", made.scenario, "--only", "workload=counter,destination=nehalem", "--format", "json"]
            ).decoded(PlanAnswer.self)
            // Two cells, and the control of the one from the other host.
            #expect(part.cells.count == 3)
        }

        @Test("explain says what a reason means")
        func explain() async throws {
            let sandbox = try SmallRun.made.sandbox
            let reason = try await sandbox.crlab(["explain", "cpu.instruction-missing"])
            #expect(reason.status == 0 && reason.output.contains("cpu.instruction-missing"), "\(reason)")
            let all = try await sandbox.crlab(["explain"])
            for name in ["cpu.xstate-missing", "kernel.vdso", "filesystem.changed", "harness.image"] {
                #expect(all.output.contains(name), "\(name)")
            }
            let none = try await sandbox.crlab(["explain", "cpu.nothing"])
            #expect(none.status == 64 && none.errors.contains("cpu.instruction-missing"), "\(none)")
        }

        @Test("repro repeats exactly this cell and finds the same")
        func repro() async throws {
            let made = try SmallRun.made
            let before = try #require(try made.folder.results()[Self.broken])
            let folder = made.sandbox.run("repro")
            let answer = try await made.sandbox.crlab([
                "repro", made.folder.path, Self.broken, "--report-dir", folder.path, "--accelerator", "tcg",
            ])
            #expect(answer.status == 0, "\(answer)")
            let results = try folder.results()
            #expect(
                results.verdicts == [
                    Self.broken: before.verdict, "native/avx2-dispatch/haswell/haswell": "restored",
                ])
            let after = try #require(results[Self.broken]?.finding)
            #expect(after.summary == before.finding?.summary)
            try await made.sandbox.expectNothingLeft()
        }
    }
}

/// `crlab plan --format json`, as far as these tests look at it.
struct PlanAnswer: Decodable {
    struct Entry: Decodable { var id: String }
    struct Estimate: Decodable {
        var boots: Int
        var dumps: Int
        var seconds: Double
    }
    var cells: [Entry]
    var estimate: Estimate
}
