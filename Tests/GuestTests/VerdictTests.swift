import Foundation
import Testing

extension GuestTests {
    /// What the exit status says, for those who have nothing else to look at.
    @Suite("verdicts", .timeLimit(.minutes(3)))
    struct VerdictTests {
        @Test("an outcome that nobody expected is exit 1")
        func unexpected() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.single(outcome: "broke"), to: "wrong.yaml")
                let run = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: run))
                #expect(answer.status == 1, "\(answer)")
                let results = try run.results()
                #expect(results.verdicts == ["native/counter/haswell/haswell": "restored"])
                #expect(results.cells.first?.expected == false)
                #expect(results.run.counts.unexpected == 1)
                try await run.expectWhole()
            }
        }

        @Test("a failure that nobody expected is repeated, and broken each time")
        func confirmed() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    Scenarios.pair(["avx2-dispatch"]).replacing("outcome: broke", with: "outcome: refused"),
                    to: "wrong.yaml")
                let run = sandbox.run("run")
                let cell = "native/avx2-dispatch/haswell/nehalem"
                let answer = try await sandbox.crlab(
                    sandbox.runWords(scenario, into: run, ["--confirm", "2", "--only", cell, "--allow-flaky"]))
                #expect(answer.status == 1, "\(answer)")
                let result = try #require(try run.results()[cell])
                #expect(result.confirmation == .init(restored: 0, refused: 0, broke: 3) && result.flaky == false)
                #expect(result.attempts == 3 && result.expected == false, "\(result)")
                let attempts = try await run.rows("SELECT count(*) FROM attempt WHERE cell = '\(cell)'")
                #expect(attempts == [["3"]])
                try await run.expectWhole()
            }
        }

        struct WrongScenario: CustomTestStringConvertible, Sendable {
            let testDescription: String
            let text: String
            /// Line and column, or a word.
            let says: [String]
        }

        static let wrongScenarios = [
            WrongScenario(
                testDescription: "unknown key of a host",
                text: "hosts:\n  a: { cpu: Haswell, kernal: debian-6.1 }\nworkloads: all\n",
                says: ["wrong.yaml:2:", "kernal", "kernel"]),
            WrongScenario(
                testDescription: "unknown workload",
                text: "hosts:\n  a: { cpu: Haswell, kernel: debian-6.1 }\nworkloads: [countre]\n",
                says: ["wrong.yaml:3:", "countre", "counter"]),
            WrongScenario(
                testDescription: "not YAML", text: "hosts: [\n", says: ["wrong.yaml:"]),
        ]

        @Test("a scenario that is wrong is exit 64 with its line, and nothing is made", arguments: wrongScenarios)
        func wrong(_ c: WrongScenario) async throws {
            try await Sandbox.with { sandbox in
                let run = sandbox.run("run")
                for words in [
                    sandbox.runWords(try sandbox.write(c.text, to: "wrong.yaml"), into: run), ["plan", "wrong.yaml"],
                ] {
                    let answer = try await sandbox.crlab(words, seconds: 30)
                    #expect(answer.status == 64 && answer.output.isEmpty, "\(answer)")
                    for word in c.says { #expect(answer.errors.contains(word), "\(word): \(answer)") }
                }
                #expect(!FileManager.default.fileExists(atPath: run.path))
            }
        }

        @Test(
            "words that are wrong are exit 64",
            arguments: [
                ["run"], ["run", "--resume", "no-such-run"], ["run", "pair.yaml", "--deadline", "soon"],
                ["run", "pair.yaml", "--only", "workload=nothing"], ["run", "pair.yaml", "--guests", "0"],
                ["show", "counter"], ["report", "no-such-run"], ["shell", "nowhere", "--scenario", "pair.yaml"],
                ["frobnicate"],
            ])
        func usage(_ words: [String]) async throws {
            try await Sandbox.with { sandbox in
                _ = try sandbox.write(Scenarios.pair(), to: "pair.yaml")
                let answer = try await sandbox.crlab(words, seconds: 30)
                #expect(answer.status == 64 && !answer.errors.isEmpty, "\(answer)")
            }
        }

        @Test("hosts that cannot be had are named, and cost no other cell")
        func unavailable() async throws {
            try await Sandbox.with { sandbox in
                try Data("summary: gone\nsuite: crlab-nowhere\npackage: linux-image-*-cloud-amd64\n".utf8)
                    .write(to: URL(filePath: sandbox.path("home/VMImages/kernels/gone.yaml")))
                let scenario = try sandbox.write(
                    """
                    title: A good host and two that cannot be had
                    defaults: { cpu: Haswell, kernel: \(GuestLab.kernel) }
                    hosts:
                      good: {}
                      no-kernel: { kernel: gone }
                      no-cpu: { cpu: "Haswell,+avx512f" }
                    workloads: [counter]
                    expect:
                      - outcome: restored
                        because: the destination has all that the workload uses
                    """, to: "unavailable.yaml")
                let run = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: run))
                #expect(answer.status == 69, "\(answer)")
                let results = try run.results()
                #expect(results.cells.count == 9)
                for cell in results.cells {
                    if cell.id == "native/counter/good/good" {
                        #expect(cell.verdict == "restored")
                    } else {
                        #expect(cell.outcome == nil && cell.health == "miss" && cell.expected == nil, "\(cell)")
                    }
                }
                let kernel = try #require(results.hosts["no-kernel"]?.unavailable)
                #expect(kernel.summary.contains("gone") || kernel.summary.contains("crlab-nowhere"), "\(kernel)")
                let cpu = try #require(results.hosts["no-cpu"]?.unavailable)
                #expect(cpu.reason == "harness.emulation", "\(cpu)")
                #expect(cpu.summary.contains("avx512f"), "\(cpu)")
                #expect(results.hosts["good"]?.unavailable == nil)
                for host in ["no-kernel", "no-cpu"] {
                    #expect(answer.errors.contains(host), "said while it runs: \(answer)")
                    #expect(try run.text("report.html").contains(host))
                    #expect(try run.text("summary.md").contains(host))
                }
                try await run.expectWhole()
                try await sandbox.expectNothingLeft()
            }
        }

        @Test("hosts prints what a guest really is, probe what the lab machine can do")
        func hosts() async throws {
            try await Sandbox.with { sandbox in
                struct Host: Decodable {
                    var cpuFeatures: [String]
                    var kernelRelease: String
                }
                let scenario = try sandbox.write(Scenarios.single(), to: "single.yaml")
                let words = ["hosts", scenario, "--accelerator", "tcg", "--format", "json"]
                let hosts = try await sandbox.crlab(words).decoded([String: Host].self)
                #expect(hosts["haswell"]?.cpuFeatures.contains("avx2") == true)
                let probe = try await sandbox.crlab(["probe"])
                #expect(probe.status == 0 && probe.output.contains("QEMU") && probe.output.contains("KVM"), "\(probe)")
            }
        }
    }
}
