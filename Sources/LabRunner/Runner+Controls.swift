import CRModel
import LabScenario
import LabStore
import LabVM

/// What shows that a destination host can be believed, beside the same-host cells.
extension Runner {
    /// Has a runtime restore an image that is cut in half, once on each destination host: it has to say no.
    ///
    /// - Parameter path: Any archive of that runtime.
    func tryKnownFault(_ cell: Cell, from path: String, in guest: Guest) async throws {
        var control = ControlResult(
            kind: .knownFault, runtime: cell.runtime, host: cell.destination, passed: nil,
            summary: "the lab could not find out what becomes of an image that is cut in half")
        guard memory.takeOn(control: control.id) else { return }
        let use = plan.scenario.runtime(cell.runtime).restore
        do {
            let (restore, _) = try await guest.restore(
                runtime: use.runtime, workload: cell.workload, seed: plan.scenario.seed,
                deadline: guest.scaled(min(plan.scenario.timeouts.restore, .seconds(20))), options: use.options,
                from: path, cutImage: true)
            control.passed = [.refused, .failed].contains(restore.ending)
            control.summary =
                switch restore.ending {
                case .refused, .failed: "an image that is cut in half was refused"
                case .done: "an image that is cut in half was taken for whole, so what was restored here shows nothing"
                default: "an image that is cut in half was not refused: the restore did not end"
                }
        } catch {
            try Task.checkCancellation()
            try await store.recordControl(control)
            throw error
        }
        try await store.recordControl(control)
    }

    /// Has a workload work on a host with neither dump nor restore, once where a restore of it failed.
    ///
    /// - Returns: `nil` when the lab could not find it out.
    func tryAlone(_ workload: WorkloadName, in guest: Guest) async throws -> StageEvidence? {
        let host = guest.spec.name
        if let known = memory.alone(workload, on: host) { return known }
        var control = ControlResult(
            kind: .workloadAlone, workload: workload, host: host, passed: nil,
            summary: "the lab could not find out whether it works there")
        guard memory.takeOn(control: control.id) else { return nil }
        let timeouts = plan.scenario.timeouts
        var evidence: StageEvidence?
        do {
            evidence = try await guest.verify(
                workload: workload, seed: plan.scenario.seed,
                deadline: guest.scaled(max(timeouts.ready, timeouts.verify)))
        } catch VMError.refusedByAgent(_, _, let failure) where failure.reason == .harnessWorkload {
            // Its program is not there, or cannot be started: so it does not work on this host.
            evidence = StageEvidence(
                stage: .verify, ending: .workloadDied, workload: WorkloadEvidence(status: "failed: \(failure.message)"))
        } catch {
            // The failure that it was to explain is found out, and stands without an explanation. Whatever comes next
            // in this guest notices what has become of it.
            try Task.checkCancellation()
        }
        if let evidence {
            memory.keep(alone: evidence, workload, on: host)
            control.passed = evidence.ending == .done
            control.summary =
                evidence.ending == .done
                ? "it works there with neither dump nor restore"
                : "it does not work there even with neither dump nor restore"
        }
        try await store.recordControl(control)
        return evidence
    }
}
