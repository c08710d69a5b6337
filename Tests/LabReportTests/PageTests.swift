import CRModel
import Foundation
import LabReport
import Testing

@Suite("report.html")
struct PageTests {
    @Test("one file: nothing is fetched")
    func selfContained() throws {
        let page = try ReportFormat.html.render(Synthetic.quickstart())
        for word in ["http://", "https://", "src=\"/", "url(", "@import"] {
            #expect(!page.contains(word), "\(word)")
        }
        #expect(page.contains("default-src 'none'"))
    }

    @Test("no text of a run becomes markup")
    func hostile() throws {
        let page = try ReportFormat.html.render(Synthetic.hostileResults())
        let scripts = page.components(separatedBy: "<script").count - 1
        #expect(scripts == 2, "\(scripts) script blocks")
        #expect(page.components(separatedBy: "</script").count - 1 == 2)
        #expect(!page.contains("<!--") && !page.contains("<b>]"))
        // A quote with a combining mark is one character to Swift and still a quote to a browser.
        #expect(page.utf8.firstRange(of: "[31m\"\u{301}".utf8) == nil)
    }

    @Test("holds everything without script: answer, causes, cells and hosts")
    func withoutScript() throws {
        let results = Synthetic.rich()
        let page = try ReportFormat.html.render(results)
        let still = page.components(separatedBy: "<script")[0]
        for text in [
            "One outcome is not as expected.", "cpu.instruction-missing", "vpbroadcastb needs avx2",
            "the mirror no longer holds suite buster", "sandybridge", "6.12.73+deb13-amd64",
            "crlab repro synthetic-run",
        ] {
            #expect(still.contains(text), "\(text)")
        }
        for result in results.cells { #expect(still.contains(">\(result.cell.id)<"), "\(result.cell.id)") }
    }

    @Test("20,000 cells stay below 4 MiB")
    func size() throws {
        let page = try ReportFormat.html.render(Synthetic.large())
        #expect(page.utf8.count <= 4 * 1_048_576, "\(page.utf8.count) bytes")
    }
}
