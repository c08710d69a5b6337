import CRModel
import Foundation
import LabStore
import Testing

@testable import LabRunner

@Suite("new failures before they are recorded")
struct ConfirmTests {
    private static let cell = Cell(runtime: .native, workload: "w", source: "a", destination: "b")

    private static func attempt(_ ending: StageEvidence.Ending, confirms: Bool? = nil) -> AttemptRecord {
        AttemptRecord(
            cell: cell, boot: nil, startedAt: "", milliseconds: StageTimes(), alone: true,
            evidence: AttemptEvidence(
                cell: cell, dump: StageEvidence(stage: .dump, ending: .done),
                restore: StageEvidence(stage: .restore, ending: .done),
                verify: StageEvidence(stage: .verify, ending: ending)), confirms: confirms)
    }

    /// What is recorded of a cell whose attempts end in these ways, the first one before the others.
    private func recorded(
        _ endings: [StageEvidence.Ending], times: Int, known: [String: Outcome] = [:]
    ) async throws -> (waited: Bool, result: CellResult?) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "crlab-confirm-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try RunStore.create(
            at: folder,
            run: RunDescription(
                id: "r", scenarioName: "s", title: "", scenarioText: "", scenarioFile: "", workloads: [],
                startedAt: "", accelerator: "tcg", qemuVersion: ""),
            plan: RunPlan(hosts: [], cells: [RunPlan.PlannedCell(cell: Self.cell, expectation: nil)]))
        let judge = CellJudge(
            store: store, expectations: [:], planned: [Self.cell], finished: 0, total: 1, runName: "r",
            confirm: ConfirmPolicy(times: times, known: known), emit: { _ in })
        try await judge.take(Self.attempt(endings[0]), attempts: 1)
        let waiting = await judge.newFailures
        if !waiting.isEmpty {
            #expect(try await store.finishedCells().isEmpty)
            try await judge.take(
                confirming: endings.dropFirst().map { Self.attempt($0, confirms: true) }, of: Self.cell,
                attempts: endings.count)
        }
        let result = try await store.results().cells.first
        try await store.close()
        return (!waiting.isEmpty, result)
    }

    @Test("are repeated, and one that does not end alike each time is flaky")
    func flaky() async throws {
        let flaky = try await recorded([.workloadDied, .done, .workloadDied], times: 2)
        #expect(flaky.waited && flaky.result?.outcome == .broke && flaky.result?.isFlaky == true)
        #expect(flaky.result?.confirmation == Confirmation(restored: 1, broke: 2))
        #expect(flaky.result?.attempts == 3)
        let broken = try await recorded([.workloadDied, .workloadDied, .workloadDied], times: 2)
        #expect(broken.waited && broken.result?.isFlaky == false)
    }

    @Test("only new failures wait")
    func others() async throws {
        #expect(try await recorded([.done], times: 2).waited == false)
        #expect(try await recorded([.workloadDied], times: 0).waited == false)
        let known = try await recorded([.workloadDied], times: 2, known: [Self.cell.id: .broke])
        #expect(!known.waited && known.result?.confirmation == nil)
    }

    @Test("an attempt that only repeats another one never decides")
    func believed() {
        #expect(Self.attempt(.workloadDied).isBelieved)
        #expect(!Self.attempt(.done, confirms: true).isBelieved)
    }

    @Test("a deadline ends what takes too long, and nothing else")
    func deadline() async throws {
        #expect(try await RunDeadline.within(.seconds(60)) { 7 } == 7)
        #expect(try await RunDeadline.within(nil) { 7 } == 7)
        await #expect(throws: RunnerError.deadline(seconds: 0)) {
            try await RunDeadline.within(.milliseconds(10)) { try await Task.sleep(for: .seconds(60)) }
        }
        await #expect(throws: RunnerError.interrupted) {
            try await RunDeadline.within(.seconds(60)) { throw RunnerError.interrupted }
        }
    }
}
