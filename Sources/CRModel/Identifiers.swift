/// A name that a user typed: a string with a type, so that a host is never passed where a workload is meant.
public protocol Name: RawRepresentable<String>, Codable, Hashable, Sendable, Comparable, CustomStringConvertible,
    ExpressibleByStringLiteral, CodingKeyRepresentable
{
    init(rawValue: String)
}

extension Name {
    public init(_ text: String) { self.init(rawValue: text) }
    public init(stringLiteral value: String) { self.init(rawValue: value) }
    public var description: String { rawValue }
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// A host of a scenario.
public struct HostName: Name {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// A workload: the name of its folder.
public struct WorkloadName: Name {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// A runtime that dumps and restores: `native`, `criu`, `runsc`, or a versioned one such as `criu-4.1.1`.
public struct RuntimeName: Name {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The engine that crlab brings along.
    public static let native: RuntimeName = "native"
}

/// A container spec of a scenario; `default` when the scenario names none.
public struct SpecName: Name {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let standard: SpecName = "default"
}
