import Foundation
import Testing

extension GuestTests {
    @Suite("chains")
    struct ChainTests {
        @Test("there and back: dumped again on the way, or stopped there and said so", .timeLimit(.minutes(4)))
        func thereAndBack() async throws {
            try await Sandbox.with { sandbox in
                let text =
                    Scenarios.pair()
                    + "\n  - { match: { workload: avx2-dispatch, chain: true }, outcome: broke, because: stops at nehalem }"
                    + "\nmatrix: { pairs: [[haswell, nehalem]], chains: back }\n"
                let scenario = try sandbox.write(text, to: "chain.yaml")
                let run = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: run), seconds: 180)
                #expect(answer.status == 0, "\(answer)")
                let cells = Dictionary(uniqueKeysWithValues: try run.results().cells.map { ($0.id, $0) })
                #expect(cells.count == 6)
                let back = try #require(cells["native/counter/haswell:nehalem/haswell"])
                #expect(back.outcome == "restored")
                let stopped = try #require(cells["native/avx2-dispatch/haswell:nehalem/haswell"])
                #expect(stopped.verdict == cells["native/avx2-dispatch/haswell/nehalem"]?.verdict)
                #expect(stopped.finding?.summary.hasPrefix("on the way (haswell → nehalem): ") == true)
                try await run.expectWhole()
            }
        }
    }
}
