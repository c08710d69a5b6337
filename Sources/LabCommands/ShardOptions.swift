public import ArgumentParser
public import CRModel
import LabRunner
import LabScenario

/// Which part of a plan, for commands that can do a part.
struct ShardOptions: ParsableArguments, Sendable {
    @Option(help: "Only part I of N, as I/N: all parts together are the whole run (see 'crlab merge').")
    var shard: Shard?

    @Option(help: "Cut by what cells cost in this run (identifier, folder or results.json); the same for every shard.")
    var costs: String?

    func validate() throws {
        if costs != nil && shard == nil { throw ValidationError("--costs belongs to --shard") }
    }

    /// `nil` when all of the plan is meant.
    func part(of plan: Plan, _ control: RunControl) throws -> (shard: Shard, plan: Plan)? {
        guard let shard else { return nil }
        let costs = try costs.map { try control.costs(measuredIn: $0) } ?? .documented
        return (shard, plan.shard(shard, costs: costs))
    }
}

extension Shard: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
