internal import CREngine
internal import CRModel
internal import LinuxKit

/// `crengine dump`.
enum DumpCommand {
    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        let arguments = try Arguments(words, for: "dump")
        let isJSON = try arguments.isJSON()
        try arguments.noOperands()
        guard let pid = try arguments.number("--pid") else { throw Arguments.Failure(message: "dump needs --pid N") }
        let path = arguments.value("-o") ?? arguments.value("--output") ?? "-"
        if path == "-", isJSON {
            throw Arguments.Failure(message: "--format json and -o - would both write to standard output")
        }
        var options = DumpOptions(pid: pid, engineVersion: CrlabVersion.current)
        options.externals = try externals(arguments)
        options.tcp = try arguments.tcp()
        options.leaveRunning = arguments.flags.contains("--leave-running")
        do throws(EngineError) {
            // To the end: who asks for an end when all is done gets the answer that it is done.
            try RestoreCommand.blockSignals()
            let report = try dump(options, to: path)
            for note in report.notes { Output.note(note) }
            if isJSON {
                Output.line(document(report).serialized())
            } else {
                Output.note("dumped \(report.tasks) tasks and \(report.pages) pages: \(report.imageBytes) bytes")
            }
            return Output.ExitCode.done.rawValue
        } catch {
            return Output.failure(error, isJSON: isJSON)
        }
    }

    /// `--external mnt[/dev]:NAME`; without a name what stands in the brackets is it.
    private static func externals(_ arguments: Arguments) throws(Arguments.Failure) -> [String: String] {
        var externals: [String: String] = [:]
        for text in arguments.values["--external"] ?? [] {
            guard let end = text.lastIndex(of: "]"), let start = text.firstIndex(of: "["), start < end,
                ["mnt", "file", "pipe", "socket", "unix"].contains(text[..<start])
            else {
                throw Arguments.Failure(
                    message: "--external takes KIND[KEY]:NAME, KIND one of mnt, file, pipe, socket, unix, not '\(text)'"
                )
            }
            let name = text[text.index(after: end)...].drop { $0 == ":" || $0 == "=" }
            let inside = text[text.index(after: start)..<end]
            externals[String(text[...end])] = String(name.isEmpty ? inside : name)
        }
        return externals
    }

    private static func dump(_ options: DumpOptions, to path: String) throws(EngineError) -> DumpReport {
        if path == "-" { return try Dump.run(options, to: 1, place: "standard output") }
        let output = try ImageFile(path)
        defer { Files.close(output.fd) }
        do {
            return try Dump.run(options, to: output.fd, place: path) { () throws(EngineError) in try output.commit() }
        } catch {
            // Half an image is of no use, and must not be taken for one.
            output.discard()
            throw error
        }
    }

    private static func document(_ report: DumpReport) -> JSONValue {
        .object([
            "ok": .bool(true), "pid": .integer(Int64(report.pid)), "tasks": .integer(Int64(report.tasks)),
            "pages": .integer(Int64(report.pages)), "imageBytes": .unsigned(report.imageBytes),
            "milliseconds": .object(report.milliseconds.mapValues { .number($0) }),
            "notes": .array(report.notes.map { .string($0) }),
        ])
    }
}
