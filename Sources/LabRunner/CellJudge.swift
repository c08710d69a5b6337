import CRModel
import LabClassify
import LabScenario
import LabStore

/// Turns evidence into recorded cells.
///
/// A restored cell or a control stands for itself and is recorded at once. A failed cross-host cell says something
/// about the destination host only when its control restored, so it waits for that; its evidence is on disk already.
actor CellJudge {
    /// A failure that is new, and what was made of it.
    private struct Unconfirmed {
        let attempt: AttemptRecord
        let judgement: Judgement
    }

    private struct Waiting {
        let attempt: AttemptRecord
        let attempts: Int
    }

    private let store: RunStore
    private let expectations: [Cell: Expectation]
    private let total: Int
    /// How a command line names the run: its identifier, or its folder where that lies elsewhere.
    private let runName: String
    private let emit: @Sendable (RunEvent) -> Void
    private var controls: [Cell: Judgement] = [:]
    private var waiting: [Cell: [Waiting]] = [:]
    private let planned: Set<Cell>
    private var finished: Int
    private let confirm: ConfirmPolicy?
    private var unconfirmed: [Cell: Unconfirmed] = [:]

    init(
        store: RunStore, expectations: [Cell: Expectation], planned: Set<Cell>, finished: Int, total: Int,
        runName: String, confirm: ConfirmPolicy? = nil, emit: @escaping @Sendable (RunEvent) -> Void
    ) {
        self.store = store
        self.confirm = confirm
        self.runName = runName
        self.expectations = expectations
        self.planned = planned
        self.finished = finished
        self.total = total
        self.emit = emit
    }

    /// Takes a believed attempt whose evidence is stored.
    func take(_ attempt: AttemptRecord, attempts: Int) async throws {
        let cell = attempt.cell
        if cell.isControl {
            let judgement = judge(attempt.evidence, control: nil)
            controls[cell] = judgement
            try await record(attempt, judgement, attempts: attempts)
            for waiting in waiting.removeValue(forKey: cell) ?? [] {
                try await settle(waiting, control: judgement)
            }
            return
        }
        let alone = judge(attempt.evidence, control: nil)
        let control = cell.control
        if alone.outcome == .restored || alone.outcome == nil || !planned.contains(control) {
            try await record(attempt, alone, attempts: attempts)
        } else if let known = controls[control] {
            try await settle(Waiting(attempt: attempt, attempts: attempts), control: known)
        } else {
            waiting[control, default: []].append(Waiting(attempt: attempt, attempts: attempts))
        }
    }

    /// Learns a control that an earlier execution of the run recorded.
    func remember(control attempt: AttemptRecord) {
        controls[attempt.cell] = judge(attempt.evidence, control: nil)
    }

    /// Records what still waits for a control that never came.
    func flush() async throws {
        for waiting in waiting.values.joined() { try await settle(waiting, control: nil) }
        waiting = [:]
    }

    /// Judges what an attempt shows. Of a chain that stopped on its way that is what the shorter one would show, and the
    /// summary says so.
    private func judge(_ evidence: AttemptEvidence, control: Judgement?) -> Judgement {
        guard let shorter = evidence.stoppedAs else { return LabClassify.judge(evidence, control: control) }
        var seen = evidence
        seen.cell = shorter
        var judgement = LabClassify.judge(seen, control: shorter.isControl ? nil : control)
        let summary = judgement.finding?.summary ?? ""
        judgement.finding?.summary = "on the way (\(shorter.route)): \(summary)"
        return judgement
    }

    private func settle(_ waiting: Waiting, control: Judgement?) async throws {
        let judgement = judge(waiting.attempt.evidence, control: control)
        try await record(waiting.attempt, judgement, attempts: waiting.attempts)
    }

    private func record(_ attempt: AttemptRecord, _ judgement: Judgement, attempts: Int) async throws {
        let result = result(attempt, judgement, attempts: attempts)
        // A chain that stopped on its way shows what the shorter one shows, which is repeated itself.
        if let confirm, confirm.times > 0, confirm.isNewFailure(result), attempt.evidence.stoppedAs == nil {
            unconfirmed[attempt.cell] = Unconfirmed(attempt: attempt, judgement: judgement)
        } else {
            try await record(result)
        }
    }

    /// Cells that failed and are to be repeated before they are recorded, sorted.
    var newFailures: [Cell] { unconfirmed.keys.sorted() }

    /// Records a new failure with what repeating it showed.
    func take(confirming attempts: [AttemptRecord], of cell: Cell, attempts count: Int) async throws {
        guard let first = unconfirmed.removeValue(forKey: cell) else { return }
        var result = result(first.attempt, first.judgement, attempts: count)
        let control = cell.isControl ? nil : controls[cell.control]
        let others = attempts.map { judge($0.evidence, control: control).outcome }
        result.confirmation = Confirmation(([first.judgement.outcome] + others).compactMap(\.self))
        try await record(result)
    }

    private func record(_ result: CellResult) async throws {
        try await store.recordCell(result)
        finished += 1
        emit(.cell(result, finished: finished, of: total))
    }

    private func result(_ attempt: AttemptRecord, _ judgement: Judgement, attempts: Int) -> CellResult {
        let cell = attempt.cell
        let evidence = attempt.evidence
        let expectation = expectations[cell]
        return CellResult(
            cell: cell, outcome: judgement.outcome, stage: judgement.stage, health: judgement.health,
            finding: judgement.finding, expectation: expectation,
            expected: Self.isExpected(judgement, expectation), attempts: attempts, milliseconds: attempt.milliseconds,
            imageBytes: evidence.dump?.imageBytes ?? 0, consoleTail: evidence.labFailure?.consoleTail ?? "",
            reproduce: "crlab repro \(runName) \(cell.id)")
    }

    /// `nil` when nothing was expected or the lab found nothing out.
    static func isExpected(_ judgement: Judgement, _ expectation: Expectation?) -> Bool? {
        guard let expectation, let outcome = judgement.outcome else { return nil }
        guard outcome == expectation.outcome else { return false }
        guard let reason = expectation.reason else { return true }
        return judgement.finding?.reason == reason
    }
}
