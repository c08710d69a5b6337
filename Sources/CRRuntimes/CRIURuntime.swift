public import CRModel

/// CRIU, called as its manual has it for a tree in a container's root: the cell has pivoted into it, and criu runs in it.
public struct CRIURuntime: Runtime {
    public let name: RuntimeName
    /// The words that start the program.
    public let command: [String]

    public init(name: RuntimeName, command: [String]) {
        self.name = name
        self.command = command
    }

    public func versionCommand() -> RuntimeCommand { RuntimeCommand(arguments: command + ["--version"]) }

    /// `Version: 4.1.1`.
    public func version(in output: String) -> String? {
        output.split(separator: "\n").lazy.filter { $0.hasPrefix("Version: ") }.first
            .map { String($0.dropFirst("Version: ".count)) }
    }

    public func dumpCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        called("dump", ["--tree", "\(request.process)"], request)
    }

    public func restoreCommand(_ request: RuntimeRequest) -> RuntimeCommand {
        called("restore", ["--restore-detached"], request)
    }

    private func called(_ verb: String, _ words: [String], _ request: RuntimeRequest) -> RuntimeCommand {
        let log = "\(verb).log"
        return RuntimeCommand(
            arguments: command + [verb] + words + [
                "--images-dir", request.imageFolder, "--work-dir", request.logFolder, "--log-file", log, "-v4",
                "--root", "/",
            ] + request.options.arguments,
            logFiles: ["\(request.logFolder)/\(log)"])
    }

    /// criu has one way of saying no and of failing: its exit status is 1 for both.
    public func report(_ ended: RuntimeExit) -> RuntimeReport { .plain(ended) }
}

extension RuntimeReport {
    /// Of a runtime that says nothing but its exit status and logs.
    static func plain(_ ended: RuntimeExit) -> RuntimeReport {
        let log = BoundedText.joined(
            ended.logs.map { ("log", $0) } + [("standard output", ended.output), ("standard error", ended.errors)])
        if ended.timedOut { return RuntimeReport(ending: .hung, refusal: nil, log: log) }
        return RuntimeReport(ending: ended.exitStatus == 0 ? .done : .failed, refusal: nil, log: log)
    }
}
