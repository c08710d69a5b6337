import CRModel
import Foundation
import LabReport
import Testing

private let folder = ProcessInfo.processInfo.environment["CRLAB_PAGES"]

/// Writes the pages that `browser-check` opens. Off unless that script asks, since it only makes files.
@Suite("pages for a browser", .enabled(if: folder != nil, "browser-check sets CRLAB_PAGES"))
struct PagesForBrowser {
    @Test("writes synthetic pages", arguments: ["quickstart", "rich", "hostile", "large"])
    func write(_ name: String) throws {
        let results =
            switch name {
            case "quickstart": Synthetic.quickstart()
            case "rich": Synthetic.rich()
            case "hostile": Synthetic.hostileResults()
            default: Synthetic.large()
            }
        let folder = try #require(folder)
        let clock = ContinuousClock()
        for format in ReportFormat.allCases {
            let start = clock.now
            let text = try format.render(results)
            let took = clock.now - start
            try text.write(toFile: "\(folder)/\(name).\(format.fileName)", atomically: true, encoding: .utf8)
            print("rendered \(name) \(format.rawValue): \(text.utf8.count) bytes in \(took / .milliseconds(1)) ms")
        }
        let cell = results.cells.first { $0.finding != nil } ?? results.cells[0]
        try (CellText.render(cell, in: results) + "\n=====\n" + HostText.render(results.hosts))
            .write(toFile: "\(folder)/\(name).cell.txt", atomically: true, encoding: .utf8)
    }
}
