import ArgumentParser
import CRModel
import LabReport
import LabRunner
import SystemPackage

/// What `run` and `repro` print at the end, and the exit status that they end with.
enum RunAnswer {
    static func give(
        _ results: Results, folder: FilePath, format: AnswerFormat, allowFlaky: Bool = false
    ) throws {
        let verdict = RunVerdict(results, allowFlaky: allowFlaky)
        switch format {
        case .json: Terminal.answer(try ReportFormat.json.render(results))
        case .table:
            Terminal.answer(try ReportFormat.table.render(results, colour: Terminal.mayColour))
            Terminal.answer(verdict.sentence)
            Terminal.answer("report: \(folder.appending(ReportFormat.html.fileName))")
        }
        if verdict.exitStatus != 0 { throw ExitCode(verdict.exitStatus) }
    }
}
