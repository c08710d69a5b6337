import CRModel
import Testing

@testable import LabRunner

struct RunVerdictTests {
    private static func results(_ cells: [CellResult], controls: [ControlResult] = []) -> Results {
        Results(
            run: RunSummary(
                id: "r", scenario: "s", title: "", startedAt: "2026-01-02T03:04:05Z", durationSeconds: 1,
                crlabVersion: "1", accelerator: "tcg", qemuVersion: "10", boots: 1, counts: RunCounts(cells)),
            hosts: [:], cells: cells, controls: controls)
    }

    private static func cell(
        _ workload: WorkloadName, _ outcome: Outcome?, expected: Bool?, _ repeated: [Outcome]? = nil
    ) -> CellResult {
        CellResult(
            cell: Cell(runtime: .native, workload: workload, source: "a", destination: "b"), outcome: outcome,
            stage: nil, health: .ok, finding: nil, expectation: nil, expected: expected, attempts: 1,
            milliseconds: StageTimes(), imageBytes: 0, reproduce: "", confirmation: repeated.map { Confirmation($0) })
    }

    private static func fault(_ passed: Bool?) -> ControlResult {
        ControlResult(kind: .knownFault, runtime: .native, host: "b", passed: passed, summary: "")
    }

    @Test("flaky counts as not as expected, unless it is allowed")
    func flaky() {
        let good = Self.cell("good", .restored, expected: true)
        let flaky = Self.results([good, Self.cell("w", .broke, expected: false, [.broke, .restored])])
        #expect(flaky.run.counts.flaky == 1)
        #expect(RunVerdict(flaky).exitStatus == 1)
        #expect(RunVerdict(flaky, allowFlaky: true) == .asExpected)
        let broken = Self.results([good, Self.cell("w", .broke, expected: false, [.broke, .broke])])
        #expect(RunVerdict(broken, allowFlaky: true) == .unexpected(1))
    }

    @Test("a host that takes a damaged image for whole fails the run")
    func controls() {
        let good = Self.cell("good", .restored, expected: true)
        #expect(RunVerdict(Self.results([good], controls: [Self.fault(true), Self.fault(nil)])) == .asExpected)
        let untrue = RunVerdict(Self.results([good], controls: [Self.fault(false)]))
        #expect(untrue == .controlsFailed(1) && untrue.exitStatus == 1)
        let alone = ControlResult(kind: .workloadAlone, workload: "w", host: "b", passed: false, summary: "")
        #expect(RunVerdict(Self.results([good], controls: [alone])) == .asExpected)
    }

    @Test(
        "a guest in which more time passes than outside has a wrong clock",
        arguments: [(900, 800, false), (10_400, 10_000, false), (12_000, 10_000, true), (3_600_000, 4000, true)])
    func clock(_ guest: Int, _ lab: Int, _ wrong: Bool) { #expect(Runner.ranAhead(guest: guest, lab: lab) == wrong) }
}
