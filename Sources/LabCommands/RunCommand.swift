import ArgumentParser
import CRModel
import LabRunner
import SystemPackage

struct RunCommand: AsyncParsableCommand, Sendable {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a scenario and writes its report.",
        discussion: "With --resume, goes on with a run that was stopped or killed: finished cells are kept.")

    @Argument(help: "A scenario file; with --resume a run identifier or folder, by default the newest run.")
    var subject: String?

    @Flag(help: "Go on with an unfinished run.")
    var resume = false

    @Option(help: "Only these cells, such as workload=counter,destination=nehalem or a cell id; may be repeated.")
    var only: [String] = []

    @Option(help: "Folder of this run, by default Reports/<run id>.")
    var reportDir: String?

    @Option(help: "Deadline for all of it, fetching included, such as 90s, 15m or 2h.")
    var deadline: DurationArgument?

    @Flag(help: "Keep the images of all dumps in the run's folder.")
    var keepImages = false

    @Flag(help: "Use a fresh guest for every dump and every restore: slower, and nothing shares a guest kernel.")
    var isolate = false

    @Option(
        help: "Folder in which runs keep their images together, for good; equal ones once. By default the run's own.")
    var imageStore: String?

    @Option(
        help: """
            Repeat each failure that is not expected so often, alone in a fresh guest, to tell flaky from broken; by \
            default as the scenario says.
            """)
    var confirm: Int?

    @Option(help: "A run or results.json: cells that failed alike in it are not repeated by --confirm.")
    var baseline: String?

    @Flag(help: "Exit as if an outcome that differs from one attempt to the next were as expected.")
    var allowFlaky = false

    @OptionGroup var cut: ShardOptions
    @OptionGroup var guests: GuestOptions
    @OptionGroup var format: FormatOption

    func validate() throws {
        if !resume && subject == nil {
            throw ValidationError("name a scenario file, such as Scenarios/quickstart.yaml")
        }
        if resume && !only.isEmpty { throw ValidationError("--only belongs to a new run; a resumed one keeps its own") }
        if resume && cut.shard != nil {
            throw ValidationError("--shard belongs to a new run; a resumed one keeps its own")
        }
        if resume && imageStore != nil {
            throw ValidationError("--image-store belongs to a new run; a resumed one keeps its own")
        }
        if resume && (confirm != nil || baseline != nil) {
            throw ValidationError("--confirm and --baseline belong to a new run; a resumed one keeps its own")
        }
        if let confirm, !(0...100).contains(confirm) {
            throw ValidationError("--confirm takes a number from 0 to 100")
        }
        if resume && reportDir != nil {
            throw ValidationError("--report-dir belongs to a new run; a resumed one keeps its own")
        }
    }

    func run() async throws {
        try await ExitStatus.guarding {
            let job = RunJob(options: runOptions, guests: guests)
            let (results, folder) =
                if resume {
                    try await job.resume(subject)
                } else {
                    try await job.start(
                        FilePath(subject ?? ""), only: only, folder: reportDir.map { FilePath($0) }, cut: cut,
                        imageStore: imageStore.map { FilePath($0) }, confirm: confirm, baseline: baseline)
                }
            try RunAnswer.give(results, folder: folder, format: format.format, allowFlaky: allowFlaky)
        }
    }

    private var runOptions: RunOptions {
        RunOptions(
            guestsAtOnce: guests.guestsAtOnce, deadline: deadline?.duration, keepImages: keepImages,
            isolate: isolate)
    }
}
