import CRModel

/// `summary.md`: what a person reads in a CI job's summary or a pull request.
///
/// GitHub cuts a step summary at 1 MiB, so lists of cells have an end; the end says so.
enum SummaryReport {
    static let listLimit = 50
    static let matrixLimit = 120

    static let template = """
        {{% CONTENT_TYPE:CRLAB-MARKDOWN}}## {{mark}} {{title}}

        **{{answer}}** {{numbers}}

        | cells | restored | refused | broke | lab failures | unexpected |
        | ---: | ---: | ---: | ---: | ---: | ---: |
        | {{cells}} | {{restored}} | {{refused}} | {{broke}} | {{missCount}} | {{unexpectedCount}} |

        {{#hasControls}}
        ### Controls that failed

        {{#controls}}
        - {{.}}
        {{/controls}}

        {{controlsRest}}
        {{/hasControls}}
        {{#hasFlaky}}
        ### Flaky

        They did not end alike when they were repeated.

        {{#flaky}}
        - {{{id}}}: {{text}}
        {{/flaky}}

        {{flakyRest}}
        {{/hasFlaky}}
        {{#hasUnexpected}}
        ### Not as expected

        | cell | expected | was | cause |
        | --- | --- | --- | --- |
        {{#unexpected}}
        | {{{id}}} | {{expected}} | {{was}} | {{cause}} |
        {{/unexpected}}

        {{unexpectedRest}}
        {{/hasUnexpected}}
        {{#hasUnavailable}}
        ### Hosts that could not be had

        {{#unavailable}}
        - **{{name}}**: {{why}} ({{{reason}}})
        {{/unavailable}}

        {{/hasUnavailable}}
        {{#hasGroups}}
        ### Causes

        {{#groups}}
        - {{{reason}}} – {{count}}
        {{#remedy}}
          {{.}}
        {{/remedy}}
        {{#clusters}}
          - {{count}}: {{summary}} *{{confidence}}*
            {{workloads}}: {{pairs}}{{#example}} (such as {{{.}}}){{/example}}.
        {{#remedy}}
            {{.}}
        {{/remedy}}
        {{/clusters}}
        {{/groups}}

        {{/hasGroups}}
        {{#hasMisses}}
        ### Lab failures

        They say nothing about compatibility.

        {{#misses}}
        - {{{id}}}: {{cause}}
        {{/misses}}

        {{missesRest}}
        {{/hasMisses}}
        ### Source × destination

        Rows: where it was dumped. Columns: where it was restored. {{legend}}

        {{#quiet}}
        {{quiet}}

        {{/quiet}}
        {{#matrices}}
        **{{title}}** – {{numbers}}

        {{{table}}}

        {{/matrices}}
        {{matricesRest}}

        ### Hosts

        | host | CPU | kernel | userland | it really is |
        | --- | --- | --- | --- | --- |
        {{#hosts}}
        | {{name}} | {{cpu}} | {{kernel}} | {{userland}} | {{really}} |
        {{/hosts}}

        ### To reproduce

        Run {{{run}}} of scenario *{{scenario}}*, {{started}}, {{duration}}, {{boots}}, {{{accelerator}}}, \
        QEMU {{qemu}}, crlab {{version}}.
        Cell by cell: {{{repro}}}; what is known of one: {{{show}}}.

        """

    static func render(_ results: Results) throws(ReportError) -> String {
        let overview = RunOverview(results)
        var values = facts(overview)
        values.merge(lists(overview), uniquingKeysWith: { $1 })
        values.merge(tables(overview), uniquingKeysWith: { $1 })
        return withoutBlankRuns(try Templates.render("summary", values))
    }

    private static func facts(_ overview: RunOverview) -> [String: Any] {
        let run = overview.results.run
        let counts = overview.counts
        let mark =
            switch overview.tone {
            case .good: "✅"
            case .bad: "❌"
            case .incomplete: "⚠️"
            }
        return [
            "mark": mark, "title": run.title.isEmpty ? run.scenario : run.title, "answer": overview.answer,
            "numbers": overview.numbers, "cells": counts.cells, "restored": counts.restored,
            "refused": counts.refused, "broke": counts.broke, "missCount": counts.misses,
            "unexpectedCount": counts.unexpected, "run": Escape.markdownCode(run.id), "scenario": run.scenario,
            "started": run.startedAt, "duration": Words.duration(seconds: run.durationSeconds),
            "boots": Words.count(run.boots, "boot"), "accelerator": Escape.markdownCode(run.accelerator),
            "qemu": run.qemuVersion, "version": run.crlabVersion,
            "repro": Escape.markdownCode("crlab repro \(run.id) CELL"),
            "show": Escape.markdownCode("crlab show \(run.id) CELL"),
            "legend": Verdict.allCases.map { "\($0.sign) \($0.word)" }.joined(separator: ", ")
                + "; bold and marked ‼: not as expected.",
        ]
    }

    private static func lists(_ overview: RunOverview) -> [String: Any] {
        let cells = overview.results.cells
        // A host that cannot be had is said once, not for each of its cells.
        let misses = overview.misses.filter { !overview.isUnavailable(cells[$0]) }
        return [
            "hasUnexpected": !overview.unexpected.isEmpty,
            "unexpected": overview.unexpected.prefix(listLimit).map { unexpected(cells[$0]) },
            "unexpectedRest": rest(overview.unexpected.count),
            "hasControls": !overview.failedControls.isEmpty,
            "controls": Array(overview.failedControls.prefix(listLimit)),
            "controlsRest": rest(overview.failedControls.count),
            "hasFlaky": !overview.flaky.isEmpty,
            "flaky": overview.flaky.prefix(listLimit).map {
                ["id": Escape.markdownCode(cells[$0].cell.id), "text": cells[$0].confirmation?.text ?? ""]
            },
            "flakyRest": rest(overview.flaky.count),
            "hasUnavailable": !overview.unavailable.isEmpty,
            "unavailable": overview.unavailable.map {
                [
                    "name": $0.name.rawValue, "why": $0.failure.summary,
                    "reason": Escape.markdownCode($0.failure.reason.rawValue),
                ]
            },
            "hasGroups": !overview.groups.isEmpty,
            "groups": overview.groups.map { group($0, overview) },
            "hasMisses": !misses.isEmpty,
            "misses": misses.prefix(listLimit).map {
                ["id": Escape.markdownCode(cells[$0].cell.id), "cause": cause(cells[$0])]
            },
            "missesRest": rest(misses.count),
        ]
    }

    private static func unexpected(_ result: CellResult) -> [String: Any] {
        let expectation = result.expectation
        let reason = expectation?.reason.map { ", \($0.rawValue)" } ?? ""
        return [
            "id": Escape.markdownCode(result.cell.id),
            "expected": (expectation?.outcome.rawValue ?? "") + reason,
            "was": "\(Verdict(result).sign) \(Verdict(result).word)",
            "cause": cause(result),
        ]
    }

    private static func cause(_ result: CellResult) -> String {
        result.finding.map { "\($0.reason.rawValue): \($0.summary)" } ?? ""
    }

    private static func group(_ group: RunOverview.ReasonGroup, _ overview: RunOverview) -> [String: Any] {
        // What to do is said once where it is the same for every cause.
        let remedies = Set(group.clusters.map(\.finding.remedy))
        let shared = remedies.count == 1 ? Array(remedies) : []
        return [
            "remedy": shared, "reason": Escape.markdownCode(group.reason.rawValue),
            "count": Words.count(group.count, "cell"),
            "clusters": group.clusters.prefix(20).map { cluster in
                [
                    "count": "\(Words.grouped(cluster.cells.count))×",
                    "summary": cluster.summary, "confidence": cluster.confidence.rawValue,
                    "remedy": shared.isEmpty ? [cluster.finding.remedy] : [],
                    "workloads": overview.workloads(of: cluster), "pairs": overview.pairs(of: cluster),
                    "example": overview.example(of: cluster).map { [Escape.markdownCode($0)] } ?? [],
                ]
            },
        ]
    }

    private static func rest(_ count: Int) -> String {
        count > listLimit
            ? "… and \(Words.grouped(count - listLimit)) more; report.html and results.json have all." : ""
    }

    private static func tables(_ overview: RunOverview) -> [String: Any] {
        let quiet = overview.matrices.filter { $0.isQuiet && $0.counts.cells > 1 }
        let loud = overview.matrices.filter { !($0.isQuiet && $0.counts.cells > 1) }
        return [
            "quiet": quiet.isEmpty
                ? [] : ["Restored everywhere: " + quiet.map(overview.title(of:)).joined(separator: ", ") + "."],
            "matrices": loud.prefix(matrixLimit).map { matrix in
                [
                    "title": overview.title(of: matrix),
                    "numbers": "\(matrix.counts.restored) of \(matrix.counts.cells) restored",
                    "table": table(matrix, overview.results.cells),
                ]
            },
            "matricesRest": loud.count > matrixLimit
                ? "… and \(loud.count - matrixLimit) more tables; report.html has all." : "",
            "hosts": overview.results.hosts.sorted { $0.key < $1.key }.map { name, host in self.host(name, host) },
        ]
    }

    private static func table(_ matrix: RunOverview.Matrix, _ cells: [CellResult]) -> String {
        var lines = [
            "| from \\ to | " + matrix.destinations.map { Escape.markdown($0.rawValue) }.joined(separator: " | ")
                + " |",
            "| --- |" + String(repeating: " --- |", count: matrix.destinations.count),
        ]
        for source in matrix.sources {
            let row = matrix.destinations.map { destination -> String in
                guard let index = matrix.cell(source, destination) else { return "" }
                let verdict = Verdict(cells[index])
                let text = "\(verdict.sign) \(verdict.word)"
                return cells[index].expected == false ? "**\(text) ‼**" : text
            }
            lines.append("| \(Escape.markdown(source.rawValue)) | \(row.joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n")
    }

    private static func host(_ name: HostName, _ host: HostResult) -> [String: Any] {
        guard let print = host.fingerprint else {
            return [
                "name": name.rawValue, "cpu": host.cpuModel, "kernel": host.spec.kernel, "userland": host.userland,
                "really": host.unavailable.map { "not to be had: \($0.summary)" } ?? "never answered",
            ]
        }
        return [
            "name": name.rawValue, "cpu": host.cpuModel, "kernel": print.kernel.release,
            "userland": print.userland.name, "really": HostText.cpu(print.cpu),
        ]
    }

    /// Sections that are empty leave blank lines behind.
    private static func withoutBlankRuns(_ text: String) -> String {
        var output: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty, output.last?.isEmpty != false { continue }
            output.append(line)
        }
        return output.joined(separator: "\n") + (output.last?.isEmpty == true ? "" : "\n")
    }
}
