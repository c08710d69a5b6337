public import CRModel
import Foundation
public import LabScenario
public import LabStore
import LabVM
import Synchronization

/// Executes a plan: dump once per source host, carry, restore on every destination host, verify, judge, record.
///
/// The unit of scheduling is the host: one boot serves all dumps of a host, one all restores on it. Everything that
/// is found out is on disk before the next piece of work starts, so that a killed run goes on where it was.
public struct Runner: Sendable {
    let plan: Plan
    let store: RunStore
    let hosts: [HostName: HostReadiness]
    let runtimes: RuntimePreparation
    let options: RunOptions
    let folder: String
    let emit: @Sendable (RunEvent) -> Void
    let memory = RunMemory()

    /// - Parameters:
    ///   - hosts: Every host of the plan, prepared.
    ///   - runtimes: What their guests can dump and restore with.
    ///   - folder: The run's folder.
    public init(
        plan: Plan, store: RunStore, hosts: [HostName: HostReadiness],
        runtimes: RuntimePreparation = .nativeOnly, options: RunOptions, folder: String,
        emit: @escaping @Sendable (RunEvent) -> Void
    ) {
        self.plan = plan
        self.store = store
        self.hosts = hosts
        self.runtimes = runtimes
        self.options = options
        self.folder = folder
        self.emit = emit
    }

    /// Runs what is not finished yet.
    ///
    /// - Throws: `StoreError`, `CancellationError`. Failures of guests are recorded, not thrown.
    public func run() async throws {
        for (name, host) in try await store.hosts() {
            if let fingerprint = host.fingerprint { _ = memory.learn(name, fingerprint) }
        }
        for control in try await store.controls() where control.kind == .knownFault && control.passed != nil {
            _ = memory.takeOn(control: control.id)
        }
        let recorded = try await store.finishedCells()
        let judge = CellJudge(
            store: store,
            expectations: Dictionary(
                uniqueKeysWithValues: plan.cells.compactMap { cell in cell.expectation.map { (cell.cell, $0) } }),
            planned: Set(plan.cells.map(\.cell)), finished: recorded.count, total: plan.cells.count,
            runName: folder.hasSuffix("/Reports/\(store.run.id)") ? store.run.id : folder,
            confirm: store.run.confirm, emit: emit)
        let left = try await recall(recorded: recorded, judge: judge)
        try await giveUpUnavailable(left, judge: judge)
        let doable = left.filter { cell in
            ([cell.source, cell.destination] + cell.via).allSatisfy(isReady) && missingRuntime(cell.runtime) == nil
        }

        try await dumpAndRestore(doable, judge: judge)
        try await judge.flush()
        try await confirmFailures(judge)
        // What was carried from guests that had to be thrown away.
        try? FileManager.default.removeItem(atPath: "\(folder)/tmp")
        if !options.keepImages, !store.images.isShared { try await dropImages() }
        try await store.finish()
    }

    private func isReady(_ host: HostName) -> Bool {
        if case .ready = hosts[host] { true } else { false }
    }

    /// Why the runtime of a cell cannot be had; `nil` when it can.
    private func missingRuntime(_ name: RuntimeName) -> LabFailure? {
        let spec = plan.scenario.runtime(name)
        return runtimes.unavailable[spec.dump.runtime] ?? runtimes.unavailable[spec.restore.runtime]
    }

    /// Learns what an earlier execution found out; returns the cells that are left to do.
    private func recall(recorded: Set<Cell>, judge: CellJudge) async throws -> [Cell] {
        var left: [Cell] = []
        for cell in plan.cells.map(\.cell) {
            let attempts = try await store.attempts(of: cell)
            let believed = attempts.last(where: \.isBelieved)
            if recorded.contains(cell) {
                if cell.isControl, let believed { await judge.remember(control: believed) }
            } else if let believed {
                // Killed between evidence and judgement.
                try await judge.take(believed, attempts: attempts.count)
            } else {
                left.append(cell)
            }
        }
        return left
    }

    private func giveUpUnavailable(_ cells: [Cell], judge: CellJudge) async throws {
        for host in plan.hosts {
            guard case .unavailable(let failure) = hosts[host.name] else { continue }
            emit(.hostUnavailable(host.name, failure))
            try await store.recordHost(HostResult(spec: host, fingerprint: nil, unavailable: failure))
        }
        for cell in cells {
            if let failure = missingRuntime(cell.runtime) {
                try await recordMiss(cell, failure, judge: judge)
                continue
            }
            for host in [cell.source, cell.destination] + cell.via {
                guard case .unavailable(let failure) = hosts[host] else { continue }
                try await recordMiss(cell, failure, judge: judge)
                break
            }
        }
    }

    /// Every dump once, and every restore as soon as its image is there.
    private func dumpAndRestore(_ cells: [Cell], judge: CellJudge) async throws {
        let scheduler = GuestScheduler(guestsAtOnce: options.guestsAtOnce, secondsPerGuest: options.isolate ? 0 : 10)
        let destinations = Set(cells.map(\.destination)).sorted()
        let restores = Dictionary(
            uniqueKeysWithValues: destinations.map { ($0, restoreQueue(on: $0, judge: judge)) })
        let waiting = Dictionary(grouping: cells, by: \.dump)
        let keys = Set(cells.flatMap { Self.way(to: $0.dump) }).sorted()
        let chains = ChainRoutes(keys)
        let release: @Sendable (DumpKey) async throws -> Void = { key in
            let cells = waiting[key] ?? []
            if try await !settleUndumped(cells, judge: judge) {
                for (host, cells) in Dictionary(grouping: cells, by: \.destination) {
                    await restores[host]?.add(cells.sorted())
                }
            }
            await chains.follow(key)
            scheduler.workAdded()
        }
        var lanes: [GuestScheduler.Lane] = []
        for host in Set(keys.map(\.host)).sorted() {
            let queue = dumpQueue(on: host, dumped: release)
            chains.register(queue, host)
            lanes.append(
                GuestScheduler.Lane(
                    feedsOthers: true, waitingSeconds: { await queue.waitingSeconds },
                    serve: { try await queue.serve() }))
        }
        for key in keys where key.previous == nil { try await start(key, chains: chains, release: release) }
        for host in destinations {
            guard let queue = restores[host] else { continue }
            lanes.append(
                GuestScheduler.Lane(
                    feedsOthers: false, waitingSeconds: { await queue.waitingSeconds },
                    serve: { try await queue.serve() }))
        }
        try await scheduler.run(lanes)
    }

    /// Boots a guest of a host, records the boot, and runs the body in it.
    func withGuest(
        _ name: HostName, purpose: String, body: @escaping @Sendable (Guest, Int) async throws -> Void
    ) async throws {
        guard case .ready(let images, let packages, let lab) = hosts[name],
            let spec = plan.hosts.first(where: { $0.name == name })
        else { return }
        emit(.booting(name, purpose: purpose))
        let console = "\(folder)/console/\(name.rawValue)-\(UUID().uuidString.prefix(8)).log"
        let booted = Mutex(false)
        do {
            let bootSeconds = plan.scenario.timeouts.boot / .seconds(1)
            try await lab.withGuest(spec, images, consoleFile: console, bootSeconds: bootSeconds) { guest in
                booted.withLock { $0 = true }
                let boot = try await recordBoot(of: guest, purpose: purpose)
                emit(
                    .booted(
                        name, milliseconds: guest.bootMilliseconds, origin: guest.origin, slowdown: guest.slowdown))
                if memory.learn(name, guest.fingerprint) {
                    try await store.recordHost(
                        HostResult(spec: spec, fingerprint: guest.fingerprint, packages: packages))
                }
                try await body(guest, boot)
            }
            emit(.ended(name, purpose: purpose))
        } catch {
            emit(.ended(name, purpose: purpose))
            if !booted.withLock({ $0 }) { try await store.recordBoot(host: name, purpose: purpose) }
            throw error
        }
    }

    /// Records how a guest came to life, and the boot of its template when it was the first to need that.
    private func recordBoot(of guest: Guest, purpose: String) async throws -> Int {
        var purpose = purpose
        switch guest.origin {
        case .clone(let milliseconds):
            purpose = BootRecord.clonePrefix + purpose
            if let milliseconds {
                try await store.recordBoot(
                    host: guest.spec.name, purpose: BootRecord.template, milliseconds: milliseconds)
            }
        case .bootInstead(let why): try await store.recordEvent(kind: "no-clone", text: "\(guest.spec.name): \(why)")
        case .boot: break
        }
        return try await store.recordBoot(
            host: guest.spec.name, purpose: purpose, milliseconds: guest.bootMilliseconds)
    }

    /// Images are large and only needed while their cells are open.
    private func dropImages() async throws {
        for record in try await store.dumps().values {
            if let image = record.image { try store.images.remove(image) }
        }
    }
}
