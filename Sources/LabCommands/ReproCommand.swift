import ArgumentParser
import CRModel
import LabRunner
import SystemPackage

struct ReproCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "repro", abstract: "Repeats one cell of a run, with its control, as a run of its own.",
        usage: "crlab repro [RUN] CELL")

    @Argument(help: "A run identifier or folder (by default the newest run), then a cell id as in the report.")
    var words: [String]

    @Option(help: "Folder of the new run, by default Reports/<run id>.")
    var reportDir: String?

    @Flag(help: "Keep the image of the dump in the new run's folder.")
    var keepImages = false

    @OptionGroup var guests: GuestOptions
    @OptionGroup var format: FormatOption

    func validate() throws {
        guard (1...2).contains(words.count), Cell(id: words.last ?? "") != nil else {
            throw ValidationError("name a cell as in the report: RUNTIME/WORKLOAD/SOURCE/DESTINATION")
        }
    }

    func run() async throws {
        try await ExitStatus.guarding {
            let job = RunJob(
                options: RunOptions(guestsAtOnce: guests.guestsAtOnce, keepImages: keepImages),
                accelerator: guests.accelerator)
            let (results, folder) = try await job.repeat(
                cell: words.last ?? "", ofRun: words.count == 2 ? words[0] : nil,
                folder: reportDir.map { FilePath($0) })
            try RunAnswer.print(results, folder: folder, format: format.format)
            let verdict = RunVerdict(results)
            if verdict.exitStatus != 0 { throw ExitCode(verdict.exitStatus) }
        }
    }
}
