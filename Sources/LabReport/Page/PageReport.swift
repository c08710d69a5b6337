import CRModel

/// `report.html`: one file, no network, readable without JavaScript.
///
/// The page holds the run twice, on purpose: as finished HTML (answer, matrices, causes, hosts: everything that a
/// reader without JavaScript needs), and as compact JSON from which the script draws the details of one cell when it
/// is opened. 20,000 cells as finished HTML details would be forty times as large.
enum PageReport {
    static func render(_ results: Results) throws(ReportError) -> String {
        let overview = RunOverview(results)
        let links = clusterLinks(overview)
        var values = header(overview)
        values["style"] = style
        values["script"] = script
        values["data"] = PageData(overview).json
        values["map"] = PageMap(overview, clusterOf: links).html
        values["causes"] = try causes(overview)
        values["hosts"] = try hosts(overview)
        values["chips"] = chips(overview)
        values["lists"] = lists(overview)
        values["fallback"] = fallback(overview)
        return try Templates.render("page", values)
    }

    /// Cell index to the number of its cluster, counted over all groups.
    private static func clusterLinks(_ overview: RunOverview) -> [Int: Int] {
        var links: [Int: Int] = [:]
        for (number, cluster) in overview.groups.flatMap(\.clusters).enumerated() {
            for cell in cluster.cells { links[cell] = number }
        }
        return links
    }

    private static func header(_ overview: RunOverview) -> [String: Any] {
        let run = overview.results.run
        let counts = overview.counts
        var facts: [(String, String)] = [
            ("Run", run.id), ("Scenario", run.scenario), ("Started", run.startedAt),
            ("Took", Words.duration(seconds: run.durationSeconds)), ("Guests booted", Words.grouped(run.boots)),
            ("Rate", Words.decimal(overview.cellsPerMinute) + " cells/min"), ("Accelerator", run.accelerator),
            ("QEMU", run.qemuVersion), ("crlab", run.crlabVersion),
        ]
        facts.removeAll { $0.1.isEmpty }
        let sign =
            switch overview.tone {
            case .good: "✓"
            case .bad: "✗"
            case .incomplete: "?"
            }
        return [
            "title": run.title.isEmpty ? run.scenario : run.title, "run": run.id, "answer": overview.answer,
            "numbers": overview.numbers, "tone": overview.tone.rawValue, "sign": sign,
            "facts": facts.map { ["name": $0.0, "value": $0.1] },
            "bars": Verdict.allCases.filter { counts.count(of: $0) > 0 }.map { verdict in
                [
                    "letter": verdict.letter, "count": counts.count(of: verdict),
                    "what": "\(counts.count(of: verdict)) \(verdict.word)",
                ]
            },
            "unavailable": overview.unavailable.map {
                ["name": $0.name.rawValue, "why": $0.failure.summary, "reason": $0.failure.reason.rawValue]
            },
            "hasUnavailable": !overview.unavailable.isEmpty,
            "hasControls": !overview.failedControls.isEmpty,
            "controls": Array(overview.failedControls.prefix(100)),
            "hasFlaky": !overview.flaky.isEmpty,
            "flaky": overview.flaky.prefix(100).map { index in
                let result = overview.results.cells[index]
                return ["id": result.cell.id, "text": result.confirmation?.text ?? ""]
            },
            "hasGroups": !overview.groups.isEmpty,
        ]
    }

    /// The filter's buttons; like its lists hidden until the script shows them, since they do nothing without it.
    private static func chips(_ overview: RunOverview) -> String {
        var html = ""
        for verdict in Verdict.allCases {
            let count = overview.counts.count(of: verdict)
            html += chip("o", verdict.letter, verdict.sign, verdict.word, count, verdict.meaning)
        }
        let meaning = "outcomes that contradict their expectation"
        return html + chip("x", "u", "!", "unexpected", overview.counts.unexpected, meaning)
    }

    private static func lists(_ overview: RunOverview) -> String {
        var html = select("w", "Workload", Set(overview.matrices.map(\.workload.rawValue)).sorted())
        if overview.hasSeveralRuntimes {
            html += select("rt", "Runtime", Set(overview.matrices.map(\.runtime.rawValue)).sorted())
        }
        html += select("h", "Host", overview.hostNames.map(\.rawValue))
        html += select("r", "Reason", overview.groups.map(\.reason.rawValue).sorted())
        return html
    }

    private static func chip(
        _ key: String, _ value: String, _ sign: String, _ word: String, _ count: Int, _ meaning: String
    ) -> String {
        "<button type=button class=\"chip \(value)\" data-key=\(key) data-value=\(value) aria-pressed=false "
            + "title=\"\(Escape.html(meaning))\"\(count == 0 ? " disabled" : "")><b aria-hidden=true>\(sign)</b> "
            + "\(word) <i>\(Words.grouped(count))</i></button>\n"
    }

    private static func select(_ key: String, _ name: String, _ values: [String]) -> String {
        guard values.count > 1 || (key == "r" && !values.isEmpty) else { return "" }
        let options = values.map { "<option>\(Escape.html($0))</option>" }.joined()
        return "<label><span>\(name)</span><select data-key=\(key)><option value=\"\">any</option>\(options)"
            + "</select></label>\n"
    }

    /// All cells as a plain table for readers without JavaScript; costs nothing to the others, who never parse it.
    private static func fallback(_ overview: RunOverview) -> String {
        let cells = overview.results.cells
        guard cells.count <= 1000 else {
            return "<p>Details of single cells need JavaScript in a run this large; "
                + "<code>crlab show \(Escape.html(overview.results.run.id)) CELL</code> prints them too.</p>"
        }
        var html =
            "<h2>All cells</h2><div class=wide><table class=plain><thead><tr><th>Cell<th>Outcome<th>Stage"
            + "<th>Cause<th>Dump, ms<th>Restore, ms<th>Verify, ms<th>Reproduce</tr></thead><tbody>\n"
        for result in cells {
            let verdict = Verdict(result)
            let times = result.milliseconds
            let mark = result.expected == false ? ", not as expected" : ""
            html +=
                "<tr><th scope=row>\(Escape.html(result.cell.id))<td>\(verdict.sign) \(verdict.word)\(mark)"
                + "<td>\(result.stage?.rawValue ?? "")<td>"
                + Escape.html(result.finding.map { "\($0.reason.rawValue): \($0.summary)" } ?? "")
                + "<td>\(times.dump)<td>\(times.restore)<td>\(times.verify)<td><code>"
                + Escape.html(result.reproduce) + "</code></tr>\n"
        }
        return html + "</tbody></table></div>"
    }
}
