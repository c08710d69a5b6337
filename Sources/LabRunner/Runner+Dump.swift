import CRModel
import Foundation
import LabStore
import LabVM

extension Runner {
    /// What a dump left behind: its evidence, and the archive's temporary file when there is one.
    private struct Dumped: Sendable {
        let evidence: StageEvidence
        let archive: String?
        let boot: Int?
    }

    /// Makes the dumps of one host that are not stored yet.
    func dumpAll(_ keys: [DumpKey], on host: HostName) async throws {
        var missing: [DumpKey] = []
        for key in keys where try await !isStored(key) { missing.append(key) }
        guard !missing.isEmpty else { return }
        let queue = WorkQueue<Guest, DumpKey, Dumped>(
            withGuest: { body in try await withGuest(host, purpose: "dump", body: body) },
            perform: { key, guest, boot, _ in try await dump(key, in: guest, boot: boot) },
            guestFailure: { ($0 as? VMError)?.labFailure },
            record: { key, dumped in try await record(key, dumped) },
            miss: { key, failure in
                try await store.recordEvent(kind: "dump-miss", text: "\(key): \(failure.summary)")
                try await store.recordDump(key, DumpRecord(evidence: Self.missEvidence(failure), image: nil, boot: nil))
            },
            retrying: { key, why in emit(.retrying("dump of \(key.workload) on \(key.source)", why: why)) })
        try await queue.run(missing)
    }

    /// A dump counts as stored when it ended and its archive, if any, is whole.
    private func isStored(_ key: DumpKey) async throws -> Bool {
        guard let record = try await store.dump(for: key), !Self.isMiss(record.evidence) else { return false }
        guard let image = record.image else { return true }
        return (try? store.images.verify(image)) != nil
    }

    private func dump(_ key: DumpKey, in guest: Guest, boot: Int) async throws -> WorkResult<Dumped> {
        let archive = "\(folder)/tmp/\(UUID().uuidString).archive"
        let timeouts = plan.scenario.timeouts
        let use = plan.scenario.runtime(key.runtime).dump
        let evidence = try await guest.dump(
            runtime: use.runtime, workload: key.workload, seed: plan.scenario.seed,
            deadline: guest.scaled(max(timeouts.ready, timeouts.dump)), options: use.options, to: archive)
        emit(.dumped(key, evidence.ending, milliseconds: evidence.milliseconds))
        let dumped = Dumped(evidence: evidence, archive: evidence.ending == .done ? archive : nil, boot: boot)
        return Self.result(dumped, taints: evidence.taints + guest.taints)
    }

    private func record(_ key: DumpKey, _ dumped: Dumped) async throws {
        var image: StoredImage?
        if let archive = dumped.archive {
            image = try store.images.add(file: archive)
        }
        try await store.recordDump(key, DumpRecord(evidence: dumped.evidence, image: image, boot: dumped.boot))
    }

    static func result<Value>(_ value: Value, taints: [String]) -> WorkResult<Value> {
        taints.isEmpty ? .done(value) : .tainted(value, why: Set(taints).sorted().joined(separator: ", "))
    }

    /// A dump that the lab could not make is stored as such, so that its cells know why.
    static func missEvidence(_ failure: LabFailure) -> StageEvidence {
        StageEvidence(stage: .dump, ending: .hung, log: failure.summary, taints: [failure.reason.rawValue])
    }

    static func isMiss(_ evidence: StageEvidence) -> Bool {
        evidence.taints.contains { $0.hasPrefix("harness.") }
    }
}
