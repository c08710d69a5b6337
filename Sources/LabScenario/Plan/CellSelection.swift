import CRModel

/// What `--only` picks out of a plan.
public struct CellSelection: Sendable, Hashable {
    /// As it was typed.
    public let text: String
    /// The one cell that is meant; `nil` for a selection by names.
    let cell: Cell?
    /// Key to names or patterns of names.
    let names: [String: [String]]
    let control: Bool?
    let chain: Bool?

    /// Reads `workload=counter|object-*,destination=nehalem`, or the identifier of one cell.
    ///
    /// - Throws: ``ScenarioError/selectionInvalid(text:why:)``; names are checked by the plan, which knows them.
    public init(parsing text: String) throws(ScenarioError) {
        self.text = text
        if let cell = Cell(id: text), !text.contains("=") {
            self.cell = cell
            names = [
                "runtime": [cell.runtime.rawValue], "workload": [cell.workload.rawValue],
                "source": [cell.source.rawValue], "destination": [cell.destination.rawValue],
                "spec": [cell.spec.rawValue],
            ]
            (control, chain) = (nil, nil)
            return
        }
        cell = nil
        var fields: [String: [String]] = [:]
        var flags: [String: Bool] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2 else { throw .selectionInvalid(text: text, why: "'\(part)' is not KEY=NAME") }
            let (key, words) = (
                sides[0], sides[1].split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            )
            guard words.allSatisfy({ Choice.word($0) != nil }) else {
                throw .selectionInvalid(text: text, why: "'\(sides[1])' is no name")
            }
            guard fields[key] == nil, flags[key] == nil else {
                throw .selectionInvalid(text: text, why: "'\(key)' is given twice")
            }
            guard CellPattern.keys.contains(key) else {
                throw .selectionInvalid(text: text, why: "there is no key '\(key)'")
            }
            if key == "control" || key == "chain" {
                guard words == ["true"] || words == ["false"] else {
                    throw .selectionInvalid(text: text, why: "'\(key)' is true or false")
                }
                flags[key] = words == ["true"]
            } else {
                fields[key] = words
            }
        }
        names = fields
        control = flags["control"]
        chain = flags["chain"]
    }

    /// What of the cells is selected.
    ///
    /// - Throws: `ScenarioError.selectionUnknown` for a name that no cell has, so that a slip is not taken for "nothing
    ///   to do".
    func selected(of cells: [Cell]) throws(ScenarioError) -> [Cell] {
        let pattern = CompiledPattern(
            CellPattern(
                runtimes: try chosen("runtime", cells.map(\.runtime)),
                workloads: try chosen("workload", cells.map(\.workload)),
                sources: try chosen("source", cells.map(\.source)),
                destinations: try chosen("destination", cells.map(\.destination)),
                specs: try chosen("spec", cells.map(\.spec)), via: try chosen("via", cells.flatMap(\.via)),
                chain: chain,
                control: control))
        if let cell { return cells.filter { $0 == cell } }
        return cells.filter(pattern.matches)
    }

    private func chosen<Value: Name>(
        _ key: String, _ known: @autoclosure () -> [Value]
    ) throws(ScenarioError) -> [Value]? {
        guard let words = names[key] else { return nil }
        let known = Set(known()).sorted().map(\.rawValue)
        let (names, unknown) = Choice.names(words, among: known)
        if let unknown { throw .selectionUnknown(text: text, key: key, name: unknown, known: known) }
        return names.map(Value.init(rawValue:))
    }
}
