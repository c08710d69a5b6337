public import CRModel

/// Which cells a rule is about: all fields that are given must match.
public struct CellPattern: Sendable, Hashable {
    /// Any of these; `nil` for all. Never empty. So are the other fields.
    public var runtimes: [RuntimeName]?
    public var workloads: [WorkloadName]?
    public var sources: [HostName]?
    public var destinations: [HostName]?
    public var specs: [SpecName]?
    /// Chains that lead over any of these.
    public var via: [HostName]?
    /// Only chains (`true`), or only cells that are none (`false`); `nil` for both.
    public var chain: Bool?
    /// Only same-host cells (`true`), or only cross-host cells (`false`); `nil` for both.
    public var control: Bool?

    /// The words for the fields, in scenario files and selections.
    public static let keys = ["runtime", "workload", "source", "destination", "spec", "via", "chain", "control"]

    public init(
        runtimes: [RuntimeName]? = nil, workloads: [WorkloadName]? = nil, sources: [HostName]? = nil,
        destinations: [HostName]? = nil, specs: [SpecName]? = nil, via: [HostName]? = nil,
        chain: Bool? = nil, control: Bool? = nil
    ) {
        self.runtimes = runtimes
        self.workloads = workloads
        self.sources = sources
        self.destinations = destinations
        self.specs = specs
        self.via = via
        self.chain = chain
        self.control = control
    }

    public func matches(_ cell: Cell) -> Bool {
        (runtimes?.contains(cell.runtime) ?? true) && (workloads?.contains(cell.workload) ?? true)
            && (sources?.contains(cell.source) ?? true) && (destinations?.contains(cell.destination) ?? true)
            && (specs?.contains(cell.spec) ?? true) && (control.map { $0 == cell.isControl } ?? true)
            && (chain.map { $0 != cell.via.isEmpty } ?? true) && (via?.contains(where: cell.via.contains) ?? true)
    }
}

/// A pattern for many questions: thousands of cells are matched against each.
struct CompiledPattern: Sendable {
    private let runtimes: Set<RuntimeName>?
    private let workloads: Set<WorkloadName>?
    private let sources: Set<HostName>?
    private let destinations: Set<HostName>?
    private let specs: Set<SpecName>?
    private let via: [HostName]?
    private let chain: Bool?
    private let control: Bool?

    init(_ pattern: CellPattern) {
        runtimes = pattern.runtimes.map(Set.init)
        workloads = pattern.workloads.map(Set.init)
        sources = pattern.sources.map(Set.init)
        destinations = pattern.destinations.map(Set.init)
        specs = pattern.specs.map(Set.init)
        via = pattern.via
        chain = pattern.chain
        control = pattern.control
    }

    func matches(_ cell: Cell) -> Bool {
        (control.map { $0 == cell.isControl } ?? true) && (chain.map { $0 != cell.via.isEmpty } ?? true)
            && (workloads?.contains(cell.workload) ?? true) && (runtimes?.contains(cell.runtime) ?? true)
            && (sources?.contains(cell.source) ?? true) && (destinations?.contains(cell.destination) ?? true)
            && (specs?.contains(cell.spec) ?? true) && (via?.contains(where: cell.via.contains) ?? true)
    }
}

/// A pattern as a scenario file gives it.
public struct PlacedPattern: Sendable, Hashable {
    public var pattern: CellPattern
    public var place: Place

    public init(_ pattern: CellPattern, place: Place) {
        self.pattern = pattern
        self.place = place
    }
}
