import CRModel
import Foundation
import LabStore
import LabVM
import Synchronization

extension Runner {
    /// A dump and those that it is made from, the first one last.
    static func way(to key: DumpKey) -> [DumpKey] {
        var way = [key]
        while let previous = way[way.count - 1].previous { way.append(previous) }
        return way
    }

    /// Has a workload's first dump made, or goes on with what an earlier execution made of it and its chains.
    func start(
        _ key: DumpKey, chains: ChainRoutes, release: @Sendable (DumpKey) async throws -> Void
    ) async throws {
        guard try await isStored(key) else { return await chains.make(key) }
        try await release(key)
    }

    /// Makes a dump on a chain's way: restores the one before, lets the workload go on, and dumps it again.
    ///
    /// Where the chain has stopped already, or stops here, the record says what stopped it, and there is no image.
    func relay(
        _ key: DumpKey, after previous: DumpKey, in guest: Guest, boot: Int
    ) async throws -> WorkResult<Dumped> {
        guard let record = try await dumpRecord(previous) else {
            let failure = LabFailure(reason: .harnessImage, summary: "the dump before this one was not made")
            return .done(Dumped(evidence: Self.missEvidence(failure), archive: nil, boot: nil))
        }
        guard let image = record.image else {
            return .done(Dumped(evidence: record.evidence, archive: nil, boot: nil))
        }
        let path: String
        do {
            path = try store.images.verify(image)
        } catch {
            let failure = LabFailure(reason: .harnessImage, summary: error.explanation.line)
            return .done(Dumped(evidence: Self.missEvidence(failure), archive: nil, boot: nil))
        }
        let archive = "\(folder)/tmp/\(UUID().uuidString).archive"
        let timeouts = plan.scenario.timeouts
        let use = plan.scenario.runtime(key.runtime)
        let stages = try await guest.relay(
            restore: use.restore, dump: use.dump, workload: key.workload, seed: plan.scenario.seed,
            deadline: guest.scaled(max(timeouts.restore, timeouts.verify, timeouts.dump)), from: path, to: archive)
        guard let last = stages.last else { return .done(Dumped(evidence: record.evidence, archive: nil, boot: boot)) }
        let done = last.stage == .dump && last.ending == .done
        emit(.dumped(key, last.ending, milliseconds: last.milliseconds))
        let taints = Set(stages.flatMap(\.taints) + guest.taints)
        if taints.isEmpty, last.stage != .dump { _ = try await tryAlone(key.workload, in: guest) }
        return Self.result(
            Dumped(evidence: last, archive: done ? archive : nil, boot: boot), taints: taints.sorted())
    }

    /// The evidence for a cell that has nothing to restore: what stopped its dump, or its chain, and where.
    func stopped(
        _ cell: Cell, with evidence: StageEvidence, hosts: [HostName: HostFingerprint]
    ) async throws -> AttemptEvidence {
        // The first dump on the way that left no image.
        var key = cell.dump
        while let previous = key.previous, try await dumpRecord(previous)?.image == nil { key = previous }
        var found = AttemptEvidence(
            cell: cell, sourceHost: hosts[cell.source], destinationHost: hosts[cell.destination])
        switch evidence.stage {
        case .dump: found.dump = evidence
        case .restore: found.restore = evidence
        case .verify: found.verify = evidence
        }
        guard let last = key.via.last else { return found }
        found.destinationHost = hosts[last]
        found.workloadAlone = memory.alone(key.workload, on: last)
        found.stoppedAs = Cell(
            runtime: key.runtime, workload: key.workload, source: key.source, via: Array(key.via.dropLast()),
            destination: last, spec: key.spec)
        return found
    }
}

/// Which dump follows which on chains' ways, and whose work each is.
final class ChainRoutes: Sendable {
    private let following: [DumpKey: [DumpKey]]
    private let queues = Mutex<[HostName: WorkQueue<Guest, DumpKey, Runner.Dumped>]>([:])

    init(_ keys: [DumpKey]) {
        following = Dictionary(grouping: keys.filter { $0.previous != nil }) { $0.previous ?? $0 }
    }

    func register(_ queue: WorkQueue<Guest, DumpKey, Runner.Dumped>, _ host: HostName) {
        queues.withLock { $0[host] = queue }
    }

    func make(_ key: DumpKey) async {
        await queues.withLock { $0[key.host] }?.add([key])
    }

    /// Has the dumps made that are made from this one. Those that an earlier execution made are made again: their images
    /// are needed only for what comes after them, and a relay is as quick as finding that out.
    func follow(_ key: DumpKey) async {
        for next in following[key] ?? [] { await make(next) }
    }
}
