import CRModel

/// The run as compact JSON for the page's script. Every text stands once in a table of strings.
///
/// The layout is private to one page: script and data are always written together.
struct PageData {
    /// Evidence and console tails beyond this many characters are left out of the page (never out of `results.json`),
    /// so that a run of 20,000 cells stays below 4 MiB.
    static let textBudget = 1_200_000

    let json: String

    private struct Table {
        var strings: [String] = []
        private var numbers: [String: Int] = [:]

        mutating func number(of text: String) -> Int {
            if let known = numbers[text] { return known }
            numbers[text] = strings.count
            strings.append(text)
            return strings.count - 1
        }

        func knows(_ text: String) -> Bool { numbers[text] != nil }
    }

    init(_ overview: RunOverview) {
        var builder = Builder(overview)
        json = Escape.script(builder.build())
    }

    private struct Builder {
        let overview: RunOverview
        var table = Table()
        var left = PageData.textBudget
        var findings: [Finding: Int] = [:]
        var findingRows: [String] = []
        var expectations: [Expectation: Int] = [:]
        var expectationRows: [String] = []

        init(_ overview: RunOverview) { self.overview = overview }

        mutating func build() -> String {
            // Findings that a reader opens first are written first, while there is room for their evidence.
            let results = overview.results
            for index in overview.unexpected { _ = findingNumber(results.cells[index].finding) }
            for cluster in overview.groups.flatMap(\.clusters) { _ = findingNumber(cluster.finding) }
            var cells = "["
            for (index, result) in results.cells.enumerated() {
                if index > 0 { cells += "," }
                cells += row(result)
            }
            cells += "]"
            let hosts = results.hosts.sorted { $0.key < $1.key }.map { host($0.key, $0.value) }
            let run = JSONValue.string(results.run.id).serialized()
            let strings = JSONValue.array(table.strings.map(JSONValue.string)).serialized()
            return "{\"run\":\(run),\"cells\":\(cells),\"findings\":[\(findingRows.joined(separator: ","))],"
                + "\"expectations\":[\(expectationRows.joined(separator: ","))],"
                + "\"hosts\":{\(hosts.joined(separator: ","))},\"strings\":\(strings)}"
        }

        /// `[runtime, workload, spec, source, destination, outcome, stage, health, expected, finding, expectation,
        /// attempts, dump, carry, restore, verify, imageBytes, console, reproduce, label, repeated]`; the last four only
        /// where one of them is there.
        private mutating func row(_ result: CellResult) -> String {
            let cell = result.cell
            let stage = result.stage.flatMap { Stage.allCases.firstIndex(of: $0) } ?? -1
            let health = Health.allCases.firstIndex(of: result.health) ?? 0
            let expected = result.expected.map { $0 ? 1 : 0 } ?? -1
            let times = result.milliseconds
            var row = "[\(table.number(of: cell.runtime.rawValue)),\(table.number(of: cell.workload.rawValue)),"
            row += "\(table.number(of: cell.spec.rawValue)),\(table.number(of: cell.way.rawValue)),"
            row += "\(table.number(of: cell.destination.rawValue)),\(Verdict(result).rawValue),\(stage),\(health),"
            row += "\(expected),\(findingNumber(result.finding)),\(expectationNumber(result.expectation)),"
            row += "\(result.attempts),\(times.dump),\(times.carry),\(times.restore),\(times.verify),"
            row += "\(result.imageBytes)"
            let usual = "crlab repro \(overview.results.run.id) \(cell.id)"
            let reproduce = result.reproduce == usual ? -1 : table.number(of: result.reproduce)
            let console = consoleNumber(result.consoleTail)
            let label = result.label.map { table.number(of: "\($0.category.rawValue), \($0.reason.rawValue)") } ?? -1
            let repeated = result.confirmation.map { table.number(of: ($0.isFlaky ? "flaky, " : "") + $0.text) } ?? -1
            if reproduce >= 0 || console != -1 || label >= 0 || repeated >= 0 {
                row += ",\(console),\(reproduce),\(label),\(repeated)"
            }
            return row + "]"
        }

        /// -1: none; -2: left out.
        private mutating func consoleNumber(_ tail: String) -> Int {
            if tail.isEmpty { return -1 }
            guard table.knows(tail) || spend(tail.utf8.count) else { return -2 }
            return table.number(of: tail)
        }

        private mutating func findingNumber(_ finding: Finding?) -> Int {
            guard let finding else { return -1 }
            if let known = findings[finding] { return known }
            let size = finding.evidence.reduce(0) { $0 + 8 + (table.knows($1.text) ? 0 : $1.text.utf8.count) }
            let evidence =
                spend(size)
                ? "["
                    + finding.evidence.map { "[\(table.number(of: $0.kind)),\(table.number(of: $0.text))]" }
                    .joined(separator: ",") + "]"
                : "null"
            let confidence = finding.confidence
            findingRows.append(
                "[\(table.number(of: finding.category.title)),\(table.number(of: finding.reason.rawValue)),"
                    + "\(table.number(of: confidence.rawValue)),\(table.number(of: confidence.meaning)),"
                    + "\(table.number(of: finding.summary)),\(table.number(of: finding.remedy)),\(evidence)]")
            findings[finding] = findingRows.count - 1
            return findingRows.count - 1
        }

        private mutating func expectationNumber(_ expectation: Expectation?) -> Int {
            guard let expectation else { return -1 }
            if let known = expectations[expectation] { return known }
            let reason = expectation.reason.map { table.number(of: $0.rawValue) } ?? -1
            let expires = expectation.expires.map { table.number(of: $0) } ?? -1
            expectationRows.append(
                "[\(table.number(of: expectation.outcome.rawValue)),\(reason),"
                    + "\(table.number(of: expectation.because)),\(expires)]")
            expectations[expectation] = expectationRows.count - 1
            return expectationRows.count - 1
        }

        /// `"name": [features, kernel, userland, xcr0, cpu]`, all numbers of strings.
        private mutating func host(_ name: HostName, _ host: HostResult) -> String {
            let key = JSONValue.string(name.rawValue).serialized()
            guard let print = host.fingerprint else { return "\(key):null" }
            let features = table.number(of: print.cpu.features.joined(separator: " "))
            let kernel = table.number(of: print.kernel.release)
            let userland = table.number(of: print.userland.name)
            let xcr0 = table.number(of: Words.hex(print.cpu.xcr0))
            return "\(key):[\(features),\(kernel),\(userland),\(xcr0),\(table.number(of: host.cpuModel))]"
        }

        private mutating func spend(_ size: Int) -> Bool {
            guard size <= left else { return false }
            left -= size
            return true
        }
    }
}
