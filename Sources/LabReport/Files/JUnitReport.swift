import CRModel

/// `junit.xml`: one test case for each cell, so that a CI system shows what is not as expected.
enum JUnitReport {
    static let template = """
        {{% CONTENT_TYPE:CRLAB-XML}}<?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="{{scenario}}" tests="{{tests}}" failures="{{failures}}" errors="{{errors}}" \
        skipped="{{skipped}}" time="{{time}}">
        {{#suites}}
        <testsuite name="{{name}}" tests="{{tests}}" failures="{{failures}}" errors="{{errors}}" \
        skipped="{{skipped}}" time="{{time}}" timestamp="{{timestamp}}">
        {{#cases}}
        <testcase classname="{{classname}}" name="{{name}}" time="{{time}}">
        {{#failure}}
        <failure type="{{type}}" message="{{message}}">{{text}}</failure>
        {{/failure}}
        {{#error}}
        <error type="{{type}}" message="{{message}}">{{text}}</error>
        {{/error}}
        {{#skip}}
        <skipped message="{{message}}"/>
        {{/skip}}
        {{#note}}
        <system-out>{{text}}</system-out>
        {{/note}}
        </testcase>
        {{/cases}}
        </testsuite>
        {{/suites}}
        </testsuites>

        """

    static func render(_ results: Results) throws(ReportError) -> String {
        let overview = RunOverview(results)
        let byWorkload = Dictionary(grouping: results.cells) { "\($0.cell.runtime).\($0.cell.workload)" }
        var total = Tally()
        let controls = controlSuite(results, &total)
        let suites =
            controls
            + byWorkload.sorted { $0.key < $1.key }.map { key, cells in
                let name = "\(results.run.scenario).\(key)"
                var tally = Tally()
                let cases = cells.map { testCase($0, classname: name, overview, &tally) }
                total.add(tally)
                return tally.attributes.merging(
                    [
                        "name": name, "cases": cases, "timestamp": timestamp(results.run.startedAt),
                    ], uniquingKeysWith: { $1 })
            }
        var values: [String: Any] = total.attributes
        values["scenario"] = results.run.scenario
        values["suites"] = suites
        return try Templates.render("junit", values)
    }

    /// The controls that are no cells, before all others; empty when there are none.
    private static func controlSuite(_ results: Results, _ total: inout Tally) -> [[String: Any]] {
        guard !results.controls.isEmpty else { return [] }
        let name = "\(results.run.scenario).controls"
        var tally = Tally()
        let cases = results.controls.map { control -> [String: Any] in
            var values: [String: Any] = ["classname": name, "name": control.id, "time": seconds(0)]
            tally.tests += 1
            switch (control.kind, control.passed) {
            case (_, true?): break
            case (.knownFault, false?):
                tally.failures += 1
                values["failure"] = [
                    ["type": control.kind.rawValue, "message": control.summary, "text": control.summary]
                ]
            // What it stands for is a statement about the workload; its cells say so.
            case (.workloadAlone, false?):
                tally.skipped += 1
                values["skip"] = [["message": control.summary]]
            case (_, nil):
                tally.errors += 1
                values["error"] = [
                    ["type": control.kind.rawValue, "message": control.summary, "text": control.summary]
                ]
            }
            return values
        }
        total.add(tally)
        return [
            tally.attributes.merging(
                ["name": name, "cases": cases, "timestamp": timestamp(results.run.startedAt)],
                uniquingKeysWith: { $1 })
        ]
    }

    private struct Tally {
        var tests = 0
        var failures = 0
        var errors = 0
        var skipped = 0
        var milliseconds = 0

        mutating func add(_ other: Tally) {
            tests += other.tests
            failures += other.failures
            errors += other.errors
            skipped += other.skipped
            milliseconds += other.milliseconds
        }

        var attributes: [String: Any] {
            [
                "tests": tests, "failures": failures, "errors": errors, "skipped": skipped,
                "time": JUnitReport.seconds(milliseconds),
            ]
        }
    }

    private static func testCase(
        _ result: CellResult, classname: String, _ overview: RunOverview, _ tally: inout Tally
    ) -> [String: Any] {
        let cell = result.cell
        let times = result.milliseconds
        // The dump is shared by all cells of its source host; it counts once, with the control.
        let spent = (cell.isControl ? times.dump : 0) + times.carry + times.restore + times.verify
        var values: [String: Any] = [
            "classname": classname, "name": name(of: cell), "time": seconds(spent),
        ]
        tally.tests += 1
        tally.milliseconds += spent
        let reason = result.finding?.reason.rawValue ?? Verdict(result).word
        let message = self.message(result)
        if result.outcome == nil {
            if overview.isUnavailable(result) {
                tally.skipped += 1
                values["skip"] = [["message": message]]
            } else {
                tally.errors += 1
                values["error"] = [["type": reason, "message": message, "text": account(result)]]
            }
        } else if result.expected == false {
            tally.failures += 1
            values["failure"] = [["type": reason, "message": message, "text": account(result)]]
        } else if result.outcome != .restored {
            let how = result.expected == true ? "failed as expected" : "failed; nothing was expected of this cell"
            values["note"] = [["text": "\(how): \(message)\n\(account(result))"]]
        }
        return values
    }

    private static func name(of cell: Cell) -> String {
        cell.route + (cell.spec == .standard ? "" : " (\(cell.spec))")
    }

    private static func message(_ result: CellResult) -> String {
        let word = (result.isFlaky ? "flaky, " : "") + Verdict(result).word
        guard let finding = result.finding else {
            return word + (result.expectation.map { ", expected \($0.outcome.rawValue)" } ?? "")
        }
        return "\(word): \(finding.reason.rawValue): \(finding.summary)"
    }

    private static func account(_ result: CellResult) -> String {
        var lines: [String] = []
        if let expectation = result.expectation {
            let reason = expectation.reason.map { " (\($0.rawValue))" } ?? ""
            lines.append("expected: \(expectation.outcome.rawValue)\(reason): \(expectation.because)")
        }
        if let repeated = result.confirmation {
            lines.append((repeated.isFlaky ? "flaky: " : "repeated: ") + repeated.text)
        }
        if let stage = result.stage { lines.append("stage: \(stage.rawValue)") }
        if let finding = result.finding {
            lines.append("cause: \(finding.reason.rawValue), \(finding.confidence.rawValue)")
            lines += finding.evidence.prefix(20).map { "\($0.kind): \($0.text)" }
            lines.append("remedy: \(finding.remedy)")
        }
        lines.append("reproduce: \(result.reproduce)")
        return lines.joined(separator: "\n")
    }

    private static func seconds(_ milliseconds: Int) -> String {
        let digits = String(max(0, milliseconds) % 1000)
        return "\(max(0, milliseconds) / 1000)." + String(repeating: "0", count: 3 - digits.count) + digits
    }

    /// The schema of JUnit files knows no time zone.
    private static func timestamp(_ startedAt: String) -> String {
        startedAt.hasSuffix("Z") ? String(startedAt.dropLast()) : startedAt
    }
}
