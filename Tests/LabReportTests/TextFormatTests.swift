import CRModel
import Foundation
import LabReport
import Testing

@Suite("text formats")
struct TextFormatTests {
    @Test(
        "the files look as they did",
        arguments: ReportFormat.allCases.filter { ![.html, .json, .kernels].contains($0) })
    func golden(_ format: ReportFormat) throws {
        try expectGolden(format.render(Synthetic.rich()), format.fileName)
    }

    @Test("the quickstart's table fits 80 columns")
    func width() throws {
        let text = try ReportFormat.table.render(Synthetic.quickstart())
        try expectGolden(text, "quickstart-table.txt")
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    @Test("one cell and the hosts look as they did")
    func cell() throws {
        let results = Synthetic.quickstart()
        let cell = try #require(results.cells.first { $0.finding?.reason == .cpuInstructionMissing })
        let text = CellText.render(cell, in: results)
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        try expectGolden(text, "cell.txt")
        try expectGolden(HostText.render(Synthetic.rich().hosts), "hosts.txt")
    }

    @Test("junit.xml counts an unexpected cell as failure, a lab failure as error, a missing host as skipped")
    func junitCounts() throws {
        let text = try ReportFormat.junit.render(Synthetic.rich())
        #expect(text.contains(#"tests="69" failures="2" errors="2" skipped="2""#), "\(text.prefix(300))")
    }

    @Test("controls that failed and what is flaky stand before the outcomes", arguments: ReportFormat.allCases)
    func doubts(_ format: ReportFormat) throws {
        guard ![.json, .kernels].contains(format) else { return }
        let text = try format.render(Synthetic.rich())
        let control = try #require(text.firstRange(of: "cut in half was taken for whole"), "\(format)")
        let outcome = try #require(text.firstRange(of: format == .junit ? ".native.bash" : "sandybridge"), "\(format)")
        #expect(control.lowerBound < outcome.lowerBound, "\(format)")
        #expect(text.contains("restored 1, broke 2") || format == .junit, "\(format)")
        // One that passed is no news.
        #expect(!text.contains("was refused.") || format == .html)
    }

    @Test("junit.xml stays XML whatever a workload writes")
    func junitHostile() throws {
        for results in [Synthetic.rich(), Synthetic.hostileResults()] {
            let text = try ReportFormat.junit.render(results)
            let check = "import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])"
            guard let answer = try runTool(["python3", "-c", check], input: text) else { return }
            #expect(answer.status == 0, "\(answer.output)")
            // xmllint is a second opinion where it is installed.
            if let second = try runTool(["xmllint", "--noout"], input: text) {
                #expect(second.status == 0, "\(second.output)")
            }
        }
    }

    @Test("no escape sequence and no turned text reaches any format", arguments: ReportFormat.allCases)
    func control(_ format: ReportFormat) throws {
        let text = try format.render(Synthetic.hostileResults())
        for scalar in text.unicodeScalars {
            let value = scalar.value
            #expect(value >= 0x20 || value == 0x0a, "U+\(String(value, radix: 16)) in \(format)")
            if format != .json, format != .html { #expect(value != 0x202e, "direction override in \(format)") }
        }
    }

    @Test("summary.md holds no markup of a workload")
    func markdown() throws {
        let text = try ReportFormat.markdown.render(Synthetic.hostileResults())
        #expect(
            !text.contains("<script") && !text.contains("</script") && !text.contains("<b>") && !text.contains("<!--"))
        #expect(!text.contains("_[x](y)"))
        // Every row of a table has as many unescaped bars as its head.
        var bars = 0
        for line in text.split(separator: "\n") {
            let isRow = line.hasPrefix("| ")
            let count = line.replacingOccurrences(of: "\\|", with: "").count { $0 == "|" }
            if isRow, bars > 0 { #expect(count == bars, "\(line)") }
            bars = isRow ? count : 0
        }
    }

    @Test("a large run's summary stays below GitHub's limit")
    func summarySize() throws {
        #expect(try ReportFormat.markdown.render(Synthetic.large()).utf8.count < 1_048_576)
    }

    @Test("an empty run is rendered", arguments: ReportFormat.allCases)
    func empty(_ format: ReportFormat) throws {
        let text = try format.render(Synthetic.results("", [:], []))
        #expect(!text.isEmpty)
        if format == .table { #expect(text.contains("0 of 0 cells restored")) }
    }
}
