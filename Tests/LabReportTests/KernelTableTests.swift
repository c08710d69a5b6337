import CRModel
import Foundation
import LabReport
import Testing

/// The table of kernels, and that the README's is the one of the published run.
struct KernelTableTests {
    @Test("the README shows the published run")
    func readme() throws {
        let text = try String(contentsOf: repository.appending(path: "README.md"), encoding: .utf8)
        let marks = (begin: "<!-- kernels: begin -->\n", end: "<!-- kernels: end -->\n")
        let begin = try #require(text.range(of: marks.begin)?.upperBound)
        let end = try #require(text.range(of: marks.end)?.lowerBound)
        let published = repository.appending(path: "Reports/published/applications.json")
        let results = try ResultsDocument.read(String(contentsOf: published, encoding: .utf8))
        let table = try ReportFormat.kernels.render(results)
        #expect(text[begin..<end] == table)
    }

    @Test("no workload of a published run breaks without a word")
    func nothingBroke() throws {
        let published = repository.appending(path: "Reports/published/applications.json")
        let results = try ResultsDocument.read(String(contentsOf: published, encoding: .utf8))
        #expect(results.cells.allSatisfy { $0.outcome == .restored || $0.finding != nil || $0.outcome == nil })
    }
}
