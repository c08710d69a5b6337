public import CRModel

/// The forms in which a run can be read.
public enum ReportFormat: String, CaseIterable, Sendable {
    case table, json, junit, markdown, html
    /// One row per workload, one column per kernel it was dumped on: for runs over several kernels.
    case kernels

    /// Those that a run's folder holds as files.
    public static let files: [ReportFormat] = [.json, .junit, .markdown, .html]

    /// Name of the file in the run's folder; the table has one too for whoever wants to keep it.
    public var fileName: String {
        switch self {
        case .table: "table.txt"
        case .json: "results.json"
        case .junit: "junit.xml"
        case .markdown: "summary.md"
        case .html: "report.html"
        case .kernels: "kernels.md"
        }
    }

    /// The whole report as text.
    ///
    /// - Parameter colour: Whether a table may hold a terminal's colours; other formats never do.
    public func render(_ results: Results, colour: Bool = false) throws(ReportError) -> String {
        switch self {
        case .table: TableReport.render(results, colour: colour)
        case .json: try ResultsDocument.json(results)
        case .junit: try JUnitReport.render(results)
        case .markdown: try SummaryReport.render(results)
        case .html: try PageReport.render(results)
        case .kernels: KernelTable.render(results)
        }
    }
}
