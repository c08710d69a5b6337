public import CRModel

/// A scenario file, read and checked: every name in it is known.
public struct Scenario: Sendable, Equatable {
    /// The file's name without its ending.
    public var name: String
    /// One sentence for people; empty when the file has none.
    public var title: String
    /// The file as it was read; what a run keeps, so that it can be resumed and repeated.
    public var text: String
    /// In the file's order.
    public var hosts: [HostSpec]
    /// The user's own kernels by name.
    public var kernels: [String: OwnKernel]
    /// The user's own root file systems by name.
    public var userlands: [String: OwnUserland]
    public var runtimes: [RuntimeSpec]
    /// Never `all`: that is resolved by the catalogue.
    public var workloads: [WorkloadName]
    public var specs: [ScenarioSpec]
    public var matrix: Matrix
    /// Ways over three hosts or more: dumped on the first, restored and dumped again on each in between, restored on the
    /// last. Beside what ``matrix`` has.
    public var chains: [[HostName]]
    /// Keeps of the matrix only so many cells that every combination of this many factors' values still occurs; `nil`
    /// keeps all.
    public var coverage: Int?
    public var exclude: [PlacedPattern]
    public var include: [PlacedPattern]
    public var expect: [ExpectationRule]
    public var timeouts: Timeouts
    /// How often each failure that is not expected is repeated, to tell flaky from broken; 0 for never.
    public var confirm: Int = 0
    /// What workloads draw their data from.
    public var seed: UInt64
    /// What could be named when the file was read, by kind (``Catalogue/names``), so that a run reads it the same later.
    public var names: [String: [String]]
    /// The file, as named to ``parse(_:file:catalogue:)``.
    public var file: String

    /// The host of a name; `nil` when the scenario has none.
    public func host(_ name: HostName) -> HostSpec? { hosts.first { $0.name == name } }

    /// The runtime of a name; one that the scenario has not stands for itself.
    public func runtime(_ name: RuntimeName) -> RuntimeSpec {
        runtimes.first { $0.name == name } ?? RuntimeSpec(name)
    }
}

/// A kernel that the user brings along; paths are relative to the scenario file's folder.
public struct OwnKernel: Sendable, Hashable {
    /// A `bzImage` or `vmlinuz`.
    public var bzImage: String
    /// The folder that holds `kernel/…/*.ko`; `nil` when everything needed is built in.
    public var modules: String?

    public init(bzImage: String, modules: String? = nil) {
        self.bzImage = bzImage
        self.modules = modules
    }
}

/// A root file system that the user brings along; paths are relative to the scenario file's folder.
public enum OwnUserland: Sendable, Hashable {
    case directory(String)
    case tar(String)
}

/// Which hosts dump for which.
public enum Matrix: Sendable, Hashable {
    /// Each source host with each destination host.
    case product(sources: [HostName], destinations: [HostName])
    /// Only these; in the file's order, none twice.
    case pairs([HostPair])

    public func contains(source: HostName, destination: HostName) -> Bool {
        switch self {
        case .product(let sources, let destinations): sources.contains(source) && destinations.contains(destination)
        case .pairs(let pairs): pairs.contains(HostPair(source: source, destination: destination))
        }
    }
}

/// A source host and a destination host.
public struct HostPair: Sendable, Hashable {
    public var source: HostName
    public var destination: HostName

    public init(source: HostName, destination: HostName) {
        self.source = source
        self.destination = destination
    }
}

/// One value of the container-spec factor.
///
/// Today there is only ``standard``. The spec itself, and what differs at the source and at the destination host, become
/// members here; cells, dumps, patterns and the file's `spec` key already carry the name.
public struct ScenarioSpec: Sendable, Hashable {
    public var name: SpecName

    public init(name: SpecName) { self.name = name }

    public static let standard = ScenarioSpec(name: .standard)
}
