internal import CREngine
internal import CRModel
internal import LinuxKit

/// `crengine dump`.
enum DumpCommand {
    static func run(_ words: [String]) throws(Arguments.Failure) -> Int32 {
        let arguments = try Arguments(
            words, valued: ["--pid", "-o", "--output", "--format"], flags: ["--leave-running"])
        let isJSON = try arguments.isJSON()
        try arguments.noOperands()
        guard let pid = try arguments.number("--pid") else { throw Arguments.Failure(message: "dump needs --pid N") }
        let path = arguments.value("-o") ?? arguments.value("--output") ?? "-"
        if path == "-", isJSON {
            throw Arguments.Failure(message: "--format json and -o - would both write to standard output")
        }
        var options = DumpOptions(pid: pid, engineVersion: CrlabVersion.current)
        options.leaveRunning = arguments.flags.contains("--leave-running")
        do throws(EngineError) {
            let report = try dump(options, to: path)
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

    private static func dump(_ options: DumpOptions, to path: String) throws(EngineError) -> DumpReport {
        if path == "-" { return try Dump.run(options, to: 1, place: "standard output") }
        let (fd, isOurs) = try open(path)
        defer { Files.close(fd) }
        do {
            return try Dump.run(options, to: fd, place: path)
        } catch {
            // Half an image is of no use, and must not be taken for one. What was there before stays: it may be a device.
            if isOurs { try? Files.unlink(path) }
            throw error
        }
    }

    /// - Returns: The descriptor, and whether this call created the file.
    private static func open(_ path: String) throws(EngineError) -> (fd: Int32, isOurs: Bool) {
        do throws(LinuxError) {
            do throws(LinuxError) {
                return (try Files.open(path, [.writeOnly, .create, .exclusive], mode: 0o600), true)
            } catch {
                guard error.errno == .exists else { throw error }
                return (try Files.open(path, [.writeOnly, .truncate]), false)
            }
        } catch {
            throw .output(path, error.errno ?? .inputOutput)
        }
    }

    private static func document(_ report: DumpReport) -> JSONValue {
        .object([
            "ok": .bool(true), "pid": .integer(Int64(report.pid)), "tasks": .integer(Int64(report.tasks)),
            "pages": .integer(Int64(report.pages)), "imageBytes": .unsigned(report.imageBytes),
            "milliseconds": .object(report.milliseconds.mapValues { .number($0) }),
        ])
    }
}
