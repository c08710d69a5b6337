import Foundation
import Testing

extension EngineTests {
    /// A minute of `make soak`, in namespaces of its own.
    @Suite("dumps and restores with faults", EngineLab.trait)
    struct SoakTests {
        @Test("a workload is untouched or restored, never half, and nothing is left behind", .timeLimit(.minutes(4)))
        func minute() throws {
            let answer = try Command.run(
                [
                    EngineLab.repository + "Tests/Soak/soak", "--engine", EngineLab.engine,
                    "--workloads", EngineLab.workloadFolder, "--seed", "1", "--seconds", "45", "--slowness", "2",
                ],
                environment: ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"], directory: "/", seconds: 200)
            #expect(answer.code == 0, "\(answer.stdout.suffix(6000)) \(answer.stderr.suffix(1000))")
        }
    }
}
