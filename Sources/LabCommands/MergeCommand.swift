import ArgumentParser
import CRModel
import LabRunner
import SystemPackage

struct MergeCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "merge", abstract: "Makes one run of the runs of all shards, and writes its report.",
        discussion: """
            The result is the same whichever way the plan was cut. Exit status as for the whole run; 64 when the runs are \
            not all shards of one run.
            """)

    @Argument(help: "Run identifiers or folders: the runs of all shards, in any order.")
    var runs: [String]

    @Option(help: "Folder of the merged run, by default Reports/<run id>.")
    var reportDir: String?

    @Flag(help: "Exit as if an outcome that differs from one attempt to the next were as expected.")
    var allowFlaky = false

    @OptionGroup var format: FormatOption

    func run() async throws {
        try await ExitStatus.guarding {
            let control = RunControl(installation: try .find())
            let folder = try await control.merge(runs, folder: reportDir.map { FilePath($0) })
            let results = try control.results(of: folder)
            try ReportFiles.write(results, to: folder)
            try RunAnswer.give(results, folder: folder, format: format.format, allowFlaky: allowFlaky)
        }
    }
}
