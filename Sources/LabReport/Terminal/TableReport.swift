public import CRModel

/// The run for a terminal: answer, matrices, causes, unexpected cells and lab failures.
public enum TableReport {
    private static let listLimit = 12

    /// - Parameters:
    ///   - columns: Width to keep to; long names may exceed it.
    ///   - colour: Whether the terminal shows colours.
    public static func render(_ results: Results, columns: Int = 80, colour: Bool = false) -> String {
        let overview = RunOverview(results)
        let style = Style(colour: colour)
        let run = results.run
        var blocks = [
            style.bold(Escape.terminal(run.title.isEmpty ? run.scenario : run.title)) + "\n"
                + Layout.wrap(
                    "\(overview.numbers) \(Words.duration(seconds: run.durationSeconds)), "
                        + "\(Words.count(run.boots, "boot")), \(Words.decimal(overview.cellsPerMinute)) cells/min, "
                        + "\(run.accelerator), QEMU \(run.qemuVersion).", columns: columns)
        ]
        blocks += doubts(overview, columns: columns, style)
        blocks += matrices(overview, columns: columns, style)
        blocks.append(legend(style))
        blocks += causes(overview, columns: columns, style)
        blocks += failures(overview, columns: columns, style)
        return blocks.joined(separator: "\n\n") + "\n"
    }

    /// What makes outcomes doubtful comes before them.
    private static func doubts(_ overview: RunOverview, columns: Int, _ style: Style) -> [String] {
        let flaky = overview.flaky.map { index in
            let result = overview.results.cells[index]
            return "\(result.cell.id): \(result.confirmation?.text ?? "")"
        }
        let all = [("Controls that failed", overview.failedControls), ("Flaky: they did not end alike", flaky)]
        return all.filter { !$0.1.isEmpty }.map { title, texts in
            let lines = texts.prefix(listLimit).map {
                Layout.wrap($0, columns: columns, indent: "      ", first: "  ! ")
            }
            return ([style.alarm(title)] + lines + more(texts.count)).joined(separator: "\n")
        }
    }

    /// Workloads with the same picture share one matrix: twelve equal ones teach no more than one.
    private static func matrices(_ overview: RunOverview, columns: Int, _ style: Style) -> [String] {
        let quiet = overview.matrices.filter(foldsAway)
        var order: [String] = []
        var byPicture: [String: [String]] = [:]
        for matrix in overview.matrices where !foldsAway(matrix) {
            let picture = picture(matrix, overview.results.cells, columns: columns, style)
            if byPicture[picture] == nil { order.append(picture) }
            byPicture[picture, default: []].append(Escape.terminal(overview.title(of: matrix)))
        }
        var blocks: [String] = []
        if !quiet.isEmpty {
            let verdict = style.verdict(.restored, "✓ restored everywhere")
            let names = quiet.map { Escape.terminal(overview.title(of: $0)) + " \($0.counts.cells)/\($0.counts.cells)" }
            blocks.append(
                verdict + "\n" + Layout.wrap(names.joined(separator: ", "), columns: columns, indent: "  "))
        }
        for picture in order {
            let names = byPicture[picture, default: []].joined(separator: ", ")
            blocks.append(style.bold(Layout.wrap(names, columns: columns)) + "\n" + picture)
        }
        return blocks
    }

    private static func foldsAway(_ matrix: RunOverview.Matrix) -> Bool {
        matrix.isQuiet && matrix.counts.cells > 1
    }

    /// Words where they fit, else signs under numbered columns.
    private static func picture(
        _ matrix: RunOverview.Matrix, _ cells: [CellResult], columns: Int, _ style: Style
    ) -> String {
        let sources = matrix.sources.map { Escape.terminal($0.rawValue) }
        let destinations = matrix.destinations.map { Escape.terminal($0.rawValue) }
        let corner = "from \\ to"
        let left = 2 + max(corner.count, sources.map(\.count).max() ?? 0)
        let inWords = left + destinations.reduce(0) { $0 + 2 + max($1.count, wordWidth) } <= columns
        let heads = inWords ? destinations : destinations.indices.map { "\($0 + 1)" }
        let widths = heads.map { max($0.count, inWords ? wordWidth : 2) }
        var lines: [String] = []
        if !inWords {
            let names = destinations.enumerated().map { "\($0.offset + 1) \($0.element)" }.joined(separator: ", ")
            lines.append(Layout.wrap("to: \(names)", columns: columns, indent: "      ", first: "  "))
        }
        let head = zip(heads, widths).map { Layout.pad($0, to: $1) }.joined(separator: "  ")
        lines.append(style.dim(("  " + Layout.pad(corner, to: left - 2) + "  " + head).trimmedRight))
        for (source, name) in zip(matrix.sources, sources) {
            var line = "  " + Layout.pad(name, to: left - 2)
            for (destination, width) in zip(matrix.destinations, widths) {
                line += "  "
                guard let index = matrix.cell(source, destination) else {
                    line += Layout.pad("·", to: width)
                    continue
                }
                let verdict = Verdict(cells[index])
                let mark = cells[index].expected == false ? "!" : ""
                let text = Layout.pad(
                    (inWords ? "\(verdict.sign) \(verdict == .miss ? "lab" : verdict.word)" : verdict.sign) + mark,
                    to: width)
                line += mark.isEmpty ? style.verdict(verdict, text) : style.alarm(text)
            }
            lines.append(line.trimmedRight)
        }
        return lines.joined(separator: "\n")
    }

    /// `✓ restored!`
    private static let wordWidth = 11

    private static func legend(_ style: Style) -> String {
        style.dim("✓ restored  ⊘ refused  ✗ broke  ? lab failure  ! not as expected  · no such cell")
    }

    private static func causes(_ overview: RunOverview, columns: Int, _ style: Style) -> [String] {
        guard !overview.groups.isEmpty else { return [] }
        var lines = [style.bold("Causes")]
        for group in overview.groups {
            lines.append("  \(group.reason.rawValue): \(Words.count(group.count, "cell"))")
            for cluster in group.clusters.prefix(listLimit) {
                let indent = "         "
                lines.append(
                    Layout.wrap(
                        cluster.summary, columns: columns, indent: indent,
                        first: "    " + Layout.pad("\(cluster.cells.count)×", to: 5)))
                let concerned = "\(overview.workloads(of: cluster)): \(overview.pairs(of: cluster))"
                lines.append(style.dim(Layout.wrap(concerned, columns: columns, indent: indent)))
                if let example = overview.example(of: cluster) {
                    lines.append(style.dim(Layout.wrap("such as " + example, columns: columns, indent: indent)))
                }
            }
            if group.clusters.count > listLimit {
                lines.append("    … and \(group.clusters.count - listLimit) more; crlab report --format markdown")
            }
        }
        return [lines.joined(separator: "\n")]
    }

    private static func failures(_ overview: RunOverview, columns: Int, _ style: Style) -> [String] {
        let cells = overview.results.cells
        var blocks: [String] = []
        if !overview.unexpected.isEmpty {
            let lines = overview.unexpected.prefix(listLimit).map { index -> String in
                let result = cells[index]
                let wanted = result.expectation.map { expectation in
                    expectation.outcome.rawValue + (expectation.reason.map { " (\($0.rawValue))" } ?? "")
                }
                let why = result.finding.map { " (\($0.reason.rawValue))" } ?? ""
                return Layout.wrap(
                    "\(result.cell.id): \(Verdict(result).word)\(why), expected \(wanted ?? "nothing")",
                    columns: columns, indent: "      ", first: "  ! ")
            }
            blocks.append(
                ([style.alarm("Not as expected")] + lines + more(overview.unexpected.count)).joined(separator: "\n"))
        }
        if !overview.unavailable.isEmpty {
            let lines = overview.unavailable.map {
                Layout.wrap(
                    "\($0.name): \($0.failure.summary)", columns: columns, indent: "      ", first: "  ? ")
            }
            blocks.append(([style.bold("Hosts that could not be had")] + lines).joined(separator: "\n"))
        }
        let misses = overview.misses.filter { !overview.isUnavailable(cells[$0]) }
        if !misses.isEmpty {
            let lines = misses.prefix(listLimit).map { index in
                Layout.wrap(
                    "\(cells[index].cell.id): \(cells[index].finding?.summary ?? "no reason recorded")",
                    columns: columns, indent: "      ", first: "  ? ")
            }
            blocks.append(
                ([style.bold("Lab failures (they say nothing about compatibility)")] + lines + more(misses.count))
                    .joined(separator: "\n"))
        }
        return blocks
    }

    private static func more(_ count: Int) -> [String] {
        count > listLimit ? ["  … and \(count - listLimit) more"] : []
    }
}

extension String {
    var trimmedRight: String {
        var text = Substring(self)
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
