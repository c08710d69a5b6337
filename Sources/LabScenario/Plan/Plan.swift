public import CRModel

/// One cell of a plan.
public struct PlannedCell: Sendable, Hashable {
    public var cell: Cell
    /// What the scenario expects; `nil` when no rule matches.
    public var expectation: Expectation?
    /// The scenario did not ask for this cell; another one says nothing without it (its control, or the shorter chain).
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
    /// What one boot of each host has to dump, sorted; a dump on a chain's way is made where that has led.
    public let dumpsByHost: [HostName: [DumpKey]]
    /// What one boot of each destination host has to restore, sorted.
    public let restoresByDestination: [HostName: [Cell]]
    /// What the writer of the scenario should know: rules that are expired, match nothing, or never decide.
    public let notes: [String]

    /// A scenario of more cells is a slip, and would run for weeks.
    public static let maximumCells = 100_000

    /// Works out the cells.
    ///
    /// A cell is planned when the matrix has it and no `exclude` pattern matches it, or when an `include` pattern matches
    /// it (whatever the matrix says). Chains are planned beside, unless an `exclude` pattern matches them. With
    /// `coverage` the matrix' cross-host cells are thinned out, but for those that an `include` pattern matches. For every
    /// cell those that it needs are added when they are not there (``CRModel/Cell/needs``): no pattern takes them out,
    /// because without its control a cross-host cell would say nothing.
    ///
    /// - Parameters:
    ///   - today: The day that decides which expectations are expired.
    ///   - only: Keeps the cells that any of these matches, and their controls; empty keeps all.
    /// - Throws: ``ScenarioError`` when no cell is left, or a selection names what the plan has not.
    public init(_ scenario: Scenario, today: CalendarDate, only: [CellSelection] = []) throws(ScenarioError) {
        let asked = try AskedCells(scenario).cells()
        guard !asked.isEmpty else { throw .nothingPlanned(file: scenario.file) }
        let whole = Self.withNeeded(asked)
        let rules = RuleBook(scenario.expect, today: today)
        let deciding = rules.deciding(whole.map(\.cell))
        let notes = Self.notes(scenario, rules: rules, cells: whole.map(\.cell), deciding: deciding)

        var planned = whole
        for index in planned.indices { planned[index].expectation = rules.expectation(deciding[index]) }
        if !only.isEmpty {
            let cells = whole.map(\.cell)
            var kept: Set<Cell> = []
            for selection in only { kept.formUnion(try selection.selected(of: cells)) }
            guard !kept.isEmpty else { throw .nothingSelected(only: only.map(\.text), cells: cells.count) }
            let expectations = Dictionary(uniqueKeysWithValues: planned.map { ($0.cell, $0.expectation) })
            planned = Self.withNeeded(kept.sorted())
            for index in planned.indices { planned[index].expectation = expectations[planned[index].cell] ?? nil }
        }
        self.init(scenario, cells: planned, notes: notes)
    }

    /// - Parameter cells: Sorted, none twice.
    init(_ scenario: Scenario, cells: [PlannedCell], notes: [String]) {
        self.scenario = scenario
        self.cells = cells
        self.notes = notes
        let needed = Set(cells.flatMap { [$0.cell.source, $0.cell.destination] + $0.cell.via })
        hosts = scenario.hosts.filter { needed.contains($0.name) }.sorted { $0.name < $1.name }
        dumps = Self.dumps(of: cells.map(\.cell))
        dumpsByHost = Dictionary(grouping: dumps, by: \.host)
        restoresByDestination = Dictionary(grouping: cells.map(\.cell), by: \.destination)
    }

    /// Every dump that the cells need, also those on a chain's way; sorted, none twice.
    private static func dumps(of cells: [Cell]) -> [DumpKey] {
        var dumps: Set<DumpKey> = []
        var last: DumpKey?
        for cell in cells where cell.dump != last {
            last = cell.dump
            var key: DumpKey? = cell.dump
            while let made = key, dumps.insert(made).inserted { key = made.previous }
        }
        return dumps.sorted()
    }

    /// The cells with those that they need: a cross-host cell its control, a chain also the shorter ones on its way.
    ///
    /// - Parameter cells: Sorted, none twice.
    private static func withNeeded(_ cells: [Cell]) -> [PlannedCell] {
        var known = Set(cells)
        var planned = cells.map { PlannedCell(cell: $0, expectation: nil, isAddedControl: false) }
        var last: DumpKey?
        for cell in cells where !cell.isControl {
            // Cells of one dump need the same.
            guard cell.dump != last else { continue }
            last = cell.dump
            for needed in cell.needs where known.insert(needed).inserted {
                planned.append(PlannedCell(cell: needed, expectation: nil, isAddedControl: true))
            }
        }
        return planned.count == cells.count ? planned : planned.sorted { $0.cell < $1.cell }
    }

    private static func notes(
        _ scenario: Scenario, rules: RuleBook, cells: [Cell], deciding: [Int?]
    ) -> [String] {
        var notes = rules.notes(for: cells, deciding: deciding)
        // Taken against everything that could be asked for, since a pattern may well have emptied its own part.
        let hosts = scenario.hosts.map(\.name)
        func canMatch(_ pattern: CellPattern) -> Bool {
            guard pattern.workloads?.contains(where: scenario.workloads.contains) ?? true else { return false }
            if pattern.chain == true || pattern.via != nil { return !scenario.chains.isEmpty }
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
