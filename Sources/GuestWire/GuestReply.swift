public import CRModel

/// What the agent answers.
public enum GuestReply: Hashable, Sendable {
    case fingerprint(HostFingerprint)
    case workloads([WorkloadManifest])
    /// One stage for a dump, one or two for a restore.
    case stages(StagesReply)
    case exec(ExecOutcome)
    /// Done, nothing to tell.
    case done
    /// The agent could not do what was asked; the guest's or the lab's fault, never the experiment's.
    case failed(AgentFailure)
}

/// Evidence of a dump or a restore.
public struct StagesReply: Codable, Hashable, Sendable {
    public var stages: [StageEvidence]
    /// Whether the archive follows as a bulk stream.
    public var archiveFollows: Bool

    public init(stages: [StageEvidence], archiveFollows: Bool) {
        self.stages = stages
        self.archiveFollows = archiveFollows
    }
}

/// How a command ended.
public struct ExecOutcome: Codable, Hashable, Sendable {
    public var exitStatus: Int?
    public var signal: Int?
    /// Standard output and error, at most 512 KiB each.
    public var output: String
    public var errors: String

    public init(exitStatus: Int?, signal: Int?, output: String, errors: String) {
        self.exitStatus = exitStatus
        self.signal = signal
        self.output = output
        self.errors = errors
    }
}

/// Why the agent could not do what was asked.
public struct AgentFailure: Codable, Hashable, Sendable {
    /// A `harness.*` reason.
    public var reason: Reason
    public var message: String
    /// Whether the guest must not be used again.
    public var taints: [String]

    public init(reason: Reason, message: String, taints: [String] = []) {
        self.reason = reason
        self.message = message
        self.taints = taints
    }
}

extension GuestReply: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: TaggedKey.self)
        let tag = try container.decode(String.self, forKey: .tag)
        switch tag {
        case "fingerprint": self = .fingerprint(try container.decode(HostFingerprint.self, forKey: .value))
        case "workloads": self = .workloads(try container.decode([WorkloadManifest].self, forKey: .value))
        case "stages": self = .stages(try container.decode(StagesReply.self, forKey: .value))
        case "exec": self = .exec(try container.decode(ExecOutcome.self, forKey: .value))
        case "done": self = .done
        case "failed": self = .failed(try container.decode(AgentFailure.self, forKey: .value))
        default: throw JSONError.shape(path: "tag", expected: "a known reply, not '\(tag)'")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: TaggedKey.self)
        switch self {
        case .fingerprint(let value):
            try container.encode("fingerprint", forKey: .tag)
            try container.encode(value, forKey: .value)
        case .workloads(let value):
            try container.encode("workloads", forKey: .tag)
            try container.encode(value, forKey: .value)
        case .stages(let value):
            try container.encode("stages", forKey: .tag)
            try container.encode(value, forKey: .value)
        case .exec(let value):
            try container.encode("exec", forKey: .tag)
            try container.encode(value, forKey: .value)
        case .done:
            try container.encode("done", forKey: .tag)
        case .failed(let value):
            try container.encode("failed", forKey: .tag)
            try container.encode(value, forKey: .value)
        }
    }
}
