import CRModel

/// What all reports say about a run, worked out once.
struct RunOverview {
    let results: Results
    let counts: RunCounts
    /// One for each runtime, workload and spec, sorted.
    let matrices: [Matrix]
    /// Failed cells by reason; those with unexpected cells first, then the largest.
    let groups: [ReasonGroup]
    /// Indices into `results.cells`.
    let unexpected: [Int]
    let misses: [Int]
    /// Cells that ended differently when they were repeated.
    let flaky: [Int]
    let unavailable: [(name: HostName, failure: LabFailure)]

    /// One source × destination table.
    struct Matrix {
        let runtime: RuntimeName
        let workload: WorkloadName
        let spec: SpecName
        /// Of a chain its whole way (`a:b`), so that it has a row of its own.
        let sources: [HostName]
        let destinations: [HostName]
        let counts: RunCounts
        fileprivate let places: [Pair: Int]

        /// Index into `results.cells`; `nil` where the run has no such cell.
        func cell(_ source: HostName, _ destination: HostName) -> Int? {
            places[Pair(source: source, destination: destination)]
        }

        /// Whether every cell of it was restored, as far as was expected.
        var isQuiet: Bool { counts.restored == counts.cells && counts.unexpected == 0 }
    }

    fileprivate struct Pair: Hashable {
        let source: HostName
        let destination: HostName
    }

    /// All failures with one reason.
    struct ReasonGroup {
        let reason: Reason
        let clusters: [Cluster]
        var count: Int { clusters.reduce(0) { $0 + $1.cells.count } }
        var unexpected: Int { clusters.reduce(0) { $0 + $1.unexpected } }
    }

    /// Failures with one cause, as far as reason and words tell: see ``CauseText``.
    struct Cluster {
        /// One sentence that is true of all cells.
        let summary: String
        let detail: CauseText.Detail
        /// The least that is known of any cell.
        let confidence: Confidence
        /// The finding of its first cell, as an example.
        let finding: Finding
        /// Indices into `results.cells`.
        let cells: [Int]
        let unexpected: Int
    }

    init(_ results: Results) {
        self.results = results
        counts = RunCounts(results.cells)
        matrices = Self.matrices(results.cells)
        groups = Self.groups(results.cells)
        unexpected = results.cells.indices.filter { results.cells[$0].expected == false }
        misses = results.cells.indices.filter { results.cells[$0].outcome == nil }
        flaky = results.cells.indices.filter { results.cells[$0].isFlaky }
        unavailable = results.hosts.sorted { $0.key < $1.key }.compactMap { name, host in
            host.unavailable.map { (name, $0) }
        }
    }

    /// Whether names of runtimes and specs tell anything.
    var hasSeveralRuntimes: Bool { Set(matrices.map(\.runtime)).count > 1 }
    var hasSpecs: Bool { matrices.contains { $0.spec != .standard } }

    /// Hosts in the order of their names.
    var hostNames: [HostName] {
        var names = Set(results.hosts.keys)
        for cell in results.cells.map(\.cell) { names.formUnion([cell.source, cell.destination] + cell.via) }
        return names.sorted()
    }

    /// Cells in a minute of the run; 0 for a run without duration.
    var cellsPerMinute: Double {
        results.run.durationSeconds > 0 ? Double(counts.cells) / results.run.durationSeconds * 60 : 0
    }

    /// What the matrix is called: its workload, with runtime and spec where they tell something.
    func title(of matrix: Matrix) -> String {
        var title = matrix.workload.rawValue
        if hasSeveralRuntimes { title += ", \(matrix.runtime)" }
        if matrix.spec != .standard { title += ", \(matrix.spec)" }
        return title
    }

    /// Whether a cell could not be tried because one of its hosts could not be had.
    func isUnavailable(_ result: CellResult) -> Bool {
        result.outcome == nil
            && ([result.cell.source, result.cell.destination] + result.cell.via).contains {
                results.hosts[$0]?.unavailable != nil
            }
    }

    private static func matrices(_ cells: [CellResult]) -> [Matrix] {
        var places: [DumpKey: [Int]] = [:]
        for (index, result) in cells.enumerated() {
            let cell = result.cell
            let key = DumpKey(runtime: cell.runtime, workload: cell.workload, source: "", spec: cell.spec)
            places[key, default: []].append(index)
        }
        return places.sorted { $0.key < $1.key }.map { key, indices in
            Matrix(
                runtime: key.runtime, workload: key.workload, spec: key.spec,
                sources: Set(indices.map { cells[$0].cell.way }).sorted(),
                destinations: Set(indices.map { cells[$0].cell.destination }).sorted(),
                counts: RunCounts(indices.map { cells[$0] }),
                places: Dictionary(
                    indices.map { (Pair(source: cells[$0].cell.way, destination: cells[$0].cell.destination), $0) },
                    uniquingKeysWith: { first, _ in first }))
        }
    }

    private static func groups(_ cells: [CellResult]) -> [ReasonGroup] {
        var causes: [CauseText: [Int]] = [:]
        for (index, result) in cells.enumerated() {
            guard let cause = CauseText(result) else { continue }
            causes[cause, default: []].append(index)
        }
        var groups: [Reason: [Cluster]] = [:]
        for (cause, indices) in causes {
            guard let finding = indices.first.flatMap({ cells[$0].finding }) else { continue }
            let sentence = CauseText.sentence(indices.map { cells[$0] })
            let confidences = Set(indices.compactMap { cells[$0].finding?.confidence })
            groups[cause.reason, default: []].append(
                Cluster(
                    summary: sentence.text, detail: sentence.detail,
                    confidence: Confidence.allCases.last(where: confidences.contains) ?? finding.confidence,
                    finding: finding, cells: indices, unexpected: indices.count { cells[$0].expected == false }))
        }
        return groups.map { reason, clusters in
            ReasonGroup(
                reason: reason,
                clusters: clusters.sorted {
                    ($1.unexpected, $1.cells.count, $0.summary, $0.cells[0])
                        < ($0.unexpected, $0.cells.count, $1.summary, $1.cells[0])
                })
        }
        .sorted { left, right in
            // Lab failures say nothing about compatibility, so they come after what does.
            let isLab = (left.reason.category == .harness, right.reason.category == .harness)
            if isLab.0 != isLab.1 { return isLab.1 }
            return (right.unexpected, right.count, left.reason.rawValue)
                < (left.unexpected, left.count, right.reason.rawValue)
        }
    }
}
