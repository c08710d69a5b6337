internal import CREngine
internal import CRModel
internal import LinuxKit

/// `crengine run`: starts a program in a way in which it can be dumped.
enum RunCommand {
    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        let arguments = try Arguments(words, for: "run")
        try arguments.noOperands()
        guard let program = arguments.rest.first else { throw Arguments.Failure(message: "run needs -- PROGRAM") }
        var request = SpawnRequest(
            executable: program, arguments: arguments.rest, environment: arguments.values["--environment"] ?? [])
        // A session of its own without terminal, and descriptors that are files.
        request.newSession = true
        request.workingDirectory = arguments.value("--directory")
        if let pid = try arguments.number("--pid") { request.pids = [pid] }
        if arguments.flags.contains("--new-pid-namespace") {
            request.namespaces = [.pid, .mount]
            request.privateMounts = true
            request.mountProc = true
        }
        do throws(LinuxError) {
            _ = try Signals.block([Signals.child])
            request.stdin = try Files.open("/dev/null", .readWrite)
            if let output = arguments.value("--output") {
                request.stdout = try Files.open(output, [.writeOnly, .create, .append], mode: 0o644)
                request.stderr = request.stdout
            }
            let child = try Spawn.start(request)
            while true {
                do throws(LinuxError) {
                    switch try Wait.wait(for: child.pid, deadline: Deadline(seconds: 3600)).status {
                    case .exited(let code): return code
                    case .killed(let signal, _): return 128 + signal
                    case .stopped, .continued: continue
                    }
                } catch {
                    guard case .deadline = error else { throw error }
                }
            }
        } catch {
            Output.note(error.explanation.line)
            return error.errno == .exists ? Output.ExitCode.retry.rawValue : Output.ExitCode.failed.rawValue
        }
    }
}
