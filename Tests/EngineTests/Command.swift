import CRModel
import Foundation
import LinuxKit

/// prctl(PR_SET_CHILD_SUBREAPER): orphans of the engine become our children.
enum Subreaper {
    static func begin() throws {
        let setChildSubreaper: UInt64 = 36
        try Kernel.call(.prctl, setChildSubreaper, 1, on: "child subreaper")
    }
}

/// Starts programs, with a deadline on each.
enum Command {
    struct Answer {
        /// Exit code; 128 + signal when killed; `nil` when it had to be killed at its deadline.
        var code: Int32?
        var stdout: String
        var stderr: String
        var json: JSONValue? { try? JSONParser.parse(stdout) }
    }

    /// - Returns: The PID, a child of this process.
    static func spawn(
        _ words: [String], environment: [String], directory: String, stdin: String = "/dev/null", stdout: String,
        stderr: String, newSession: Bool = false
    ) throws -> Int32 {
        var request = SpawnRequest(executable: words[0], arguments: words, environment: environment)
        request.workingDirectory = directory
        request.newSession = newSession
        let input = try Files.open(stdin, [.readOnly, .closeOnExec])
        defer { Files.close(input) }
        let output = try Files.open(stdout, [.writeOnly, .create, .append, .closeOnExec], mode: 0o644)
        defer { Files.close(output) }
        let errors = try Files.open(stderr, [.writeOnly, .create, .append, .closeOnExec], mode: 0o644)
        defer { Files.close(errors) }
        request.stdin = input
        request.stdout = output
        request.stderr = errors
        let process = try Spawn.start(request)
        Files.close(process.pidfd)
        return process.pid
    }

    /// Runs to the end.
    static func run(
        _ words: [String], environment: [String] = ["PATH=/usr/bin:/bin"], directory: String,
        stdin: String = "/dev/null",
        seconds: Double = 30
    ) throws -> Answer {
        let name = EngineLab.temporary("command")
        defer { for end in [".out", ".err"] { try? FileManager.default.removeItem(atPath: name + end) } }
        let pid = try spawn(
            words, environment: environment, directory: directory, stdin: stdin, stdout: name + ".out",
            stderr: name + ".err")
        let code = end(of: pid, seconds: seconds)
        func text(_ end: String) -> String {
            (try? Data(contentsOf: URL(filePath: name + end))).map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        return Answer(code: code, stdout: text(".out"), stderr: text(".err"))
    }

    /// Waits for a child: its exit code, 128 + signal when killed. `nil` when it did not end in time: then it gets
    /// SIGTERM, and SIGKILL five seconds later.
    static func end(of pid: Int32, seconds: Double) -> Int32? {
        if let code = code(of: pid, seconds: seconds) { return code }
        for signal in [Signals.terminate, Signals.kill] {
            try? Signals.send(signal, to: pid)
            if code(of: pid, seconds: 5) != nil { break }
        }
        return nil
    }

    private static func code(of pid: Int32, seconds: Double) -> Int32? {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while Date() < deadline {
            switch (try? Wait.poll(pid))?.status {
            case .exited(let code): return code
            case .killed(let signal, _): return 128 + signal
            default: usleep(1000)
            }
        }
        return nil
    }
}

/// `crengine`, with its machine-readable answers.
enum Engine {
    static func run(
        _ words: [String], environment: [String] = [], stdin: String = "/dev/null", seconds: Double = 30
    ) throws -> Command.Answer {
        try Command.run(
            [EngineLab.engine] + words + ["--format", "json"], environment: ["PATH=/usr/bin:/bin"] + environment,
            directory: "/", stdin: stdin, seconds: seconds)
    }

    /// Words for a failure message.
    static func words(_ answer: Command.Answer) -> String {
        "\(answer.code.map { "exit \($0)" } ?? "killed at its deadline") \(answer.stdout.prefix(700)) "
            + "\(answer.stderr.suffix(700))"
    }
}
