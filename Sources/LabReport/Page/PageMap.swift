import CRModel

/// The source × destination tables: small multiples, one card for each workload.
///
/// Written by hand and not by template: 20,000 cells pass here, and each byte counts.
struct PageMap {
    let overview: RunOverview
    let clusterOf: [Int: Int]

    init(_ overview: RunOverview, clusterOf: [Int: Int]) {
        self.overview = overview
        self.clusterOf = clusterOf
    }

    /// Workloads with failures first; both parts in the order of names.
    var html: String {
        let quiet = overview.matrices.filter(\.isQuiet)
        let loud = overview.matrices.filter { !$0.isQuiet }
        var html = ""
        if !loud.isEmpty { html += part("With failures", loud) }
        if !quiet.isEmpty { html += part("Restored everywhere", quiet) }
        return html
    }

    private func part(_ title: String, _ matrices: [RunOverview.Matrix]) -> String {
        // Beyond this many columns a card of the usual width would have to be scrolled.
        let isLarge = matrices.contains { $0.destinations.count > 8 }
        var html =
            "<section class=part><h3>\(title) <i>\(Words.grouped(matrices.count))</i></h3>"
            + "<div class=\"cards\(isLarge ? " large" : "")\">\n"
        for matrix in matrices { html += card(matrix) }
        return html + "</div></section>\n"
    }

    private func card(_ matrix: RunOverview.Matrix) -> String {
        let counts = matrix.counts
        let name = Escape.html(matrix.workload.rawValue)
        var kind = overview.hasSeveralRuntimes ? [matrix.runtime.rawValue] : []
        if matrix.spec != .standard { kind.append(matrix.spec.rawValue) }
        var html = "<article class=card><h4>\(name)"
        if !kind.isEmpty { html += " <small>\(Escape.html(kind.joined(separator: ", ")))</small>" }
        html +=
            "</h4><p class=sum>\(summary(counts))</p><div class=wide><table class=map aria-label=\"\(name): from "
            + "source host (rows) to destination host (columns)\"><thead><tr><td class=corner>from \\ to</td>"
        for destination in matrix.destinations {
            html += "<th scope=col><span>\(Escape.html(destination.rawValue))</span>"
        }
        html += "</tr></thead><tbody>\n"
        for source in matrix.sources {
            html += "<tr><th scope=row>\(Escape.html(source.rawValue))"
            for destination in matrix.destinations { html += cell(matrix, source, destination) }
            html += "\n"
        }
        return html + "</tbody></table></div></article>\n"
    }

    private func cell(_ matrix: RunOverview.Matrix, _ source: HostName, _ destination: HostName) -> String {
        guard let index = matrix.cell(source, destination) else { return "<td class=n>" }
        let result = overview.results.cells[index]
        let verdict = Verdict(result)
        let isUnexpected = result.expected == false
        let isControl = source == destination
        let target = clusterOf[index].map { "f\($0)" } ?? "c\(index)"
        let marks = verdict.letter + (isUnexpected ? " u" : "") + (isControl ? " k" : "")
        let classes = marks.utf8.count > 1 ? "\"\(marks)\"" : marks
        let label = verdict.word + (isUnexpected ? ", not as expected" : "")
        let quoted = label.contains(" ") ? "\"\(label)\"" : label
        let text = verdict.sign + (isUnexpected ? "<sup>!</sup>" : "")
        return "<td class=\(classes)><a id=c\(index) href=#\(target) aria-label=\(quoted)>\(text)</a>"
    }

    private func summary(_ counts: RunCounts) -> String {
        if counts.restored == counts.cells, counts.unexpected == 0 { return "all \(counts.cells) restored" }
        var parts: [String] = []
        for verdict in Verdict.allCases where counts.count(of: verdict) > 0 {
            let text = "\(verdict.sign) \(counts.count(of: verdict)) \(verdict.word)"
            parts.append("<span class=\"t \(verdict.letter)\">\(text)</span>")
        }
        if counts.unexpected > 0 { parts.append("<b class=\"t b\">! \(counts.unexpected) unexpected</b>") }
        return parts.joined(separator: " ")
    }
}
