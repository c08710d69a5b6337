import CRModel
import LabReport
import Testing

@Suite("results.json")
struct ResultsDocumentTests {
    @Test("what is written is read back, and writing it again gives the same bytes")
    func roundTrip() throws {
        for results in [Synthetic.rich(), Synthetic.quickstart(), Synthetic.hostileResults()] {
            let text = try ResultsDocument.json(results)
            let back = try ResultsDocument.read(text)
            #expect(try ResultsDocument.json(back) == text)
        }
    }

    @Test("the order of cells in memory does not show")
    func order() throws {
        let results = Synthetic.rich()
        var turned = results
        turned.cells.reverse()
        #expect(try ResultsDocument.json(results) == ResultsDocument.json(turned))
    }

    @Test("the file looks as it did")
    func golden() throws {
        var results = Synthetic.rich()
        results.cells = results.cells.filter { $0.cell.source == "haswell-6.12" && $0.cell.destination == "haswell" }
        try expectGolden(try ResultsDocument.json(results), "results.json")
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let says: String

        init(_ name: String, _ text: String, says: String) {
            testDescription = name
            self.text = text
            self.says = says
        }
    }

    static let cases = [
        Case("no JSON", "nonsense", says: "cannot read results (x.json): not JSON at byte 0"),
        Case("cut", #"{"schema":"crlab.results/1","run":{"#, says: "not JSON at byte"),
        Case("no schema", "{}", says: "no member 'schema'"),
        Case("another schema", #"{"schema":"crlab.scenario/1"}"#, says: "'crlab.scenario/1' and not 'crlab.results/1'"),
        Case("newer", #"{"schema":"crlab.results/2"}"#, says: "use the crlab that wrote it"),
        Case("member missing", #"{"schema":"crlab.results/1"}"#, says: "run"),
        Case(
            "unknown outcome",
            #"{"schema":"crlab.results/1","hosts":{},"run":{"id":"a","scenario":"","title":"","startedAt":"","#
                + #""durationSeconds":1,"crlabVersion":"","accelerator":"","qemuVersion":"","boots":0,"counts":{"cells":0,"#
                + #""restored":0,"refused":0,"broke":0,"misses":0,"unexpected":0}},"cells":[{"outcome":"maybe"}]}"#,
            says: "cannot read results (x.json)"),
    ]

    @Test("what cannot be read is said", arguments: cases)
    func damaged(_ c: Case) {
        let error = #expect(throws: ReportError.self) { _ = try ResultsDocument.read(c.text, place: "x.json") }
        #expect(error?.explanation.line.contains(c.says) == true, "\(error?.explanation.line ?? "")")
    }
}
