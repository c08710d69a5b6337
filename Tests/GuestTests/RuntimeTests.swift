import Foundation
import Testing

extension GuestTests {
    @Suite("criu and runsc beside the engine")
    struct RuntimeTests {
        static let runtimes = ["criu-4.1", "runsc-2024"]
        static let missing = runtimes.first { !GuestLab.prepared.contains("runtime \($0)") }

        @Test(
            "restore what they can, refuse what they cannot, and say their versions", .timeLimit(.minutes(3)),
            .enabled(if: missing == nil, "the runtime \(missing ?? "") is not prepared: run 'make images'"))
        func cells() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    """
                    title: Runtimes
                    defaults: { kernel: \(GuestLab.kernel), userland: \(GuestLab.userland) }
                    hosts:
                      haswell: { cpu: Haswell }
                    runtimes: [criu-4.1, runsc-2024, { criu-strict: { runtime: criu-4.1, cpu-cap: [cpu] } }]
                    workloads: [counter, tcp-stream]
                    exclude:
                      - { runtime: [runsc-2024, criu-strict], workload: tcp-stream }
                    expect:
                      - outcome: restored
                        because: the same host has all that the workload uses
                      - match: { workload: tcp-stream }
                        outcome: refused
                        reason: workload-unsupported
                        because: criu dumps a connection only when it is told to
                    """, to: "runtimes.yaml")
                let folder = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: folder), seconds: 150)
                #expect(answer.status == 0, "\(answer)")
                let results = try folder.results()
                #expect(results.cells.count == 4)
                #expect(results.cells.allSatisfy { $0.expected == true && $0.health == "ok" })
                let versions = try #require(results.hosts["haswell"]?.runtimes)
                #expect(versions["criu-4.1"]?.hasPrefix("4.1") == true)
                #expect(versions["runsc-2024"]?.contains("2024") == true)
                try await sandbox.expectNothingLeft()
            }
        }

        @Test(
            "go there and back, dumped again on the way", .timeLimit(.minutes(4)),
            .enabled(if: missing == nil, "the runtime \(missing ?? "") is not prepared: run 'make images'"))
        func chains() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    """
                    title: There and back
                    defaults: { cpu: Haswell, kernel: \(GuestLab.kernel), userland: \(GuestLab.userland) }
                    hosts:
                      a: {}
                      b: { kernel: debian-6.12 }
                    runtimes: [\(Self.runtimes.joined(separator: ", "))]
                    workloads: [counter]
                    matrix: { pairs: [[a, b]], chains: [[a, b, a]] }
                    expect:
                      - outcome: restored
                        because: the workload uses nothing that differs
                    """, to: "chains.yaml")
                let folder = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: folder), seconds: 200)
                #expect(answer.status == 0, "\(answer)")
                let cells = try folder.results().cells
                #expect(cells.count == 6)
                #expect(cells.allSatisfy { $0.verdict == "restored" })
            }
        }
    }
}
