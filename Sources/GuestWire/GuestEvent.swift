import CRModel

/// What the agent says unasked.
public enum GuestEvent: Hashable, Sendable {
    /// Every second, whatever else goes on.
    case heartbeat(uptimeSeconds: Double, load: Double)
    /// A kernel message at warning level or above.
    case kernel(String)
    /// A message for whoever debugs the lab.
    case log(String)
    /// The guest must not be used again; the word is one of ``StageEvidence``'s taints.
    case taint(String, message: String)
}

extension GuestEvent: Codable {
    private enum Key: String, CodingKey {
        case tag, uptime, load, text, taint
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        let tag = try container.decode(String.self, forKey: .tag)
        switch tag {
        case "heartbeat":
            self = .heartbeat(
                uptimeSeconds: try container.decode(Double.self, forKey: .uptime),
                load: try container.decode(Double.self, forKey: .load))
        case "kernel": self = .kernel(try container.decode(String.self, forKey: .text))
        case "log": self = .log(try container.decode(String.self, forKey: .text))
        case "taint":
            self = .taint(
                try container.decode(String.self, forKey: .taint),
                message: try container.decode(String.self, forKey: .text))
        default: throw JSONError.shape(path: "tag", expected: "a known event, not '\(tag)'")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .heartbeat(let uptime, let load):
            try container.encode("heartbeat", forKey: .tag)
            try container.encode(uptime, forKey: .uptime)
            try container.encode(load, forKey: .load)
        case .kernel(let text):
            try container.encode("kernel", forKey: .tag)
            try container.encode(text, forKey: .text)
        case .log(let text):
            try container.encode("log", forKey: .tag)
            try container.encode(text, forKey: .text)
        case .taint(let taint, let message):
            try container.encode("taint", forKey: .tag)
            try container.encode(taint, forKey: .taint)
            try container.encode(message, forKey: .text)
        }
    }
}
