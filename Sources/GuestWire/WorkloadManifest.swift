/// `workload.json` of a workload's folder.
public struct WorkloadManifest: Codable, Hashable, Sendable {
    public var name: String
    /// One sentence.
    public var summary: String
    /// The program, seen from the userland's root, and its arguments.
    public var command: [String]
    /// What it uses, for exclusion by runtime: `files`, `tcp-listen`, `threads`…
    public var needs: [String]
    /// What of the CPU it latches at start: `avx2`, `libc-ifunc`…; empty for nothing.
    public var latches: [String]
    /// How long it may take to get ready on the lab machine; scaled in a guest.
    public var readySeconds: Double
    /// A command run beside the workload after restore; `nil` when it has none.
    public var check: [String]?

    public init(
        name: String, summary: String, command: [String], needs: [String], latches: [String], readySeconds: Double,
        check: [String]?
    ) {
        self.name = name
        self.summary = summary
        self.command = command
        self.needs = needs
        self.latches = latches
        self.readySeconds = readySeconds
        self.check = check
    }

    private enum CodingKeys: String, CodingKey {
        case name, summary, command, needs, latches, readySeconds, check
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        summary = try container.decode(String.self, forKey: .summary)
        command = try container.decode([String].self, forKey: .command)
        needs = try container.decodeIfPresent([String].self, forKey: .needs) ?? []
        latches = try container.decodeIfPresent([String].self, forKey: .latches) ?? []
        readySeconds = try container.decodeIfPresent(Double.self, forKey: .readySeconds) ?? 20
        check = try container.decodeIfPresent([String].self, forKey: .check)
    }
}
