import ArgumentParser
import CRModel
import LabReport
import LabRunner
import SystemPackage

struct ReportCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Prints a run in one format, or writes all its report files again.")

    @Argument(help: "A run identifier or folder; by default the newest run.")
    var name: String?

    @Option(help: "table, json, junit, markdown, html or kernels.")
    var format: ReportFormat = .table

    @Flag(help: "Write results.json, junit.xml, summary.md and report.html into the run's folder.")
    var write = false

    func run() async throws {
        try await ExitStatus.guarding {
            let control = RunControl(installation: try .find())
            let folder = try control.folder(ofRun: name)
            let results = try control.results(of: folder)
            if write {
                try ReportFiles.write(results, to: folder)
                Terminal.answer(folder.appending(ReportFormat.html.fileName).string)
            } else {
                Terminal.answer(try format.render(results, colour: Terminal.mayColour))
            }
        }
    }
}
