import CRRuntimes
import LinuxKit

/// Runs a command to its end, or to its deadline, with its output in files.
struct Command {
    var arguments: [String]
    var environment: [String]
    var logFiles: [String] = []
    var workingDirectory: String?
    var outputFolder: String
    var deadline: Deadline
    var limitBytes = BoundedText.logEndBytes

    init(
        arguments: [String], environment: [String] = [], workingDirectory: String? = nil, outputFolder: String,
        deadline: Deadline
    ) {
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.outputFolder = outputFolder
        self.deadline = deadline
    }

    init(_ command: RuntimeCommand, workingDirectory: String? = nil, outputFolder: String, deadline: Deadline) {
        self.init(
            arguments: command.arguments, environment: command.environment, workingDirectory: workingDirectory,
            outputFolder: outputFolder, deadline: deadline)
        logFiles = command.logFiles
    }

    static let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// - Parameter reaper: Waits for the command; it belongs to whoever has other children too.
    /// - Precondition: SIGCHLD is blocked.
    /// - Throws: What prevented the start; a command that ends badly is a value.
    func run(reaper: Reaper = Reaper()) throws(LinuxError) -> RuntimeExit {
        let files = [outputFolder + "/stdout", outputFolder + "/stderr"]
        let null = try Files.open("/dev/null", .readOnly)
        defer { Files.close(null) }
        let out = try Files.open(files[0], [.writeOnly, .create, .truncate])
        defer { Files.close(out) }
        let errors = try Files.open(files[1], [.writeOnly, .create, .truncate])
        defer { Files.close(errors) }
        var request = SpawnRequest(
            executable: resolved(), arguments: arguments,
            environment: [Self.path, "SWIFT_DETERMINISTIC_HASHING=1", "SWIFT_BACKTRACE=enable=no"] + environment)
        request.newSession = true
        request.workingDirectory = workingDirectory
        request.stdin = null
        request.stdout = out
        request.stderr = errors
        let process = try Spawn.start(request)
        defer { Files.close(process.pidfd) }
        var status = reaper.wait(for: process.pid, deadline: deadline)
        let timedOut = status == nil
        if timedOut {
            try? Pidfd.send(process.pidfd, Signals.kill)
            status = reaper.wait(for: process.pid, deadline: Deadline(seconds: 5))
        }
        var ended = RuntimeExit(
            exitStatus: nil, signal: nil, timedOut: timedOut, output: text(files[0]), errors: text(files[1]),
            logs: logFiles.map(text))
        switch status {
        case .exited(let code): ended.exitStatus = Int(code)
        case .killed(let signal, _): ended.signal = Int(signal)
        default: break
        }
        return ended
    }

    /// execve(2) searches no PATH; a name without a slash is looked up in the usual folders.
    private func resolved() -> String {
        let name = arguments.first ?? ""
        if name.utf8.contains(UInt8(ascii: "/")) { return name }
        for folder in Self.path.dropFirst("PATH=".count).split(separator: ":") {
            let path = "\(folder)/\(name)"
            if (try? Files.status(of: path)) != nil { return path }
        }
        return name
    }

    private func text(_ path: String) -> String {
        guard let bytes = try? Files.contents(of: path) else { return "" }
        return BoundedText.ends(of: bytes, endBytes: limitBytes)
    }
}
