import ArgumentParser
import CRModel
import LabReport
import LabRunner
import LabStore

struct ShowCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one cell of a run: stages, finding, evidence, remedy.",
        usage: "crlab show [RUN] CELL")

    @Argument(help: "A run identifier or folder (by default the newest run), then a cell id as in the report.")
    var words: [String]

    @Flag(help: "Print the stored evidence of every attempt as JSON.")
    var evidence = false

    @OptionGroup var format: FormatOption

    func validate() throws {
        guard (1...2).contains(words.count), Cell(id: words.last ?? "") != nil else {
            throw ValidationError("name a cell as in the report: RUNTIME/WORKLOAD/SOURCE/DESTINATION")
        }
    }

    func run() async throws {
        try await ExitStatus.guarding {
            let control = RunControl(installation: try .find())
            let folder = try control.folder(ofRun: words.count == 2 ? words[0] : nil)
            let (results, cell) = try control.cell(words.last ?? "", of: folder)
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
