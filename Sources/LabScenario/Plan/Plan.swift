public import CRModel

/// One cell of a plan.
public struct PlannedCell: Sendable, Hashable {
    public var cell: Cell
    /// What the scenario expects; `nil` when no rule matches.
    public var expectation: Expectation?
    /// The scenario did not ask for this control; a cross-host cell needs it.
    public var isAddedControl: Bool

    public init(cell: Cell, expectation: Expectation?, isAddedControl: Bool) {
        self.cell = cell
        self.expectation = expectation
        self.isAddedControl = isAddedControl
    }
}

/// What a run will do: the same for the same scenario, selection and day.
public struct Plan: Sendable, Equatable {
    public let scenario: Scenario
    /// Sorted by cell, none twice, never empty.
    public let cells: [PlannedCell]
    /// The hosts that any cell needs, sorted by name.
    public let hosts: [HostSpec]
    /// Every dump that any cell needs, sorted, none twice.
    public let dumps: [DumpKey]
    /// What one boot of each source host has to dump, sorted.
    public let dumpsBySource: [HostName: [DumpKey]]
    /// What one boot of each destination host has to restore, sorted.
    public let restoresByDestination: [HostName: [Cell]]
    /// What the writer of the scenario should know: rules that are expired, match nothing, or never decide.
    public let notes: [String]

    /// A scenario of more cells is a slip, and would run for weeks.
    public static let maximumCells = 100_000

    /// Works out the cells.
    ///
    /// A cell is planned when the matrix has it and no `exclude` pattern matches it, or when an `include` pattern matches
    /// it (whatever the matrix says). For every cross-host cell its control, the same-host cell, is added when it is not
    /// there: no pattern takes it out, because without it the cross-host cell would say nothing.
    ///
    /// - Parameters:
    ///   - today: The day that decides which expectations are expired.
    ///   - only: Keeps the cells that any of these matches, and their controls; empty keeps all.
    /// - Throws: ``ScenarioError`` when no cell is left, or a selection names what the plan has not.
    public init(_ scenario: Scenario, today: CalendarDate, only: [CellSelection] = []) throws(ScenarioError) {
        let asked = try Self.askedCells(scenario)
        guard !asked.isEmpty else { throw .nothingPlanned(file: scenario.file) }
        let whole = Self.withControls(asked)
        let rules = RuleBook(scenario.expect, today: today)
        notes = Self.notes(scenario, rules: rules, cells: whole)

        var kept = asked
        if !only.isEmpty {
            for selection in only { try selection.check(against: whole) }
            kept = Set(whole.filter { cell in only.contains { $0.pattern.matches(cell) } })
            guard !kept.isEmpty else { throw .nothingSelected(only: only.map(\.text), cells: whole.count) }
        }
        let cells = Self.withControls(kept)

        self.scenario = scenario
        self.cells = cells.map { cell in
            PlannedCell(cell: cell, expectation: rules.expectation(for: cell), isAddedControl: !kept.contains(cell))
        }
        let needed = Set(cells.flatMap { [$0.source, $0.destination] })
        hosts = scenario.hosts.filter { needed.contains($0.name) }.sorted { $0.name < $1.name }
        dumps = Set(cells.map(\.dump)).sorted()
        dumpsBySource = Dictionary(grouping: dumps, by: \.source)
        restoresByDestination = Dictionary(grouping: cells, by: \.destination)
    }

    private static func askedCells(_ scenario: Scenario) throws(ScenarioError) -> Set<Cell> {
        let factors = [scenario.runtimes.count, scenario.workloads.count, scenario.specs.count]
        let size = factors.reduce(scenario.hosts.count * scenario.hosts.count) { product, factor in
            let (result, overflow) = product.multipliedReportingOverflow(by: factor)
            return overflow ? .max : result
        }
        // Bounds the work, not only the answer: every combination is looked at.
        guard size <= 10 * maximumCells else {
            throw .tooManyCells(file: scenario.file, cells: size, limit: maximumCells)
        }
        var cells: Set<Cell> = []
        for runtime in scenario.runtimes.map(\.name) {
            for workload in scenario.workloads {
                for spec in scenario.specs {
                    for source in scenario.hosts {
                        for destination in scenario.hosts {
                            let cell = Cell(
                                runtime: runtime, workload: workload, source: source.name,
                                destination: destination.name, spec: spec.name)
                            if isAsked(cell, scenario) { cells.insert(cell) }
                        }
                    }
                }
            }
        }
        guard cells.count <= maximumCells else {
            throw .tooManyCells(file: scenario.file, cells: cells.count, limit: maximumCells)
        }
        return cells
    }

    private static func isAsked(_ cell: Cell, _ scenario: Scenario) -> Bool {
        if scenario.include.contains(where: { $0.pattern.matches(cell) }) { return true }
        return scenario.matrix.contains(source: cell.source, destination: cell.destination)
            && !scenario.exclude.contains { $0.pattern.matches(cell) }
    }

    private static func withControls(_ cells: Set<Cell>) -> [Cell] {
        let controls = cells.lazy.map { cell in
            var control = cell
            control.destination = cell.source
            return control
        }
        return cells.union(controls).sorted()
    }

    private static func notes(_ scenario: Scenario, rules: RuleBook, cells: [Cell]) -> [String] {
        var notes = rules.notes(for: cells)
        // Taken against everything that could be asked for, since a pattern may well have emptied its own part.
        let hosts = scenario.hosts.map(\.name)
        func canMatch(_ pattern: CellPattern) -> Bool {
            guard pattern.workloads?.contains(where: scenario.workloads.contains) ?? true else { return false }
            let sources = pattern.sources ?? hosts
            let destinations = pattern.destinations ?? hosts
            guard let control = pattern.control else { return true }
            return sources.contains { source in destinations.contains { (source == $0) == control } }
        }
        for (key, patterns) in [("exclude", scenario.exclude), ("include", scenario.include)] {
            for rule in patterns where !canMatch(rule.pattern) {
                notes.append("\(rule.place): this '\(key)' pattern can match no cell")
            }
        }
        return notes
    }
}
