import CRModel

/// What `--only` picks out of a plan.
public struct CellSelection: Sendable, Hashable {
    public let pattern: CellPattern
    /// As it was typed.
    public let text: String

    /// Reads `workload=counter|pipes,destination=nehalem`, or the identifier of one cell.
    ///
    /// - Throws: ``ScenarioError/selectionInvalid(text:why:)``; names are checked by the plan, which knows them.
    public init(parsing text: String) throws(ScenarioError) {
        self.text = text
        if let cell = Cell(id: text), !text.contains("=") {
            pattern = CellPattern(
                runtimes: [cell.runtime], workloads: [cell.workload], sources: [cell.source],
                destinations: [cell.destination], specs: [cell.spec])
            return
        }
        var pattern = CellPattern()
        var seen: Set<String> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2 else { throw .selectionInvalid(text: text, why: "'\(part)' is not KEY=NAME") }
            let names = sides[1].split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard names.allSatisfy(YAMLNode.isName) else {
                throw .selectionInvalid(text: text, why: "'\(sides[1])' is no name")
            }
            guard seen.insert(sides[0]).inserted else {
                throw .selectionInvalid(text: text, why: "'\(sides[0])' is given twice")
            }
            switch sides[0] {
            case "runtime": pattern.runtimes = names.map(RuntimeName.init(rawValue:))
            case "workload": pattern.workloads = names.map(WorkloadName.init(rawValue:))
            case "source": pattern.sources = names.map(HostName.init(rawValue:))
            case "destination": pattern.destinations = names.map(HostName.init(rawValue:))
            case "spec": pattern.specs = names.map(SpecName.init(rawValue:))
            case "control" where names == ["true"] || names == ["false"]: pattern.control = names == ["true"]
            case "control": throw .selectionInvalid(text: text, why: "'control' is true or false")
            default: throw .selectionInvalid(text: text, why: "there is no key '\(sides[0])'")
            }
        }
        self.pattern = pattern
    }

    /// Refuses names that no cell of the plan has, so that a slip is not taken for "nothing to do".
    func check(against cells: [Cell]) throws(ScenarioError) {
        try check("runtime", pattern.runtimes, cells.map(\.runtime))
        try check("workload", pattern.workloads, cells.map(\.workload))
        try check("source", pattern.sources, cells.map(\.source))
        try check("destination", pattern.destinations, cells.map(\.destination))
        try check("spec", pattern.specs, cells.map(\.spec))
    }

    private func check<Value: Name>(_ key: String, _ names: [Value]?, _ known: [Value]) throws(ScenarioError) {
        let known = Set(known)
        for name in names ?? [] where !known.contains(name) {
            throw .selectionUnknown(
                text: text, key: key, name: name.rawValue, known: known.sorted().map(\.rawValue))
        }
    }
}
