public import CRModel

/// What the steps of a run cost, in seconds.
public struct Costs: Sendable, Hashable {
    /// From the start of QEMU to the agent's answer.
    public var boot: Double
    /// Until a workload is ready to be dumped.
    public var ready: Double
    public var dump: Double
    /// One image, one way.
    public var carry: Double
    public var restore: Double
    public var verify: Double
    /// What workloads were measured to cost, where they were.
    public var measured: [Work: Measured] = [:]

    /// What a runtime does with a workload, on whatever host.
    public struct Work: Sendable, Hashable {
        public var runtime: RuntimeName
        public var workload: WorkloadName
    }

    /// Seconds on the dump's side and on the restore's side.
    public struct Measured: Sendable, Hashable {
        public var dump: Double
        public var restore: Double
    }

    public init(boot: Double, ready: Double, dump: Double, carry: Double, restore: Double, verify: Double) {
        self.boot = boot
        self.ready = ready
        self.dump = dump
        self.carry = carry
        self.restore = restore
        self.verify = verify
    }

    /// Without earlier runs: QEMU 10 under TCG on two cores, from `shared/facts.md` (boot 1.9–3.2 s to the first answer;
    /// small dumps and restores 0.3–0.6 s), with room for the agent's own work.
    public static let documented = Costs(boot: 4, ready: 1.5, dump: 0.5, carry: 0.1, restore: 0.5, verify: 0.5)

    /// The medians of an earlier run, for each stage that it has at least one measurement of.
    ///
    /// - Parameter bootMilliseconds: How long its boots took; a run's results do not say it cell by cell.
    public init(measuredIn results: Results, bootMilliseconds: [Int] = [], fallback: Costs = .documented) {
        func median(_ values: [Int], or other: Double) -> Double {
            let sorted = values.filter { $0 > 0 }.sorted()
            return sorted.isEmpty ? other : Double(sorted[sorted.count / 2]) / 1000
        }
        let times = results.cells.map(\.milliseconds)
        self.init(
            boot: median(bootMilliseconds, or: fallback.boot), ready: fallback.ready,
            dump: median(times.map(\.dump), or: fallback.dump), carry: median(times.map(\.carry), or: fallback.carry),
            restore: median(times.map(\.restore), or: fallback.restore),
            verify: median(times.map(\.verify), or: fallback.verify))
        let works = Dictionary(grouping: results.cells) { Work(runtime: $0.cell.runtime, workload: $0.cell.workload) }
        measured = works.mapValues { cells in
            let times = cells.map(\.milliseconds)
            return Measured(
                dump: ready + median(times.map(\.dump), or: dump) + carry,
                restore: carry + median(times.map { $0.restore + $0.verify }, or: restore + verify))
        }
    }

    /// What one step costs.
    func seconds(_ step: Step) -> Double {
        switch step {
        case .boot: boot
        case .dump(let key):
            measured[Work(runtime: key.runtime, workload: key.workload)]?.dump ?? ready + dump + carry
        case .restore(let cell):
            measured[Work(runtime: cell.runtime, workload: cell.workload)]?.restore ?? carry + restore + verify
        }
    }
}

/// What a plan will cost.
public struct Estimate: Sendable, Hashable, Codable {
    public var cells: Int
    public var dumps: Int
    public var boots: Int
    public var seconds: Double

    public init(cells: Int, dumps: Int, boots: Int, seconds: Double) {
        self.cells = cells
        self.dumps = dumps
        self.boots = boots
        self.seconds = seconds
    }

    /// Whole minutes, at least one.
    public var minutes: Int { max(1, Int((seconds / 60).rounded(.up))) }
}

extension Plan {
    /// Works out boots and time.
    ///
    /// - Parameters:
    ///   - guestsAtOnce: How many guests run side by side.
    ///   - sharedBoots: One boot of a host serves both its dumps and its restores, instead of one for each.
    public func estimate(
        costs: Costs = .documented, guestsAtOnce: Int, sharedBoots: Bool = false
    ) -> Estimate {
        let dumpSeconds = dumpsByHost.values.map { dumps in
            costs.boot + dumps.reduce(0) { $0 + costs.seconds(.dump($1)) }
        }
        let restoreSeconds = restoresByDestination.values.map { cells in
            (sharedBoots ? 0 : costs.boot) + cells.reduce(0) { $0 + costs.seconds(.restore($1)) }
        }
        // Destinations wait for dumps, so neither phase can be shorter than its longest host.
        func phase(_ seconds: [Double]) -> Double {
            max(seconds.reduce(0, +) / Double(max(1, guestsAtOnce)), seconds.max() ?? 0)
        }
        let boots = sharedBoots ? hosts.count : dumpsByHost.count + restoresByDestination.count
        return Estimate(
            cells: cells.count, dumps: dumps.count, boots: boots,
            seconds: phase(dumpSeconds) + phase(restoreSeconds))
    }
}
