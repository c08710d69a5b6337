/// One combination of a scenario's matrix.
public struct Cell: Hashable, Sendable {
    public var runtime: RuntimeName
    public var workload: WorkloadName
    public var source: HostName
    /// Hosts on which the workload is restored and dumped again on its way, in this order; empty unless the cell is a
    /// chain.
    public var via: [HostName]
    public var destination: HostName
    public var spec: SpecName

    public init(
        runtime: RuntimeName, workload: WorkloadName, source: HostName, via: [HostName] = [], destination: HostName,
        spec: SpecName = .standard
    ) {
        self.runtime = runtime
        self.workload = workload
        self.source = source
        self.via = via
        self.destination = destination
        self.spec = spec
    }

    /// The same-host cell, without which a cross-host failure says nothing about the destination host.
    public var isControl: Bool { source == destination && via.isEmpty }

    /// What has to be dumped for this cell: cells that differ only in the destination host share it.
    public var dump: DumpKey {
        DumpKey(runtime: runtime, workload: workload, source: source, via: via, spec: spec)
    }

    /// The same-host cell of this cell's source host; of a control the cell itself.
    public var control: Cell {
        Cell(runtime: runtime, workload: workload, source: source, destination: source, spec: spec)
    }

    /// The cells without which this one says nothing: its control, and of a chain also every shorter one on its way.
    public var needs: [Cell] {
        guard !isControl else { return [] }
        let shorter = via.indices.map { index in
            Cell(
                runtime: runtime, workload: workload, source: source, via: Array(via[..<index]),
                destination: via[index], spec: spec)
        }
        return [control] + shorter.filter { !$0.isControl }
    }

    /// The source host and the hosts on the way, as the identifier and tables have them: `SOURCE:VIA:VIA`.
    public var way: HostName { HostName(([source] + via).map(\.rawValue).joined(separator: ":")) }

    /// From where to where, for people: `a → b`, and every host of a chain.
    public var route: String { ([source] + via + [destination]).map(\.rawValue).joined(separator: " → ") }

    /// The stable identifier in results and on the command line: `RUNTIME/WORKLOAD/SOURCE/DESTINATION`, and `/SPEC`
    /// unless that is the default one. A chain names its way behind the source host: `SOURCE:VIA:VIA`.
    public var id: String {
        let parts = [runtime.rawValue, workload.rawValue, way.rawValue, destination.rawValue]
        return (parts + (spec == .standard ? [] : [spec.rawValue])).joined(separator: "/")
    }

    /// Reads ``id`` back; `nil` when it has not four or five non-empty parts.
    public init?(id: String) {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4 || parts.count == 5, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        let way = parts[2].split(separator: ":", omittingEmptySubsequences: false).map { HostName(String($0)) }
        guard let source = way.first, way.allSatisfy({ !$0.rawValue.isEmpty }) else { return nil }
        self.init(
            runtime: RuntimeName(parts[0]), workload: WorkloadName(parts[1]), source: source,
            via: Array(way.dropFirst()), destination: HostName(parts[3]),
            spec: parts.count == 5 ? SpecName(parts[4]) : .standard)
    }
}

extension Cell: Comparable {
    public static func < (left: Cell, right: Cell) -> Bool {
        let (one, other) = (
            (left.runtime, left.workload, left.spec, left.source, left.destination),
            (right.runtime, right.workload, right.spec, right.source, right.destination)
        )
        return one == other ? left.via.lexicographicallyPrecedes(right.via) : one < other
    }
}

/// One dump: made once on one host, restored on every destination host planned for it.
public struct DumpKey: Hashable, Sendable, Comparable {
    public var runtime: RuntimeName
    public var workload: WorkloadName
    /// Where the workload was started.
    public var source: HostName
    /// Where it was restored since, in this order; empty for a workload's first dump.
    public var via: [HostName]
    public var spec: SpecName

    public init(
        runtime: RuntimeName, workload: WorkloadName, source: HostName, via: [HostName] = [],
        spec: SpecName = .standard
    ) {
        self.runtime = runtime
        self.workload = workload
        self.source = source
        self.via = via
        self.spec = spec
    }

    /// Where the dump is made.
    public var host: HostName { via.last ?? source }

    /// The dump that has to be restored on ``host`` to make this one; `nil` for a workload's first dump.
    public var previous: DumpKey? {
        guard !via.isEmpty else { return nil }
        var previous = self
        previous.via.removeLast()
        return previous
    }

    public static func < (left: DumpKey, right: DumpKey) -> Bool {
        let (one, other) = (
            (left.runtime, left.workload, left.spec, left.source),
            (right.runtime, right.workload, right.spec, right.source)
        )
        return one == other ? left.via.lexicographicallyPrecedes(right.via) : one < other
    }
}

// Written without `via` where there is none: so were the records of runs before there were chains.
private enum CellKey: String, CodingKey {
    case runtime, workload, source, via, destination, spec
}

extension Cell: Codable {
    public init(from decoder: any Decoder) throws {
        let dump = try DumpKey(from: decoder)
        let container = try decoder.container(keyedBy: CellKey.self)
        self.init(
            runtime: dump.runtime, workload: dump.workload, source: dump.source, via: dump.via,
            destination: try container.decode(HostName.self, forKey: .destination), spec: dump.spec)
    }

    public func encode(to encoder: any Encoder) throws {
        try dump.encode(to: encoder)
        var container = encoder.container(keyedBy: CellKey.self)
        try container.encode(destination, forKey: .destination)
    }
}

extension DumpKey: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CellKey.self)
        self.init(
            runtime: try container.decode(RuntimeName.self, forKey: .runtime),
            workload: try container.decode(WorkloadName.self, forKey: .workload),
            source: try container.decode(HostName.self, forKey: .source),
            via: try container.decodeIfPresent([HostName].self, forKey: .via) ?? [],
            spec: try container.decode(SpecName.self, forKey: .spec))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CellKey.self)
        try container.encode(runtime, forKey: .runtime)
        try container.encode(workload, forKey: .workload)
        try container.encode(source, forKey: .source)
        if !via.isEmpty { try container.encode(via, forKey: .via) }
        try container.encode(spec, forKey: .spec)
    }
}
