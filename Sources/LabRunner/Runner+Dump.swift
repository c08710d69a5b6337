import CRModel
import Foundation
import LabScenario
import LabStore
import LabVM

extension Runner {
    /// What a dump left behind: its evidence, and the archive's temporary file when there is one.
    struct Dumped: Sendable {
        let evidence: StageEvidence
        let archive: String?
        let boot: Int?
    }

    /// The dumps of one host.
    ///
    /// - Parameter dumped: Hears of each dump that was recorded, whatever became of it.
    func dumpQueue(
        on host: HostName, dumped: @escaping @Sendable (DumpKey) async throws -> Void
    ) -> WorkQueue<Guest, DumpKey, Dumped> {
        WorkQueue(
            actions: WorkQueue.Actions(
                withGuest: { body in try await withGuest(host, purpose: "dump", body: body) },
                perform: { key, guest, boot, alone in
                    let result = try await dump(key, in: guest, boot: boot)
                    // Once may be chance; the same thing alone in a fresh guest is believed. A sandbox's kernel knows no chance.
                    if !alone, case .done(let dumped) = result, dumped.evidence.endedBeforeDump,
                        plan.scenario.runtime(key.runtime).dump.runtime.family != .runsc
                    {
                        return .tainted(dumped, why: "the workload ended by itself")
                    }
                    return result
                },
                guestFailure: { ($0 as? VMError)?.labFailure },
                record: { key, found in
                    try await record(key, found)
                    try await dumped(key)
                },
                miss: { key, failure in
                    try await store.recordEvent(kind: "dump-miss", text: "\(key): \(failure.summary)")
                    try await keep(
                        key, DumpRecord(evidence: Self.missEvidence(failure), image: nil, boot: nil))
                    try await dumped(key)
                },
                retrying: { key, why in emit(.retrying("dump of \(key.workload) on \(key.host)", why: why)) }),
            itemsPerGuest: options.isolate ? 1 : .max,
            cost: { memory.seconds(of: $0) })
    }

    /// A dump counts as stored when it ended and its archive, if any, is whole.
    func isStored(_ key: DumpKey) async throws -> Bool {
        guard let record = try await dumpRecord(key), !Self.isMiss(record.evidence) else { return false }
        guard let image = record.image else { return true }
        return (try? store.images.verify(image)) != nil
    }

    /// What is recorded of a dump; `nil` when nothing is.
    func dumpRecord(_ key: DumpKey) async throws -> DumpRecord? {
        if let known = memory.dump(key) { return known }
        guard let record = try await store.dump(for: key) else { return nil }
        memory.keep(key, record)
        return record
    }

    private func keep(_ key: DumpKey, _ record: DumpRecord) async throws {
        try await store.recordDump(key, record)
        memory.keep(key, record)
    }

    func dump(_ key: DumpKey, in guest: Guest, boot: Int) async throws -> WorkResult<Dumped> {
        if let previous = key.previous { return try await relay(key, after: previous, in: guest, boot: boot) }
        let archive = "\(folder)/tmp/\(UUID().uuidString).archive"
        let timeouts = plan.scenario.timeouts
        let use = plan.scenario.runtime(key.runtime).dump
        let started = ContinuousClock.now
        let evidence = try await guest.dump(
            runtime: use.runtime, workload: key.workload, seed: plan.scenario.seed,
            deadline: guest.scaled(max(timeouts.ready, timeouts.dump)), options: use.options, to: archive)
        memory.spent(started.duration(to: .now), on: key)
        emit(.dumped(key, evidence.ending, milliseconds: evidence.milliseconds))
        let dumped = Dumped(evidence: evidence, archive: evidence.ending == .done ? archive : nil, boot: boot)
        return Self.result(dumped, taints: evidence.taints + guest.taints)
    }

    private func record(_ key: DumpKey, _ dumped: Dumped) async throws {
        var image: StoredImage?
        if let archive = dumped.archive {
            image = try store.images.add(file: archive)
        }
        try await keep(key, DumpRecord(evidence: dumped.evidence, image: image, boot: dumped.boot))
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
