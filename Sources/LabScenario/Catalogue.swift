public import CRModel

/// What a scenario may name; everything it names is checked against this while it is read.
public struct Catalogue: Sendable {
    /// The workloads at hand: what `workloads: all` stands for.
    public var workloads: [WorkloadName]
    /// What a name of ``setNames`` stands for among the workloads; one that is absent is no name here.
    public var sets: [String: [WorkloadName]]
    /// Runtimes that guests can offer; `nil` takes any name.
    public var runtimes: [RuntimeName]?
    /// Kernel recipes; `nil` takes any name.
    public var kernels: [String]?
    /// Members of kernel families by family, oldest series first, as last seen on the mirror; empty for a family that
    /// nobody has looked up yet.
    public var families: [String: [String]] = [:]
    /// Whether a kernel that no recipe names may be a family's member; whether it is one, its host's preparation tells.
    public var mayBeKernel: @Sendable (String) -> Bool = { _ in false }
    /// QEMU recipes; `nil` takes any name.
    public var qemus: [String]?
    /// Userland recipes; `nil` takes any name.
    public var userlands: [String]?

    /// The sets that a workload may belong to, by its manifest: `standard` for those that name none.
    public static let setNames = ["standard", "objects", "applications"]

    public init(
        workloads: [WorkloadName], sets: [String: [WorkloadName]] = [:], runtimes: [RuntimeName]? = nil,
        kernels: [String]? = nil, userlands: [String]? = nil
    ) {
        self.workloads = workloads
        self.sets = sets
        self.runtimes = runtimes
        self.kernels = kernels
        self.userlands = userlands
    }
}
