import ArgumentParser
import CRModel
import LabRunner
import SystemPackage

struct ReproCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "repro", abstract: "Repeats one cell of a run, with its control, as a run of its own.",
        usage: "crlab repro [RUN] CELL")

    @OptionGroup var which: CellArgument

    @Option(help: "Folder of the new run, by default Reports/<run id>.")
    var reportDir: String?

    @Flag(help: "Keep the image of the dump in the new run's folder.")
    var keepImages = false

    @OptionGroup var guests: GuestOptions
    @OptionGroup var format: FormatOption

    func run() async throws {
        try await ExitStatus.guarding {
            let job = RunJob(
                options: RunOptions(guestsAtOnce: guests.guestsAtOnce, keepImages: keepImages),
                guests: guests)
            let (results, folder) = try await job.repeat(
                cell: which.cell, ofRun: which.run,
                folder: reportDir.map { FilePath($0) })
            try RunAnswer.give(results, folder: folder, format: format.format)
        }
    }
}
