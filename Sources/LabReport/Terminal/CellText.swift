public import CRModel

/// One cell for a terminal: what `crlab show CELL` prints.
public enum CellText {
    /// - Parameter results: The run that the cell belongs to; its hosts are compared.
    public static func render(
        _ result: CellResult, in results: Results, columns: Int = 80, colour: Bool = false
    ) -> String {
        let style = Style(colour: colour)
        var blocks = [head(result, columns: columns, style), stages(result, style)]
        if let finding = result.finding { blocks.append(text(finding, columns: columns, style)) }
        if let difference = difference(result.cell, results, columns: columns, style) { blocks.append(difference) }
        if !result.consoleTail.isEmpty {
            let tail = Escape.terminal(result.consoleTail).split(separator: "\n").suffix(20).map { "  │ \($0)" }
            blocks.append(style.bold("Console") + "\n" + tail.joined(separator: "\n"))
        }
        blocks.append(style.bold("Reproduce") + "\n  " + Escape.terminal(result.reproduce))
        return blocks.joined(separator: "\n\n") + "\n"
    }

    private static func head(_ result: CellResult, columns: Int, _ style: Style) -> String {
        let cell = result.cell
        let verdict = Verdict(result)
        let at = result.stage.map { " at \($0.rawValue)" } ?? ""
        var lines = [
            style.bold(Escape.terminal("\(cell.workload): \(cell.route)")),
            style.dim(Escape.terminal(cell.id)), "",
            style.verdict(verdict, "\(verdict.sign) \(verdict.word)\(at)"),
            Layout.wrap(verdict.meaning, columns: columns, indent: "  "),
        ]
        if cell.isControl { lines.append("Control: dumped and restored on the same host.") }
        if let expectation = result.expectation {
            let reason = expectation.reason.map { " (\($0.rawValue))" } ?? ""
            let until = expectation.expires.map { ", until \($0)" } ?? ""
            let verdict =
                switch result.expected {
                case true?: "as expected"
                case false?: "! not as expected"
                case nil: "not found out"
                }
            lines.append(result.expected == false ? style.alarm(verdict) : verdict)
            let wanted = "expected: \(expectation.outcome.rawValue)\(reason)\(until), because: \(expectation.because)"
            lines.append(Layout.wrap(wanted, columns: columns, indent: "  "))
        }
        if let repeated = result.confirmation {
            let text = (repeated.isFlaky ? "flaky: " : "repeated: ") + repeated.text
            lines.append(repeated.isFlaky ? style.alarm(text) : text)
        }
        if result.health == .error { lines.append("A runtime or a workload's own tool crashed.") }
        if let label = result.label {
            lines.append("Planted fault: \(label.category.rawValue), \(label.reason.rawValue)")
        }
        return lines.joined(separator: "\n")
    }

    private static func stages(_ result: CellResult, _ style: Style) -> String {
        let times = result.milliseconds
        let all: [(String, Int, Stage?)] = [
            ("dump", times.dump, .dump), ("carry", times.carry, nil), ("restore", times.restore, .restore),
            ("verify", times.verify, .verify),
        ]
        let longest = max(1, all.map(\.1).max() ?? 1)
        let lines = all.map { name, milliseconds, stage in
            let failed = stage != nil && stage == result.stage
            let bar = String(repeating: "▇", count: max(0, milliseconds) * 32 / longest)
            let time = Words.seconds(milliseconds: milliseconds)
            let line =
                "  \(Layout.pad(name, to: 8))\(String(repeating: " ", count: max(0, 9 - time.count)))\(time)  \(bar)"
            return failed ? style.alarm(line.trimmedRight + " ✗ failed here") : line.trimmedRight
        }
        let image = result.imageBytes > 0 ? "image \(Words.bytes(result.imageBytes)), " : ""
        return ([style.bold("Stages") + style.dim("  \(image)\(Words.count(result.attempts, "attempt"))")] + lines)
            .joined(separator: "\n")
    }

    private static func text(_ finding: Finding, columns: Int, _ style: Style) -> String {
        var lines = [
            style.bold("Finding") + "  \(finding.reason.rawValue)",
            style.dim("  \(finding.confidence.rawValue): \(finding.confidence.meaning)"),
            Layout.wrap(finding.summary, columns: columns, indent: "  "),
            Layout.wrap(finding.remedy, columns: columns, indent: "          ", first: "  Remedy: "),
        ]
        if !finding.evidence.isEmpty { lines.append("\n" + style.bold("Evidence")) }
        let width = min(20, finding.evidence.map(\.kind.count).max() ?? 0)
        for item in finding.evidence {
            let kind = "  " + Layout.pad(Escape.terminal(item.kind), to: width) + "  "
            let indent = String(repeating: " ", count: kind.count)
            lines.append(Layout.wrap(item.text, columns: columns, indent: indent, first: kind))
        }
        lines.append(style.dim("  crlab explain \(finding.reason.rawValue)"))
        return lines.joined(separator: "\n")
    }

    private static func difference(
        _ cell: Cell, _ results: Results, columns: Int, _ style: Style
    ) -> String? {
        guard !cell.isControl, let source = results.hosts[cell.source]?.fingerprint,
            let destination = results.hosts[cell.destination]?.fingerprint
        else { return nil }
        var lines: [String] = []
        let lost = source.cpu.features(missingOn: destination.cpu)
        let gained = destination.cpu.features(missingOn: source.cpu)
        func add(_ name: String, _ text: String) {
            let first = "  " + Layout.pad(name, to: 10)
            lines.append(
                Layout.wrap(text, columns: columns, indent: String(repeating: " ", count: 12), first: first))
        }
        if !lost.isEmpty { add("CPU lacks", lost.joined(separator: " ")) }
        if !gained.isEmpty { add("CPU adds", gained.joined(separator: " ")) }
        if source.cpu.xcr0 != destination.cpu.xcr0 {
            add("XCR0", "\(Words.hex(source.cpu.xcr0)) → \(Words.hex(destination.cpu.xcr0))")
        }
        if source.kernel.release != destination.kernel.release {
            add("kernel", "\(source.kernel.release) → \(destination.kernel.release)")
        }
        if source.userland != destination.userland {
            add("userland", "\(source.userland.name) → \(destination.userland.name)")
        }
        guard !lines.isEmpty else { return nil }
        return style.bold("The destination host differs") + "\n" + lines.joined(separator: "\n")
    }
}
