import GuestWire
import LinuxKit

/// A login shell on a terminal of its own, bridged to the lab.
enum Terminal {
    /// `crlab-agent terminal PROGRAM ARGUMENT…`: makes standard input the controlling terminal, then becomes the program.
    static func main(_ arguments: [String]) -> Int32 {
        guard let program = arguments.first else { return 64 }
        do throws(LinuxError) {
            try GuestSystem.takeTerminal(0)
            let environment = ["HOME=/tmp", "TERM=\(terminalName())", "PS1=crlab \\w # ", Command.path]
            try GuestSystem.execute(program, arguments: Array(arguments), environment: environment)
        } catch {
            try? Files.write(2, Array("crlab-agent: \(error.explanation.line)\n".utf8))
        }
        return 127
    }

    private static func terminalName() -> String {
        (try? Files.text(of: CellRoot.metaFolder + "/terminal")) ?? "dumb"
    }

    /// Serves a shell request until the shell ends.
    static func serve(_ request: ShellRequest, _ context: CellContext) throws(AgentError) {
        let main: Int32
        let shell: SpawnedProcess
        do throws(LinuxError) {
            try Files.write(Array(request.terminal.utf8), to: CellRoot.metaFolder + "/terminal")
            let pair = try GuestSystem.openTerminal(rows: request.rows, columns: request.columns)
            main = pair.main
            // O_NOCTTY: the cell's PID 1 leads a session too, and must not take the terminal from the shell.
            let other = try Files.open(pair.other, [.readWrite, .init(rawValue: 0o400)])
            defer { Files.close(other) }
            let command = request.arguments.isEmpty ? ["/bin/bash", "--norc", "-i"] : request.arguments
            var spawn = SpawnRequest(
                executable: CellRoot.binFolder + "/crlab-agent", arguments: ["crlab-agent", "terminal"] + command,
                environment: [Command.path])
            spawn.newSession = true
            spawn.workingDirectory = CellRoot.workFolder
            spawn.stdin = other
            spawn.stdout = other
            spawn.stderr = other
            shell = try Spawn.start(spawn)
            try GuestSystem.setNonBlocking(main)
            try GuestSystem.setNonBlocking(0)
        } catch {
            throw .preparation("open a terminal", error)
        }
        try bridge(main, shell, context)
        let status = context.reaper.wait(for: shell.pid, deadline: Deadline(seconds: 5))
        var outcome = ExecOutcome(exitStatus: nil, signal: nil, output: "", errors: "")
        switch status {
        case .exited(let code): outcome.exitStatus = Int(code)
        case .killed(let signal, _): outcome.signal = Int(signal)
        default: break
        }
        try context.wire.reply(.exec(outcome))
    }

    /// Carries bytes until the terminal's other end is closed by all who had it, or the lab ends the stream.
    private static func bridge(_ main: Int32, _ shell: SpawnedProcess, _ context: CellContext) throws(AgentError) {
        // What came together with the request lies in the decoder already, where no poll sees it.
        try feed(main, context)
        while context.reaper.ended[shell.pid] == nil {
            var requests = [PollRequest(0, PollRequest.input), PollRequest(main, PollRequest.input)]
            _ = try? PollRequest.wait(&requests, milliseconds: 200)
            context.reaper.step(nanoseconds: 0)
            if requests[1].isReadable {
                // EIO: nobody has the other end any more.
                guard let bytes = try? GuestSystem.readSome(main, limit: 32768) else { return }
                if !bytes.isEmpty {
                    try context.wire.send(Frame(.chunk, request: context.wire.request, payload: bytes))
                }
            }
            if requests[0].isReadable {
                try feed(main, context)
            }
        }
        while let bytes = try? GuestSystem.readSome(main, limit: 32768), !bytes.isEmpty {
            try context.wire.send(Frame(.chunk, request: context.wire.request, payload: bytes))
        }
    }

    /// Types what the lab sent; the end of its input is the key for end of file.
    private static func feed(_ main: Int32, _ context: CellContext) throws(AgentError) {
        for frame in try context.wire.receiveReady() {
            switch frame.kind {
            case .chunk: try? Files.write(main, frame.payload)
            case .end: try? Files.write(main, [4])
            default: break
            }
        }
    }
}
