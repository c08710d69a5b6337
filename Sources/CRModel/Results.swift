/// `results.json`: the record of one run that every report is written from. Schema `crlab.results/1`, published as
/// `Reports/schema/results-1.schema.json`.
public struct Results: Codable, Hashable, Sendable {
    public static let schema = "crlab.results/1"

    public var schema: String
    public var run: RunSummary
    public var hosts: [HostName: HostResult]
    /// Sorted by cell.
    public var cells: [CellResult]
    /// Beside the same-host cells; sorted by identifier.
    public var controls: [ControlResult]

    public init(
        run: RunSummary, hosts: [HostName: HostResult], cells: [CellResult], controls: [ControlResult] = []
    ) {
        schema = Self.schema
        self.run = run
        self.hosts = hosts
        self.cells = cells.sorted { $0.cell < $1.cell }
        self.controls = controls.sorted { $0.id < $1.id }
    }

    // Runs of before there were such controls have none.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        schema = try container.decode(String.self, forKey: .schema)
        run = try container.decode(RunSummary.self, forKey: .run)
        hosts = try container.decode([HostName: HostResult].self, forKey: .hosts)
        cells = try container.decode([CellResult].self, forKey: .cells)
        controls = try container.decodeIfPresent([ControlResult].self, forKey: .controls) ?? []
    }
}

/// The run as a whole.
public struct RunSummary: Codable, Hashable, Sendable {
    public var id: String
    /// Name of the scenario.
    public var scenario: String
    /// Its one-sentence description; empty when it has none.
    public var title: String
    /// ISO 8601, UTC.
    public var startedAt: String
    public var durationSeconds: Double
    public var crlabVersion: String
    /// `tcg` or `kvm`.
    public var accelerator: String
    public var qemuVersion: String
    /// Guests booted, including replacements of tainted ones.
    public var boots: Int
    public var counts: RunCounts
    /// Which part of its plan the run is; `nil` for all of it.
    public var shard: Shard?
    /// Identifiers of the runs that it was merged from, sorted by shard; `nil` for a run that was made as one.
    public var mergedFrom: [String]?

    public init(
        id: String, scenario: String, title: String, startedAt: String, durationSeconds: Double, crlabVersion: String,
        accelerator: String, qemuVersion: String, boots: Int, counts: RunCounts, shard: Shard? = nil,
        mergedFrom: [String]? = nil
    ) {
        self.id = id
        self.scenario = scenario
        self.title = title
        self.startedAt = startedAt
        self.durationSeconds = durationSeconds
        self.crlabVersion = crlabVersion
        self.accelerator = accelerator
        self.qemuVersion = qemuVersion
        self.boots = boots
        self.counts = counts
        self.shard = shard
        self.mergedFrom = mergedFrom
    }
}

/// One of several parts into which a plan is cut.
public struct Shard: Codable, Hashable, Sendable, CustomStringConvertible {
    /// From 1 to ``count``.
    public let index: Int
    public let count: Int

    /// More parts than this are a slip.
    public static let maximumCount = 10_000

    /// `nil` unless the index is from 1 to the count, and that is at most ``maximumCount``.
    public init?(index: Int, of count: Int) {
        guard 1 <= index, index <= count, count <= Self.maximumCount else { return nil }
        self.index = index
        self.count = count
    }

    /// Reads `2/4`; `nil` when it is written otherwise or there is no such part.
    public init?(_ text: String) {
        let sides = text.split(separator: "/", omittingEmptySubsequences: false)
        guard sides.count == 2, let index = Int(sides[0]), let count = Int(sides[1]) else { return nil }
        self.init(index: index, of: count)
    }

    public var description: String { "\(index)/\(count)" }
}

/// How many cells ended how.
public struct RunCounts: Codable, Hashable, Sendable {
    public var cells = 0
    public var restored = 0
    public var refused = 0
    public var broke = 0
    public var misses = 0
    /// Outcomes that contradict their expectation.
    public var unexpected = 0
    /// Cells that ended differently when they were repeated; `nil` for none.
    public var flaky: Int?

    public init() {}

    /// Counts the cells of a run.
    public init(_ results: [CellResult]) {
        cells = results.count
        for result in results {
            switch result.outcome {
            case .restored: restored += 1
            case .refused: refused += 1
            case .broke: broke += 1
            case nil: misses += 1
            }
            if result.expected == false { unexpected += 1 }
            if result.isFlaky { flaky = (flaky ?? 0) + 1 }
        }
    }
}

/// One host of the run: what was asked for and what it was.
public struct HostResult: Codable, Hashable, Sendable {
    public var spec: HostSpec
    /// The CPU model asked for.
    public var cpuModel: String
    /// What the guest itself showed, sorted; empty when it never booted.
    public var cpuFeatures: [String]
    public var kernelRelease: String
    public var userland: String
    public var runtimes: [String: String]
    /// `nil` when the host never answered.
    public var fingerprint: HostFingerprint?
    /// Why the host could not be had; `nil` when it could.
    public var unavailable: LabFailure?
    /// Package to exact version for QEMU, kernel and userland, as resolved when the disk images were built, and the keys of
    /// these images.
    public var packages: [String: String]

    public init(
        spec: HostSpec, fingerprint: HostFingerprint?, unavailable: LabFailure? = nil, packages: [String: String] = [:]
    ) {
        self.spec = spec
        cpuModel = spec.cpu
        cpuFeatures = fingerprint?.cpu.features ?? []
        kernelRelease = fingerprint?.kernel.release ?? ""
        userland = fingerprint?.userland.name ?? spec.userland
        runtimes = fingerprint?.runtimes ?? [:]
        self.fingerprint = fingerprint
        self.unavailable = unavailable
        self.packages = packages
    }
}

/// A reviewed statement about what a cell should do.
public struct Expectation: Codable, Hashable, Sendable {
    public var outcome: Outcome
    /// The reason that a failure must have; `nil` accepts any.
    public var reason: Reason?
    /// Why it is expected, for people.
    public var because: String
    /// Last day (ISO 8601 date, UTC) on which it counts; `nil` for ever.
    public var expires: String?

    public init(outcome: Outcome, reason: Reason? = nil, because: String, expires: String? = nil) {
        self.outcome = outcome
        self.reason = reason
        self.because = because
        self.expires = expires
    }
}

/// How long the stages of the believed attempt took, in milliseconds.
public struct StageTimes: Codable, Hashable, Sendable {
    public var dump: Int
    public var carry: Int
    public var restore: Int
    public var verify: Int

    public init(dump: Int = 0, carry: Int = 0, restore: Int = 0, verify: Int = 0) {
        self.dump = dump
        self.carry = carry
        self.restore = restore
        self.verify = verify
    }
}

/// One cell with its believed attempt.
public struct CellResult: Codable, Hashable, Sendable {
    public var cell: Cell
    /// `nil` exactly when `health` is `miss`.
    public var outcome: Outcome?
    /// The stage at which a failure showed; `nil` for a restored cell.
    public var stage: Stage?
    public var health: Health
    public var finding: Finding?
    public var expectation: Expectation?
    /// Whether the outcome is as expected; `nil` when nothing was expected or nothing was found out.
    public var expected: Bool?
    public var attempts: Int
    public var milliseconds: StageTimes
    public var imageBytes: UInt64
    /// Tail of the guest's console where the lab failed or the kernel spoke; empty otherwise.
    public var consoleTail: String
    /// The command that repeats exactly this cell.
    public var reproduce: String
    /// Category and reason as planted by a fault scenario; absent elsewhere.
    public var label: FaultLabel?
    /// What repeating the cell showed; `nil` for a cell that was not repeated.
    public var confirmation: Confirmation?

    /// Whether it ended differently when it was repeated.
    public var isFlaky: Bool { confirmation?.isFlaky ?? false }

    public init(
        cell: Cell, outcome: Outcome?, stage: Stage?, health: Health, finding: Finding?, expectation: Expectation?,
        expected: Bool?, attempts: Int, milliseconds: StageTimes, imageBytes: UInt64, consoleTail: String = "",
        reproduce: String, label: FaultLabel? = nil, confirmation: Confirmation? = nil
    ) {
        self.cell = cell
        self.outcome = outcome
        self.stage = stage
        self.health = health
        self.finding = finding
        self.expectation = expectation
        self.expected = expected
        self.attempts = attempts
        self.milliseconds = milliseconds
        self.imageBytes = imageBytes
        self.consoleTail = consoleTail
        self.reproduce = reproduce
        self.label = label
        self.confirmation = confirmation
    }
}

extension CellResult {
    private enum CodingKeys: String, CodingKey {
        case id, runtime, workload, source, via, destination, spec, control
        case outcome, stage, health, finding, expectation, expected, attempts, milliseconds, imageBytes, consoleTail
        case reproduce, label, confirmation, flaky
    }

    /// Members that may be `nil` are written as `null`, so that every cell has the same shape; only `label`, but for
    /// chains `via`, and but for repeated cells `confirmation` and `flaky` are left out.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(cell.id, forKey: .id)
        try container.encode(cell.runtime, forKey: .runtime)
        try container.encode(cell.workload, forKey: .workload)
        try container.encode(cell.source, forKey: .source)
        if !cell.via.isEmpty { try container.encode(cell.via, forKey: .via) }
        try container.encode(cell.destination, forKey: .destination)
        try container.encode(cell.spec, forKey: .spec)
        try container.encode(cell.isControl, forKey: .control)
        try container.encode(outcome, forKey: .outcome)
        try container.encode(stage, forKey: .stage)
        try container.encode(health, forKey: .health)
        try container.encode(finding, forKey: .finding)
        try container.encode(expectation, forKey: .expectation)
        try container.encode(expected, forKey: .expected)
        try container.encode(attempts, forKey: .attempts)
        try container.encode(milliseconds, forKey: .milliseconds)
        try container.encode(imageBytes, forKey: .imageBytes)
        try container.encode(consoleTail, forKey: .consoleTail)
        try container.encode(reproduce, forKey: .reproduce)
        try container.encodeIfPresent(label, forKey: .label)
        try container.encodeIfPresent(confirmation, forKey: .confirmation)
        if confirmation != nil { try container.encode(isFlaky, forKey: .flaky) }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            cell: Cell(
                runtime: try container.decode(RuntimeName.self, forKey: .runtime),
                workload: try container.decode(WorkloadName.self, forKey: .workload),
                source: try container.decode(HostName.self, forKey: .source),
                via: try container.decodeIfPresent([HostName].self, forKey: .via) ?? [],
                destination: try container.decode(HostName.self, forKey: .destination),
                spec: try container.decode(SpecName.self, forKey: .spec)),
            outcome: try container.decodeIfPresent(Outcome.self, forKey: .outcome),
            stage: try container.decodeIfPresent(Stage.self, forKey: .stage),
            health: try container.decode(Health.self, forKey: .health),
            finding: try container.decodeIfPresent(Finding.self, forKey: .finding),
            expectation: try container.decodeIfPresent(Expectation.self, forKey: .expectation),
            expected: try container.decodeIfPresent(Bool.self, forKey: .expected),
            attempts: try container.decode(Int.self, forKey: .attempts),
            milliseconds: try container.decode(StageTimes.self, forKey: .milliseconds),
            imageBytes: try container.decode(UInt64.self, forKey: .imageBytes),
            consoleTail: try container.decode(String.self, forKey: .consoleTail),
            reproduce: try container.decode(String.self, forKey: .reproduce),
            label: try container.decodeIfPresent(FaultLabel.self, forKey: .label),
            confirmation: try container.decodeIfPresent(Confirmation.self, forKey: .confirmation))
    }
}

/// What a fault scenario planted.
public struct FaultLabel: Codable, Hashable, Sendable {
    public var category: Category
    public var reason: Reason

    public init(category: Category, reason: Reason) {
        self.category = category
        self.reason = reason
    }
}
