internal import CRModel

/// Makes one run of the runs of all shards.
///
/// What comes out does not depend on how the plan was cut, nor on the order in which the runs are named: a cell that
/// several shards have is taken from the first shard that has an outcome for it, and all that have one must agree.
public struct RunMerge: Sendable {
    /// One shard's run as it was recorded.
    struct Part: Sendable {
        let folder: String
        let run: RunDescription
        let shard: Shard
        let plan: RunPlan
        let results: Results
        let pending: Int

        /// The order in which parts are asked; a second run of a shard stands behind the first.
        var order: (Int, String, String) { (shard.index, run.startedAt, run.id) }
    }

    private let parts: [Part]
    /// What the runs are runs of.
    public var scenarioName: String { parts[0].run.scenarioName }
    /// What the merged run's plan is.
    public let plan: RunPlan

    /// Reads the runs and checks that they are all shards of one run.
    ///
    /// - Throws: `StoreError.merge` with what is wrong, and what opening a run throws.
    public init(folders: [String]) throws(StoreError) {
        var parts: [Part] = []
        for folder in folders {
            let reader = try RunReader.open(at: folder)
            guard let shard = reader.run.shard else { throw .merge(.notAShard(run: reader.run.id)) }
            guard !parts.contains(where: { $0.run.id == reader.run.id }) else { continue }
            parts.append(
                Part(
                    folder: folder, run: reader.run, shard: shard, plan: reader.plan, results: try reader.results(),
                    pending: try reader.pendingCells().count))
        }
        try self.init(parts: parts.sorted { $0.order < $1.order })
    }

    /// - Parameter parts: Sorted by their order.
    private init(parts: [Part]) throws(StoreError) {
        guard let first = parts.first else { throw .merge(.none) }
        for part in parts {
            for (what, one, other) in Self.sameness(first, part) where one != other {
                throw .merge(.differ(what: what, first: first.run.id, second: part.run.id))
            }
        }
        let whole = try Self.finished(parts, count: first.shard.count)
        plan = try Self.wholePlan(whole)
        guard try plan.hash() == first.run.wholePlanHash else { throw .merge(.incomplete(cells: plan.cells.count)) }
        self.parts = whole
        _ = try cells()
        _ = try hosts()
    }

    private static func sameness(_ one: Part, _ other: Part) -> [(String, String, String)] {
        let (left, right) = (one.run, other.run)
        return [
            ("number of shards", "\(one.shard.count)", "\(other.shard.count)"),
            ("scenario", left.scenarioName + left.scenarioHash, right.scenarioName + right.scenarioHash),
            ("selection of cells", "\(left.only)", "\(right.only)"),
            ("plan", left.wholePlanHash ?? "", right.wholePlanHash ?? ""),
            ("version of crlab", left.crlabVersion, right.crlabVersion),
            ("repetition of new failures", "\(left.confirm?.times ?? 0)", "\(right.confirm?.times ?? 0)"),
            ("accelerator", left.accelerator, right.accelerator),
            ("QEMU version", left.qemuVersion, right.qemuVersion),
        ]
    }

    /// The parts that count. One that was killed and not continued does not, where the shard has another run.
    private static func finished(_ parts: [Part], count: Int) throws(StoreError) -> [Part] {
        let byShard = Dictionary(grouping: parts, by: \.shard.index)
        let missing = (1...count).filter { byShard[$0] == nil }
        guard missing.isEmpty else { throw .merge(.missing(missing, of: count)) }
        var whole: [Part] = []
        for index in 1...count {
            let runs = byShard[index] ?? []
            let finished = runs.filter { $0.pending == 0 }
            if finished.isEmpty, let last = runs.last {
                throw .merge(.unfinished(run: last.run.id, shard: last.shard, cells: last.pending))
            }
            whole += finished
        }
        return whole
    }

    private static func wholePlan(_ parts: [Part]) throws(StoreError) -> RunPlan {
        var cells: [Cell: RunPlan.PlannedCell] = [:]
        var hosts: [HostName: HostSpec] = [:]
        for part in parts {
            for cell in part.plan.cells { cells[cell.cell] = cell }
            for host in part.plan.hosts { hosts[host.name] = host }
        }
        return RunPlan(hosts: hosts.values.sorted { $0.name < $1.name }, cells: Array(cells.values))
    }

    /// Each cell's result, and the part that it is taken from.
    func cells() throws(StoreError) -> [(result: CellResult, part: Int)] {
        var taken: [Cell: (result: CellResult, part: Int)] = [:]
        for (index, part) in parts.enumerated() {
            for result in part.results.cells {
                guard let earlier = taken[result.cell], earlier.result.outcome != nil else {
                    // A lab failure says nothing, so that anything else takes its place.
                    if taken[result.cell] == nil || result.outcome != nil { taken[result.cell] = (result, index) }
                    continue
                }
                guard result.outcome != nil else { continue }
                let (one, other) = (Self.summary(earlier.result), Self.summary(result))
                // Flaky is just that: it need not end alike in two shards.
                guard one == other || earlier.result.isFlaky || result.isFlaky else {
                    throw .merge(
                        .cell(
                            result.cell, first: one, firstRun: parts[earlier.part].run.id, second: other,
                            secondRun: part.run.id))
                }
            }
        }
        return taken.values.sorted { $0.result.cell < $1.result.cell }
    }

    private static func summary(_ result: CellResult) -> String {
        let outcome =
            switch result.outcome {
            case .restored: "restored"
            case .refused: "was refused"
            case .broke: "broke"
            case nil: "said nothing"
            }
        return outcome + (result.finding.map { " (\($0.reason.rawValue))" } ?? "")
    }

    /// Each control as the part found it that has most against it, so that no order of parts hides a failure.
    func controls() -> [ControlResult] {
        func weight(_ control: ControlResult) -> Int { control.passed.map { $0 ? 1 : 2 } ?? 0 }
        var taken: [String: ControlResult] = [:]
        for control in parts.flatMap(\.results.controls) {
            if let earlier = taken[control.id], weight(earlier) >= weight(control) { continue }
            taken[control.id] = control
        }
        return taken.values.sorted { $0.id < $1.id }
    }

    /// Each host as the first part found it that booted it; what makes it the same host must agree.
    func hosts() throws(StoreError) -> [HostResult] {
        var taken: [HostName: (host: HostResult, part: Int)] = [:]
        for (index, part) in parts.enumerated() {
            for (name, host) in part.results.hosts {
                guard let earlier = taken[name] else {
                    taken[name] = (host, index)
                    continue
                }
                guard earlier.host.fingerprint != nil, host.fingerprint != nil else {
                    if host.fingerprint != nil { taken[name] = (host, index) }
                    continue
                }
                for (what, one, other) in Self.identity(earlier.host, host) where one != other {
                    throw .merge(
                        .host(name, what: what, firstRun: parts[earlier.part].run.id, secondRun: part.run.id))
                }
            }
        }
        return taken.values.map(\.host).sorted { $0.spec.name < $1.spec.name }
    }

    /// What a host's measured speed and the like (TSC, command line with it) are not part of.
    private static func identity(_ one: HostResult, _ other: HostResult) -> [(String, String, String)] {
        func texts(_ what: String, _ path: (HostResult) -> String) -> (String, String, String) {
            (what, path(one), path(other))
        }
        func list(_ packages: [String: String]) -> String {
            packages.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        }
        return [
            texts("kernel") { "\($0.fingerprint?.kernel.release ?? "") \($0.fingerprint?.kernel.version ?? "")" },
            texts("CPU") {
                "\($0.cpuFeatures) \($0.fingerprint?.cpu.xcr0 ?? 0) \($0.fingerprint?.cpu.xstateBytes ?? 0)"
            },
            texts("userland") { "\($0.fingerprint?.userland.libc ?? "") \($0.fingerprint?.userland.diskImage ?? "")" },
            texts("runtimes") { list($0.runtimes) },
            texts("packages") { list($0.packages) },
        ]
    }

    // MARK: Writing

    /// Records the whole as a run of its own, finished.
    ///
    /// - Parameters:
    ///   - folder: Is made where it is not there.
    ///   - id: The new run's identifier.
    ///   - runName: How a command line names the new run.
    public func write(to folder: String, id: String, runName: String) async throws(StoreError) {
        let first = parts[0].run
        var run = first
        run.id = id
        run.startedAt = parts.map(\.run.startedAt).min() ?? first.startedAt
        run.shard = nil
        run.wholePlanHash = nil
        // Each part's images lie where they are.
        run.imageStore = nil
        run.mergedFrom = parts.map(\.run.id)
        let store = try RunStore.create(at: folder, run: run, plan: plan)
        for host in try hosts() { try await store.recordHost(host) }
        for control in controls() { try await store.recordControl(control) }
        let cells = try cells()
        for (index, part) in parts.enumerated() {
            let reader = try RunReader.open(at: part.folder)
            try await store.take(
                reader, cells: cells.filter { $0.part == index }.map(\.result), runName: runName)
        }
        let seconds = parts.reduce(0) { $0 + $1.results.run.durationSeconds }
        try await store.finish(afterSeconds: seconds)
        try await store.close()
    }
}
