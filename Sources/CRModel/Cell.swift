/// One combination of a scenario's matrix.
public struct Cell: Codable, Hashable, Sendable {
    public var runtime: RuntimeName
    public var workload: WorkloadName
    public var source: HostName
    public var destination: HostName
    public var spec: SpecName

    public init(
        runtime: RuntimeName, workload: WorkloadName, source: HostName, destination: HostName,
        spec: SpecName = .standard
    ) {
        self.runtime = runtime
        self.workload = workload
        self.source = source
        self.destination = destination
        self.spec = spec
    }

    /// The same-host cell, without which a cross-host failure says nothing about the destination host.
    public var isControl: Bool { source == destination }

    /// What has to be dumped for this cell: cells that differ only in the destination host share it.
    public var dump: DumpKey { DumpKey(runtime: runtime, workload: workload, source: source, spec: spec) }

    /// The stable identifier in results and on the command line:
    /// `RUNTIME/WORKLOAD/SOURCE/DESTINATION`, and `/SPEC` unless that is the default one.
    public var id: String {
        let parts = [runtime.rawValue, workload.rawValue, source.rawValue, destination.rawValue]
        return (parts + (spec == .standard ? [] : [spec.rawValue])).joined(separator: "/")
    }

    /// Reads ``id`` back; `nil` when it has not four or five non-empty parts.
    public init?(id: String) {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4 || parts.count == 5, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(
            runtime: RuntimeName(parts[0]), workload: WorkloadName(parts[1]), source: HostName(parts[2]),
            destination: HostName(parts[3]), spec: parts.count == 5 ? SpecName(parts[4]) : .standard)
    }
}

extension Cell: Comparable {
    public static func < (left: Cell, right: Cell) -> Bool {
        (left.runtime, left.workload, left.spec, left.source, left.destination)
            < (right.runtime, right.workload, right.spec, right.source, right.destination)
    }
}

/// One dump: made once on its source host, restored on every destination host planned for it.
public struct DumpKey: Codable, Hashable, Sendable, Comparable {
    public var runtime: RuntimeName
    public var workload: WorkloadName
    public var source: HostName
    public var spec: SpecName

    public init(runtime: RuntimeName, workload: WorkloadName, source: HostName, spec: SpecName = .standard) {
        self.runtime = runtime
        self.workload = workload
        self.source = source
        self.spec = spec
    }

    public static func < (left: DumpKey, right: DumpKey) -> Bool {
        (left.runtime, left.workload, left.spec, left.source)
            < (right.runtime, right.workload, right.spec, right.source)
    }
}
