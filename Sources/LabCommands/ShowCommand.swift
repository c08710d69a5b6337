import ArgumentParser
import CRModel
import LabReport
import LabRunner
import LabStore

struct ShowCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one cell of a run: stages, finding, evidence, remedy.",
        usage: "crlab show [RUN] CELL")

    @OptionGroup var which: CellArgument

    @Flag(help: "Print the stored evidence of every attempt as JSON.")
    var evidence = false

    @OptionGroup var format: FormatOption

    func run() async throws {
        try await ExitStatus.guarding {
            let control = RunControl(installation: try .find())
            let folder = try control.folder(ofRun: which.run)
            let (results, cell) = try control.cell(which.cell, of: folder)
            if evidence {
                let attempts = try RunReader.open(at: folder.string).attempts(of: cell.cell)
                return Terminal.answer(try JSONCoder.text(of: attempts.map(\.evidence), pretty: true))
            }
            switch format.format {
            case .json: Terminal.answer(try JSONCoder.text(of: cell, pretty: true))
            case .table: Terminal.answer(CellText.render(cell, in: results, colour: Terminal.mayColour))
            }
        }
    }
}
