public import CRModel

/// What dumps and restores, as a command that the agent runs: how it is called and how its answer is read.
///
/// A runtime says what happened and nothing about why: exit statuses and logs are raw, and only what the runtime itself
/// prints machine-readably becomes a ``Refusal``. Several versions of one program stand side by side as several
/// runtimes with their own names and executables.
public protocol Runtime: Sendable {
    /// The name in scenarios: `native`, `criu-4.1.1`.
    var name: RuntimeName { get }

    /// The command whose output names the version.
    func versionCommand() -> RuntimeCommand

    /// The version in that command's standard output; `nil` when it is not there.
    func version(in output: String) -> String?

    /// The command that dumps a workload and ends it.
    func dumpCommand(_ request: RuntimeRequest) -> RuntimeCommand

    /// The command that restores it and returns when all tasks run.
    func restoreCommand(_ request: RuntimeRequest) -> RuntimeCommand

    /// How one of the two commands ended.
    func report(_ ended: RuntimeExit) -> RuntimeReport
}

/// A runtime whose workloads live in a container of its own: it starts them, waits for them, and runs commands beside
/// them.
public protocol ContainerRuntime: Runtime {
    /// The OCI spec of the bundle, whose root is the folder `rootfs` beside it.
    func bundle(_ request: RuntimeRequest, running workload: RuntimeWorkload) -> String

    /// The command that starts the workload and returns when it runs, with its standard streams.
    func startCommand(_ request: RuntimeRequest) -> RuntimeCommand

    /// The command that waits for the workload's end.
    func waitCommand(_ request: RuntimeRequest) -> RuntimeCommand

    /// The workload's exit status in what that command wrote, 128 + number for a signal; `nil` when it is not there.
    func exitStatus(in output: String) -> Int?

    /// The command that runs another program in the workload's container and ends like it.
    func executeCommand(_ request: RuntimeRequest, _ program: RuntimeWorkload) -> RuntimeCommand
}

/// A program in the userland.
public struct RuntimeWorkload: Sendable, Hashable {
    public var arguments: [String]
    /// `NAME=value`.
    public var environment: [String]
    public var workingDirectory: String

    public init(arguments: [String], environment: [String], workingDirectory: String) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
    }
}

/// What a runtime is to do, and where.
public struct RuntimeRequest: Sendable, Hashable {
    /// PID of the workload's root task; 0 for a restore.
    public var process: Int32
    /// An empty, or for a restore filled, folder that belongs to this image alone.
    public var imageFolder: String
    /// The workload's work directory.
    public var workFolder: String
    /// Where the runtime may write its log.
    public var logFolder: String
    /// The OCI bundle of a ``ContainerRuntime``; empty for others.
    public var bundleFolder: String
    /// From the scenario.
    public var options: RuntimeOptions

    public init(
        process: Int32, imageFolder: String, workFolder: String, logFolder: String, bundleFolder: String = "",
        options: RuntimeOptions
    ) {
        self.process = process
        self.imageFolder = imageFolder
        self.workFolder = workFolder
        self.logFolder = logFolder
        self.bundleFolder = bundleFolder
        self.options = options
    }
}

/// A command line with the files in which it leaves its traces.
public struct RuntimeCommand: Sendable, Hashable {
    public var arguments: [String]
    /// `NAME=value`.
    public var environment: [String]
    /// Log files besides standard output and error, in the order in which they are to be read; they may not exist.
    public var logFiles: [String]

    /// The program.
    public var executable: String { arguments.first ?? "" }

    public init(arguments: [String], environment: [String] = [], logFiles: [String] = []) {
        self.arguments = arguments
        self.environment = environment
        self.logFiles = logFiles
    }
}

/// How a runtime's command ended, and what it wrote.
public struct RuntimeExit: Sendable, Hashable {
    /// `nil` when it died of a signal or did not end.
    public var exitStatus: Int?
    public var signal: Int?
    /// It was killed because its deadline had passed.
    public var timedOut: Bool
    public var output: String
    public var errors: String
    /// Contents of ``RuntimeCommand/logFiles``.
    public var logs: [String]

    public init(
        exitStatus: Int?, signal: Int?, timedOut: Bool, output: String, errors: String, logs: [String] = []
    ) {
        self.exitStatus = exitStatus
        self.signal = signal
        self.timedOut = timedOut
        self.output = output
        self.errors = errors
        self.logs = logs
    }
}

/// What a stage's evidence takes from the runtime.
public struct RuntimeReport: Sendable, Hashable {
    /// `done`, `refused`, `failed` or `hung`.
    public var ending: StageEvidence.Ending
    public var refusal: Refusal?
    public var log: String

    public init(ending: StageEvidence.Ending, refusal: Refusal?, log: String) {
        self.ending = ending
        self.refusal = refusal
        self.log = log
    }
}
