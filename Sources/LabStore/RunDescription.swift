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

    public init(
        id: String, scenarioName: String, title: String, scenarioText: String, scenarioFile: String,
        only: [String] = [], workloads: [WorkloadName], startedAt: String, crlabVersion: String = CrlabVersion.current,
        accelerator: String, qemuVersion: String, names: [String: [String]]? = nil, imageStore: String? = nil,
        shard: Shard? = nil, wholePlanHash: String? = nil, mergedFrom: [String]? = nil
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
    }

    /// SHA-256 of the scenario's text.
    public var scenarioHash: String { SHA256.hex(of: scenarioText.utf8) }
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
