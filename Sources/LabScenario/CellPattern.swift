public import CRModel

/// Which cells a rule is about: all fields that are given must match.
public struct CellPattern: Sendable, Hashable {
    /// Any of these; `nil` for all. Never empty. So are the other fields.
    public var runtimes: [RuntimeName]?
    public var workloads: [WorkloadName]?
    public var sources: [HostName]?
    public var destinations: [HostName]?
    public var specs: [SpecName]?
    /// Only same-host cells (`true`), or only cross-host cells (`false`); `nil` for both.
    public var control: Bool?

    /// The words for the fields, in scenario files and selections.
    public static let keys = ["runtime", "workload", "source", "destination", "spec", "control"]

    public init(
        runtimes: [RuntimeName]? = nil, workloads: [WorkloadName]? = nil, sources: [HostName]? = nil,
        destinations: [HostName]? = nil, specs: [SpecName]? = nil, control: Bool? = nil
    ) {
        self.runtimes = runtimes
        self.workloads = workloads
        self.sources = sources
        self.destinations = destinations
        self.specs = specs
        self.control = control
    }

    public func matches(_ cell: Cell) -> Bool {
        (runtimes?.contains(cell.runtime) ?? true) && (workloads?.contains(cell.workload) ?? true)
            && (sources?.contains(cell.source) ?? true) && (destinations?.contains(cell.destination) ?? true)
            && (specs?.contains(cell.spec) ?? true) && (control.map { $0 == cell.isControl } ?? true)
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
