public import CRModel

/// What a scenario may name; everything it names is checked against this while it is read.
public struct Catalogue: Sendable {
    /// The workloads at hand: what `workloads: all` stands for.
    public var workloads: [WorkloadName]
    /// Runtimes that guests can offer; `nil` takes any name.
    public var runtimes: [RuntimeName]?
    /// Kernel recipes; `nil` takes any name.
    public var kernels: [String]?
    /// Userland recipes; `nil` takes any name.
    public var userlands: [String]?

    public init(
        workloads: [WorkloadName], runtimes: [RuntimeName]? = nil, kernels: [String]? = nil, userlands: [String]? = nil
    ) {
        self.workloads = workloads
        self.runtimes = runtimes
        self.kernels = kernels
        self.userlands = userlands
    }
}
