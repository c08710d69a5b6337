import CRModel
import LabReport
import LabRunner
import SystemPackage

/// What `run` and `repro` print at the end.
enum RunAnswer {
    static func print(_ results: Results, folder: FilePath, format: AnswerFormat) throws {
        switch format {
        case .json: Terminal.answer(try ReportFormat.json.render(results))
        case .table:
            Terminal.answer(try ReportFormat.table.render(results, colour: Terminal.mayColour))
            Terminal.answer(RunVerdict(results).sentence)
            Terminal.answer("report: \(folder.appending(ReportFormat.html.fileName))")
        }
    }
}
