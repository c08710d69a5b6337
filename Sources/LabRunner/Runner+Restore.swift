import CRModel
import Foundation
import LabScenario
import LabStore
import LabVM

extension Runner {
    /// Records the cells of one dump when it gave nothing to restore.
    ///
    /// - Returns: Whether it gave nothing.
    func settleUndumped(_ cells: [Cell], judge: CellJudge) async throws -> Bool {
        for cell in cells {
            guard let dump = try await dumpRecord(cell.dump) else { return true }
            if dump.image != nil { return false }
            if Self.isMiss(dump.evidence) {
                let reason = dump.evidence.taints.compactMap(Reason.init(rawValue:)).first ?? .harnessAgent
                try await recordMiss(cell, LabFailure(reason: reason, summary: dump.evidence.log), judge: judge)
            } else {
                let evidence = try await stopped(cell, with: dump.evidence, hosts: memory.fingerprints)
                try await record(Restored(evidence: evidence), judge: judge)
            }
        }
        return true
    }

    /// The restores on one destination host.
    func restoreQueue(on host: HostName, judge: CellJudge) -> WorkQueue<Guest, Cell, Restored> {
        WorkQueue(
            actions: WorkQueue.Actions(
                withGuest: { body in try await withGuest(host, purpose: "restore", body: body) },
                perform: { cell, guest, boot, alone in try await restore(cell, in: guest, boot: boot, alone: alone) },
                guestFailure: { ($0 as? VMError)?.labFailure },
                record: { _, restored in try await record(restored, judge: judge) },
                miss: { cell, failure in try await recordMiss(cell, failure, judge: judge) },
                retrying: { cell, why in emit(.retrying(cell.id, why: why)) }),
            itemsPerGuest: options.isolate ? 1 : .max,
            cost: { memory.seconds(of: $0) },
            // Controls first: they decide what a failure on other hosts means. Then what takes longest, so that no guest
            // is left with it at the end.
            precedes: { one, other in
                one.isControl == other.isControl ? memory.seconds(of: one) > memory.seconds(of: other) : one.isControl
            })
    }

    struct Restored: Sendable {
        let evidence: AttemptEvidence
        /// Milliseconds that neither restore nor verify took.
        var carry = 0
        var boot: Int?
        var alone = false
    }

    func restore(_ cell: Cell, in guest: Guest, boot: Int, alone: Bool) async throws -> WorkResult<Restored> {
        guard let dump = try await dumpRecord(cell.dump), let image = dump.image else {
            let failure = LabFailure(reason: .harnessImage, summary: "the dump's image is not in the run's store")
            return .done(Restored(evidence: AttemptEvidence(cell: cell, labFailure: failure)))
        }
        let path: String
        do {
            path = try store.images.verify(image)
        } catch {
            let failure = LabFailure(reason: .harnessImage, summary: error.explanation.line)
            return .done(Restored(evidence: AttemptEvidence(cell: cell, labFailure: failure)))
        }
        // What is alone in its guest stays so.
        if !alone { try await tryKnownFault(cell, from: path, in: guest) }
        return try await restore(cell, dump: dump.evidence, from: path, in: guest, boot: boot, alone: alone)
    }

    /// Restores an archive, verifies, and where that fails on another host has the workload work there by itself.
    func restore(
        _ cell: Cell, dump: StageEvidence, from path: String, in guest: Guest, boot: Int, alone: Bool
    ) async throws -> WorkResult<Restored> {
        let timeouts = plan.scenario.timeouts
        let started = ContinuousClock.now
        let use = plan.scenario.runtime(cell.runtime).restore
        let (restored, verify) = try await guest.restore(
            runtime: use.runtime, workload: cell.workload, seed: plan.scenario.seed,
            deadline: guest.scaled(max(timeouts.restore, timeouts.verify)), options: use.options, from: path)
        // What the guest as a whole suffered belongs to the attempt too: it decides whether the attempt is believed.
        var restore = restored
        restore.taints = Set(restore.taints + guest.taints).sorted()
        let whole = Int(started.duration(to: .now) / .milliseconds(1))
        memory.spent(milliseconds: whole, on: cell)
        if Self.ranAhead(guest: restore.milliseconds + (verify?.milliseconds ?? 0), lab: whole) {
            restore.taints.append("clock")
        }
        var evidence = AttemptEvidence(
            cell: cell, dump: dump, restore: restore, verify: verify,
            sourceHost: memory.fingerprints[cell.source], destinationHost: guest.fingerprint)
        let carry = max(0, whole - restore.milliseconds - (verify?.milliseconds ?? 0))
        let taints = restore.taints + (verify?.taints ?? [])
        if taints.isEmpty, !cell.isControl, verify?.ending != .done {
            evidence.workloadAlone = try await tryAlone(cell.workload, in: guest)
        }
        let found = Restored(evidence: evidence, carry: carry, boot: boot, alone: alone)
        let result = Self.result(found, taints: taints)
        // What was seen in a guest that is thrown away is kept, but not believed.
        if case .tainted = result, !alone {
            try await store.recordAttempt(attempt(found))
        }
        return result
    }

    /// Whether more time passed in a guest than on the lab machine, which waited for all of it: the guest's clock jumped
    /// or runs too fast. That less passed there says nothing, as either may have had to wait for a processor.
    static func ranAhead(guest: Int, lab: Int) -> Bool { guest > lab + lab / 20 + 1000 }

    func recordMiss(_ cell: Cell, _ failure: LabFailure, judge: CellJudge) async throws {
        let dump = try await dumpRecord(cell.dump)?.evidence
        let hosts = memory.fingerprints
        let evidence = AttemptEvidence(
            cell: cell, dump: dump.flatMap { Self.isMiss($0) ? nil : $0 }, sourceHost: hosts[cell.source],
            destinationHost: hosts[cell.destination], labFailure: failure)
        try await record(Restored(evidence: evidence), judge: judge)
    }

    private func record(_ restored: Restored, judge: CellJudge) async throws {
        let attempt = attempt(restored)
        let number = try await store.recordAttempt(attempt)
        try await judge.take(attempt, attempts: number)
    }

    func attempt(_ restored: Restored, confirms: Bool? = nil) -> AttemptRecord {
        let evidence = restored.evidence
        return AttemptRecord(
            cell: evidence.cell, boot: restored.boot, startedAt: Date.now.ISO8601Format(),
            milliseconds: StageTimes(
                dump: evidence.dump?.milliseconds ?? 0, carry: restored.carry,
                restore: evidence.restore?.milliseconds ?? 0, verify: evidence.verify?.milliseconds ?? 0),
            alone: restored.alone, evidence: evidence, confirms: confirms)
    }
}

extension AttemptRecord {
    /// Whether this attempt decides: what was seen in a guest that had to be thrown away does not, unless the attempt
    /// had a fresh guest for itself; nor does one that only repeats what another one has shown.
    var isBelieved: Bool {
        confirms != true && isUndisturbed
    }

    private var isUndisturbed: Bool {
        alone || [evidence.restore, evidence.verify].allSatisfy { $0?.taints.isEmpty ?? true }
    }
}
