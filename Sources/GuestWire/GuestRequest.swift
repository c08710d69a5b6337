public import CRModel

/// What the lab asks the agent to do. One operation runs at a time; a second one waits in the lab.
public enum GuestRequest: Hashable, Sendable {
    /// Fingerprint the host again.
    case probe
    case listWorkloads
    /// Start a workload in a fresh cell and dump it. The reply is followed by the archive as a bulk stream when it says so.
    case dump(OperationRequest)
    /// Restore in a fresh cell, then verify. The archive follows the request as a bulk stream.
    case restore(OperationRequest)
    /// Restore in a fresh cell, let the workload go on, and dump it again. The archive follows the request as a bulk stream,
    /// and the new one the reply when it says so.
    case relay(RelayRequest)
    /// Start a workload in a fresh cell and verify it there, with neither dump nor restore.
    case verify(OperationRequest)
    case exec(ExecRequest)
    /// A login shell in a fresh cell; both directions are bulk streams, terminal bytes as they are.
    case shell(ShellRequest)
    /// New randomness and the current time: for a guest that was cloned or paused.
    case reseed(Welcome)
    case shutdown
}

/// A dump or a restore.
public struct OperationRequest: Codable, Hashable, Sendable {
    public var runtime: RuntimeName
    public var workload: WorkloadName
    public var seed: UInt64
    /// How long the runtime may take, and how long each wait on the workload may take.
    public var deadlineMilliseconds: Int
    /// What the scenario tells the runtime.
    public var options: RuntimeOptions
    /// Cut every file of the image in half before the restore, which then has to be refused; `nil` for no.
    public var cutImage: Bool?

    public init(
        runtime: RuntimeName, workload: WorkloadName, seed: UInt64 = 1, deadlineMilliseconds: Int,
        options: RuntimeOptions = RuntimeOptions(), cutImage: Bool? = nil
    ) {
        self.runtime = runtime
        self.workload = workload
        self.seed = seed
        self.deadlineMilliseconds = deadlineMilliseconds
        self.options = options
        self.cutImage = cutImage
    }
}

/// A restore, and the dump that follows it.
public struct RelayRequest: Codable, Hashable, Sendable {
    public var restore: OperationRequest
    public var dump: OperationRequest

    public init(restore: OperationRequest, dump: OperationRequest) {
        self.restore = restore
        self.dump = dump
    }
}

/// A command to run.
public struct ExecRequest: Codable, Hashable, Sendable {
    /// The program, seen from the userland's root, and its arguments.
    public var arguments: [String]
    public var deadlineMilliseconds: Int

    public init(arguments: [String], deadlineMilliseconds: Int) {
        self.arguments = arguments
        self.deadlineMilliseconds = deadlineMilliseconds
    }
}

/// A terminal to serve.
public struct ShellRequest: Codable, Hashable, Sendable {
    /// Empty for a login shell.
    public var arguments: [String]
    public var terminal: String
    public var rows: Int
    public var columns: Int

    public init(arguments: [String] = [], terminal: String, rows: Int, columns: Int) {
        self.arguments = arguments
        self.terminal = terminal
        self.rows = rows
        self.columns = columns
    }
}

extension GuestRequest: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: TaggedKey.self)
        let tag = try container.decode(String.self, forKey: .tag)
        switch tag {
        case "probe": self = .probe
        case "list-workloads": self = .listWorkloads
        case "dump": self = .dump(try container.decode(OperationRequest.self, forKey: .value))
        case "restore": self = .restore(try container.decode(OperationRequest.self, forKey: .value))
        case "relay": self = .relay(try container.decode(RelayRequest.self, forKey: .value))
        case "verify": self = .verify(try container.decode(OperationRequest.self, forKey: .value))
        case "exec": self = .exec(try container.decode(ExecRequest.self, forKey: .value))
        case "shell": self = .shell(try container.decode(ShellRequest.self, forKey: .value))
        case "reseed": self = .reseed(try container.decode(Welcome.self, forKey: .value))
        case "shutdown": self = .shutdown
        default: throw JSONError.shape(path: "tag", expected: "a known request, not '\(tag)'")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: TaggedKey.self)
        try container.encode(name, forKey: .tag)
        switch self {
        case .probe, .listWorkloads, .shutdown: break
        case .dump(let value), .restore(let value), .verify(let value): try container.encode(value, forKey: .value)
        case .relay(let value): try container.encode(value, forKey: .value)
        case .exec(let value): try container.encode(value, forKey: .value)
        case .shell(let value): try container.encode(value, forKey: .value)
        case .reseed(let value): try container.encode(value, forKey: .value)
        }
    }

    /// The word that names the request on the wire and in messages.
    public var name: String {
        switch self {
        case .probe: "probe"
        case .listWorkloads: "list-workloads"
        case .dump: "dump"
        case .restore: "restore"
        case .relay: "relay"
        case .verify: "verify"
        case .exec: "exec"
        case .shell: "shell"
        case .reseed: "reseed"
        case .shutdown: "shutdown"
        }
    }
}

enum TaggedKey: String, CodingKey {
    case tag, value
}
