public import CRModel

/// Why runs are not the shards of one run.
public enum MergeProblem: Hashable, Sendable {
    /// Nothing was named.
    case none
    case notAShard(run: String)
    /// Two runs were not made from the same thing: `what` names it.
    case differ(what: String, first: String, second: String)
    case missing([Int], of: Int)
    case unfinished(run: String, shard: Shard, cells: Int)
    /// The parts do not make the plan that they say they are parts of.
    case incomplete(cells: Int)
    /// A cell that several shards have (a control) went differently in two.
    case cell(Cell, first: String, firstRun: String, second: String, secondRun: String)
    /// A host of one name was not the same one everywhere.
    case host(HostName, what: String, firstRun: String, secondRun: String)

    var explanation: Explanation {
        switch self {
        case .none: problem("merge", "no run is named", "name the runs of all shards")
        case .notAShard(let run):
            problem(run, "it is not one part of a run", "name runs that were made with 'crlab run --shard'")
        case .differ(let what, let first, let second):
            problem("\(first), \(second)", "they differ in the \(what)", "merge the shards of one run only")
        case .missing(let indices, let count):
            problem(
                "merge", "of \(count) shards \(indices.map(String.init).joined(separator: ", ")) are missing",
                "name their runs too, or run them: 'crlab run --shard \(indices.first ?? 1)/\(count)'")
        case .unfinished(let run, let shard, let cells):
            problem(
                run, "shard \(shard) has \(cells) cells without a result",
                "continue it with 'crlab run --resume \(run)'")
        case .incomplete(let cells):
            problem(
                "merge", "together the shards have \(cells) cells, which are not those of their plan",
                "cut all shards with the same --costs")
        case .cell(let cell, let first, let firstRun, let second, let secondRun):
            problem(
                cell.id, "it \(first) in \(firstRun) and \(second) in \(secondRun)",
                "run one of the two shards again, and merge with that")
        case .host(let host, let what, let firstRun, let secondRun):
            problem(
                host.rawValue, "its \(what) differs between \(firstRun) and \(secondRun)",
                "run the shards with the same disk images and on like machines")
        }
    }

    private func problem(_ place: String, _ why: String, _ next: String) -> Explanation {
        Explanation(what: "cannot merge the runs", at: place, why: why, next: next)
    }
}
