import CRModel

/// The cells that a scenario itself asks for, before those are added that they need.
struct AskedCells {
    private let scenario: Scenario
    private let include: [CompiledPattern]
    private let exclude: [CompiledPattern]
    private let hosts: [HostName]

    init(_ scenario: Scenario) {
        self.scenario = scenario
        include = scenario.include.map { CompiledPattern($0.pattern) }
        exclude = scenario.exclude.map { CompiledPattern($0.pattern) }
        hosts = scenario.hosts.map(\.name).sorted()
    }

    /// Sorted, none twice.
    ///
    /// - Throws: `ScenarioError.tooManyCells` before too much work, and for too long an answer.
    func cells() throws(ScenarioError) -> [Cell] {
        let destinations = matrixDestinations()
        let columns = scenario.runtimes.count * scenario.workloads.count * scenario.specs.count
        let asked = destinations.values.reduce(scenario.chains.count) { $0 + $1.count }
        // Bounds the work, not only the answer: every combination is looked at.
        let (size, overflow) = (include.isEmpty ? asked : hosts.count * hosts.count)
            .multipliedReportingOverflow(by: columns)
        guard !overflow, size <= 10 * Plan.maximumCells else {
            throw .tooManyCells(file: scenario.file, cells: overflow ? .max : size, limit: Plan.maximumCells)
        }
        var cells: [Cell] = []
        for runtime in scenario.runtimes.map(\.name).sorted() {
            for workload in scenario.workloads.sorted() {
                for spec in scenario.specs.map(\.name).sorted() {
                    cells += direct(runtime, workload, spec, destinations)
                }
            }
        }
        if let strength = scenario.coverage { cells = thinned(cells, strength: strength) }
        let chains = chainCells()
        if !chains.isEmpty { cells = (cells + chains).sorted() }
        guard cells.count <= Plan.maximumCells else {
            throw .tooManyCells(file: scenario.file, cells: cells.count, limit: Plan.maximumCells)
        }
        return cells
    }

    private func matrixDestinations() -> [HostName: Set<HostName>] {
        switch scenario.matrix {
        case .product(let sources, let destinations):
            Dictionary(sources.map { ($0, Set(destinations)) }, uniquingKeysWith: { first, _ in first })
        case .pairs(let pairs):
            Dictionary(grouping: pairs, by: \.source).mapValues { Set($0.map(\.destination)) }
        }
    }

    private func direct(
        _ runtime: RuntimeName, _ workload: WorkloadName, _ spec: SpecName, _ matrix: [HostName: Set<HostName>]
    ) -> [Cell] {
        var cells: [Cell] = []
        // With nothing to include, only what the matrix has needs to be looked at.
        for source in include.isEmpty ? matrix.keys.sorted() : hosts {
            let asked = matrix[source] ?? []
            for destination in include.isEmpty ? asked.sorted() : hosts {
                let cell = Cell(
                    runtime: runtime, workload: workload, source: source, destination: destination, spec: spec)
                if include.contains(where: { $0.matches(cell) })
                    || asked.contains(destination) && !exclude.contains(where: { $0.matches(cell) })
                {
                    cells.append(cell)
                }
            }
        }
        return cells
    }

    private func chainCells() -> [Cell] {
        var cells: Set<Cell> = []
        for runtime in scenario.runtimes.map(\.name) {
            for workload in scenario.workloads {
                for spec in scenario.specs {
                    for chain in scenario.chains where chain.count > 2 {
                        let cell = Cell(
                            runtime: runtime, workload: workload, source: chain[0],
                            via: Array(chain[1..<chain.count - 1]),
                            destination: chain[chain.count - 1], spec: spec.name)
                        if !exclude.contains(where: { $0.matches(cell) }) { cells.insert(cell) }
                    }
                }
            }
        }
        return cells.sorted()
    }

    /// Controls are no candidates: they come back for every dump that is chosen.
    private func thinned(_ cells: [Cell], strength: Int) -> [Cell] {
        let candidates = cells.filter { !$0.isControl }
        guard !candidates.isEmpty else { return cells }
        let covering = Covering(candidates, hosts: HostFactors(scenario.hosts), strength: strength)
        let must = candidates.indices.filter { index in include.contains { $0.matches(candidates[index]) } }
        let controls = cells.filter { cell in cell.isControl && include.contains { $0.matches(cell) } }
        return (covering.choose(including: must).map { candidates[$0] } + controls).sorted()
    }
}
