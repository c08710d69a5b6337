public import CRModel

/// What a run was started with: enough to work out the same plan again.
public struct RunDescription: Codable, Hashable, Sendable {
    public var id: String
    public var scenarioName: String
    public var title: String
    public var scenarioText: String
    /// The file as the user named it; paths in the scenario are relative to its folder.
    public var scenarioFile: String
    /// The selections of `--only`, as typed.
    public var only: [String]
    /// The workloads at hand when the run started: what `all` stood for.
    public var workloads: [WorkloadName]
    /// ISO 8601, UTC. Its day decides which expectations count, also when the run is resumed later.
    public var startedAt: String
    public var crlabVersion: String
    /// `tcg` or `kvm`.
    public var accelerator: String
    public var qemuVersion: String
    /// The names of other kinds that were at hand when the run started, by kind; `nil` in runs of earlier versions.
    public var names: [String: [String]]?
    /// The folder in which it keeps images beside those of other runs; `nil` for its own.
    public var imageStore: String?
    /// Which part of its plan the run is; `nil` for all of it.
    public var shard: Shard?
    /// ``RunPlan/hash()`` of the whole plan that the shard is a part of.
    public var wholePlanHash: String?
    /// The runs that this one was merged from; `nil` for one that was made as one.
    public var mergedFrom: [String]?
    /// How often each new failure is repeated, and which failures are not new; `nil` for never.
    public var confirm: ConfirmPolicy?

    public init(
        id: String, scenarioName: String, title: String, scenarioText: String, scenarioFile: String,
        only: [String] = [], workloads: [WorkloadName], startedAt: String, crlabVersion: String = CrlabVersion.current,
        accelerator: String, qemuVersion: String, names: [String: [String]]? = nil, imageStore: String? = nil,
        shard: Shard? = nil, wholePlanHash: String? = nil, mergedFrom: [String]? = nil,
        confirm: ConfirmPolicy? = nil
    ) {
        self.id = id
        self.scenarioName = scenarioName
        self.title = title
        self.scenarioText = scenarioText
        self.scenarioFile = scenarioFile
        self.only = only
        self.workloads = workloads
        self.startedAt = startedAt
        self.crlabVersion = crlabVersion
        self.accelerator = accelerator
        self.qemuVersion = qemuVersion
        self.names = names
        self.imageStore = imageStore
        self.shard = shard
        self.wholePlanHash = wholePlanHash
        self.mergedFrom = mergedFrom
        self.confirm = confirm
    }

    /// SHA-256 of the scenario's text.
    public var scenarioHash: String { SHA256.hex(of: scenarioText.utf8) }
}

/// Which cells of a run are repeated, and how often.
public struct ConfirmPolicy: Codable, Hashable, Sendable {
    /// Repetitions of each new failure; 0 for none.
    public var times: Int
    /// Outcomes of an earlier run by cell identifier: a failure that it had too is not new.
    public var known: [String: Outcome]

    /// More repetitions than this are a slip.
    public static let maximumTimes = 100

    public init(times: Int, known: [String: Outcome] = [:]) {
        self.times = times
        self.known = known
    }

    /// Whether a cell failed as neither its expectation nor the earlier run says.
    public func isNewFailure(_ result: CellResult) -> Bool {
        guard let outcome = result.outcome, outcome != .restored, result.expected != true else { return false }
        return known[result.cell.id] != outcome
    }
}

/// The cells of a run, as the store keeps them.
public struct RunPlan: Codable, Hashable, Sendable {
    public struct PlannedCell: Codable, Hashable, Sendable {
        public var cell: Cell
        public var expectation: Expectation?

        public init(cell: Cell, expectation: Expectation?) {
            self.cell = cell
            self.expectation = expectation
        }
    }

    public var hosts: [HostSpec]
    /// Sorted by cell.
    public var cells: [PlannedCell]

    public init(hosts: [HostSpec], cells: [PlannedCell]) {
        self.hosts = hosts
        self.cells = cells.sorted { $0.cell < $1.cell }
    }

    /// SHA-256 of the plan: equal for equal plans. A resumed run must work out the same one.
    public func hash() throws(StoreError) -> String {
        do {
            return SHA256.hex(of: try JSONCoder.text(of: self).utf8)
        } catch {
            throw StoreError(error, path: "plan")
        }
    }
}
