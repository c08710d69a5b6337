internal import CREngine
internal import CRModel
internal import LinuxKit

/// `crengine restore`.
enum RestoreCommand {
    /// Signals that end a restore that is under way, and are passed on to the root process afterwards.
    private static let ending = [Signals.terminate, Signals.interrupt, Signals.hangup]

    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        let arguments = try Arguments(words, for: "restore")
        let isJSON = try arguments.isJSON()
        try arguments.noOperands()
        let path = arguments.value("-i") ?? arguments.value("--input") ?? "-"
        let options = try options(arguments)
        do throws(EngineError) {
            try blockSignals()
            let tree = try Restore.run(options, from: try open(path), place: path)
            for note in tree.notes { Output.note(note) }
            report(tree, isJSON: isJSON)
            return options.detach ? Output.ExitCode.done.rawValue : wait(for: tree)
        } catch {
            return Output.failure(error, isJSON: isJSON)
        }
    }

    /// What restore and check have in common.
    static func options(_ arguments: Arguments) throws(Arguments.Failure) -> RestoreOptions {
        var options = RestoreOptions()
        options.tcp = try arguments.tcp()
        options.detach = arguments.flags.contains("--detach")
        options.newPidNamespace = arguments.flags.contains("--new-pid-namespace")
        options.root = arguments.value("--root")
        for text in arguments.values["--external"] ?? [] {
            let parts = text.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, ["/", "@", "fd:"].contains(where: { parts[1].hasPrefix($0) }) else {
                throw Arguments.Failure(
                    message:
                        "--external takes NAME=PATH with an absolute path, NAME=@SOCKET or NAME=fd:N, not '\(text)'")
            }
            options.externals[String(parts[0])] = String(parts[1])
        }
        options.forced = Set(arguments.values["--force"] ?? [])
        for reason in options.forced where Reason(rawValue: reason) == nil {
            throw Arguments.Failure(message: "--force takes a reason such as cpu.xstate-missing, not '\(reason)'")
        }
        options.wakeups = Signals.mask(ending)
        return options
    }

    static func blockSignals() throws(EngineError) {
        try EngineError.wrap("block signals") { () throws(LinuxError) in
            _ = try Signals.block(ending + [Signals.child, Signals.pipe, Signals.fileSize])
        }
    }

    /// Opens an image; `-` is standard input.
    static func open(_ path: String) throws(EngineError) -> Int32 {
        do { return path == "-" ? 0 : try Files.open(path, .readOnly) } catch {
            throw .image(path, why: error.errno.map { "\($0)" } ?? error.description)
        }
    }

    private static func report(_ tree: RestoredTree, isJSON: Bool) {
        var times: [String: JSONValue] = [:]
        for phase in tree.milliseconds { times[phase.phase] = .number(phase.value) }
        if isJSON {
            Output.line(
                JSONValue.object([
                    "ok": .bool(true), "pid": .integer(Int64(tree.pid)), "tasks": .integer(Int64(tree.taskCount)),
                    "pages": .unsigned(tree.pageCount), "imageBytes": .unsigned(tree.imageBytes),
                    "milliseconds": .object(times), "notes": .array(tree.notes.map { .string($0) }),
                ]).serialized())
        } else {
            let total = tree.milliseconds.reduce(0) { $0 + $1.value }
            Output.note(
                "restored \(tree.taskCount) tasks and \(tree.pageCount) pages as PID \(tree.pid) in \(UInt64(total)) ms"
            )
        }
    }

    /// Waits for the root process and returns what a shell would call its status; signals that ask the engine to end go
    /// to the workload.
    private static func wait(for tree: RestoredTree) -> Int32 {
        while true {
            do {
                // An hour at a time: a workload may run for ever.
                let found = try Wait.wait(
                    for: tree.waitPid, deadline: Deadline(seconds: 3600), wakeups: Signals.mask(ending))
                switch found.status {
                case .exited(let code): return code
                case .killed(let signal, _): return 128 + signal
                case .stopped, .continued: continue
                }
            } catch {
                if case .deadline = error { continue }
                guard error.errno == .interrupted,
                    let signal = Signals.take(Signals.mask(ending), timeoutNanoseconds: 0)
                else {
                    Output.note(error.explanation.line)
                    return Output.ExitCode.failed.rawValue
                }
                Restore.forward(signal, to: tree)
            }
        }
    }
}
