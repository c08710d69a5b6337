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
    public static let setNames = ["standard", "objects", "applications", "musl"]

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

extension Catalogue {
    /// Everything as lists of names by kind: what a run keeps, so that it is planned the same when it goes on later.
    public var names: [String: [String]] {
        var names = ["workloads": workloads.map(\.rawValue)]
        for (set, members) in sets { names["workloads: \(set)"] = members.map(\.rawValue) }
        names["runtimes"] = runtimes?.map(\.rawValue)
        names["kernels"] = kernels.map { Set($0).union(families.values.joined()).sorted() }
        names["userlands"] = userlands
        names["qemus"] = qemus
        return names
    }

    /// Reads ``names`` back.
    public init(names: [String: [String]]) {
        var sets: [String: [WorkloadName]] = [:]
        for (kind, members) in names where kind.hasPrefix("workloads: ") {
            sets[String(kind.dropFirst("workloads: ".count))] = members.map(WorkloadName.init(rawValue:))
        }
        self.init(
            workloads: (names["workloads"] ?? []).map(WorkloadName.init(rawValue:)), sets: sets,
            runtimes: names["runtimes"]?.map(RuntimeName.init(rawValue:)), kernels: names["kernels"],
            userlands: names["userlands"])
        qemus = names["qemus"]
    }
}
