import CRRuntimes
import LinuxKit

/// Runs a command to its end, or to its deadline, with its output in files.
struct Command {
    var arguments: [String]
    var environment: [String]
    var logFiles: [String] = []
    var workingDirectory: String?
    var outputFolder: String
    /// Files to which it appends its output and its errors, in place of fresh ones in the output folder.
    var streams: (output: String, errors: String)?
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
        // What others wrote to the same files before is not this command's.
        let before = files.map { streams == nil ? 0 : Int((try? Files.status(of: $0))?.sizeBytes ?? 0) }
        let process = try start()
        defer { Files.close(process.pidfd) }
        var status = reaper.wait(for: process.pid, deadline: deadline)
        let timedOut = status == nil
        if timedOut {
            try? Pidfd.send(process.pidfd, Signals.kill)
            status = reaper.wait(for: process.pid, deadline: Deadline(seconds: 5))
        }
        var ended = RuntimeExit(
            exitStatus: nil, signal: nil, timedOut: timedOut, output: text(files[0], from: before[0]),
            errors: text(files[1], from: before[1]), logs: logs)
        switch status {
        case .exited(let code): ended.exitStatus = Int(code)
        case .killed(let signal, _): ended.signal = Int(signal)
        default: break
        }
        return ended
    }

    /// Starts it and leaves it to the caller, who closes the pidfd.
    ///
    /// - Throws: What prevented the start.
    func start() throws(LinuxError) -> SpawnedProcess {
        let null = try Files.open("/dev/null", .readOnly)
        defer { Files.close(null) }
        let mode: Files.OpenFlags = streams == nil ? .truncate : .append
        let out = try Files.open(files[0], [.writeOnly, .create, mode], mode: 0o644)
        defer { Files.close(out) }
        let errors = try Files.open(files[1], [.writeOnly, .create, mode], mode: 0o644)
        defer { Files.close(errors) }
        var request = SpawnRequest(
            executable: resolved(), arguments: arguments,
            environment: [Self.path, "SWIFT_DETERMINISTIC_HASHING=1", "SWIFT_BACKTRACE=enable=no"] + environment)
        request.newSession = true
        request.workingDirectory = workingDirectory
        request.stdin = null
        request.stdout = out
        request.stderr = errors
        return try Spawn.start(request)
    }

    private var files: [String] {
        [streams?.output ?? outputFolder + "/stdout", streams?.errors ?? outputFolder + "/stderr"]
    }

    /// The log files as they are now.
    var logs: [String] {
        logFiles.map { BoundedText.log(of: (try? Files.contents(of: $0)) ?? [], endBytes: limitBytes) }
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

    private func text(_ path: String, from start: Int) -> String {
        guard let bytes = try? Files.contents(of: path) else { return "" }
        return BoundedText.ends(of: Array(bytes.dropFirst(start)), endBytes: limitBytes)
    }
}
