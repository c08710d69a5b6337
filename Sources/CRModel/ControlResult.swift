/// What shows that a destination host can be believed, beside the same-host cells.
public struct ControlResult: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// An image whose files were all cut in half: a host on which a runtime takes that for whole cannot say no, and
        /// what was restored there shows nothing. Once for each runtime and destination host.
        case knownFault = "known-fault"
        /// The workload on the destination host with neither dump nor restore, where one of its restores failed: if it
        /// does not work so either, that says nothing about the restore.
        case workloadAlone = "workload-alone"
    }

    public var kind: Kind
    /// `nil` for ``Kind/workloadAlone``.
    public var runtime: RuntimeName?
    /// `nil` for ``Kind/knownFault``.
    public var workload: WorkloadName?
    public var host: HostName
    /// `nil` when the lab could not find it out.
    public var passed: Bool?
    /// One sentence: what was seen.
    public var summary: String

    public init(
        kind: Kind, runtime: RuntimeName? = nil, workload: WorkloadName? = nil, host: HostName, passed: Bool?,
        summary: String
    ) {
        self.kind = kind
        self.runtime = runtime
        self.workload = workload
        self.host = host
        self.passed = passed
        self.summary = summary
    }

    private enum CodingKeys: String, CodingKey {
        case kind, runtime, workload, host, passed, summary
    }

    /// `passed` is written as `null` where it is not known.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        try container.encodeIfPresent(runtime, forKey: .runtime)
        try container.encodeIfPresent(workload, forKey: .workload)
        try container.encode(host, forKey: .host)
        try container.encode(passed, forKey: .passed)
        try container.encode(summary, forKey: .summary)
    }

    /// `known-fault/native/HOST`, `workload-alone/counter/HOST`.
    public var id: String { "\(kind.rawValue)/\(runtime?.rawValue ?? workload?.rawValue ?? "")/\(host)" }
}

/// How often a new failure was repeated, and what came of it; its first attempt included, lab failures not.
public struct Confirmation: Codable, Hashable, Sendable {
    public var restored: Int
    public var refused: Int
    public var broke: Int

    public init(restored: Int = 0, refused: Int = 0, broke: Int = 0) {
        self.restored = restored
        self.refused = refused
        self.broke = broke
    }

    /// Counts outcomes.
    public init(_ outcomes: [Outcome]) {
        self.init(
            restored: outcomes.count { $0 == .restored }, refused: outcomes.count { $0 == .refused },
            broke: outcomes.count { $0 == .broke })
    }

    public var attempts: Int { restored + refused + broke }

    /// Not every attempt ended alike: the cell says little about the hosts, and something about how reliable it all is.
    public var isFlaky: Bool { [restored, refused, broke].count { $0 > 0 } > 1 }

    /// `restored 1, broke 2 of 3 times`.
    public var text: String {
        let parts = [("restored", restored), ("refused", refused), ("broke", broke)].filter { $0.1 > 0 }
        return parts.map { "\($0.0) \($0.1)" }.joined(separator: ", ") + " of \(attempts) times"
    }
}
