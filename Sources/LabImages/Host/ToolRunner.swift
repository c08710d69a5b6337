import Foundation
import Subprocess
import SystemPackage

/// Runs programs of the lab machine: finds them, gives them a deadline, and turns a failure into a typed error.
struct ToolRunner: Sendable {
    /// An ordinary user's PATH lacks the `sbin` folders, where `mkfs.ext4` and `ldconfig` are, and `apt-helper`'s.
    private static let extraFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/lib/apt"]

    /// Enough for the list of every package of a suite with its fields.
    private static let outputLimit = 96 << 20
    private static let errorLimit = 4 << 20

    private let folders: [String]

    init(path: String = ProcessInfo.processInfo.environment["PATH"] ?? "") {
        let given = path.split(separator: ":").map(String.init)
        folders = given + Self.extraFolders.filter { !given.contains($0) }
    }

    /// Looks in these folders only.
    init(folders: [String]) { self.folders = folders }

    /// The full path of a program; `nil` when no folder of the search path holds it.
    func find(_ name: String) -> FilePath? {
        folders.lazy.map { FilePath($0).appending(name) }
            .first { FileManager.default.isExecutableFile(atPath: $0.string) }
    }

    func require(_ tool: HostTool, for purpose: String) throws(ImagesError) -> FilePath {
        guard let path = find(tool.rawValue) else {
            throw .toolMissing(tool: tool.rawValue, package: tool.package, purpose: purpose)
        }
        return path
    }

    /// What a program wrote and how it ended.
    struct Outcome: Sendable {
        let succeeded: Bool
        let status: String
        let output: [UInt8]
        let errors: String

        var text: String { String(decoding: output, as: UTF8.self) }

        /// The last lines that say something, for an error message.
        var lastWords: String {
            let lines = errors.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            let telling = lines.filter { $0.hasPrefix("E: ") }.map { String($0.dropFirst(3)) }
            return (telling.isEmpty ? lines.suffix(2) : telling.suffix(2)).joined(separator: " ")
        }
    }

    /// Runs a tool and returns what it wrote on stdout; a failure is thrown.
    @discardableResult
    func run(
        _ tool: HostTool, _ arguments: [String], in folder: FilePath? = nil, environment: [String: String] = [:],
        input: [UInt8] = [], seconds: Int64 = 300, purpose: String
    ) async throws(ImagesError) -> Outcome {
        let outcome = try await attempt(
            tool, arguments, in: folder, environment: environment, input: input, seconds: seconds, purpose: purpose)
        guard outcome.succeeded else {
            throw .toolFailed(
                tool: tool.rawValue, status: outcome.status, lastWords: outcome.lastWords, purpose: purpose)
        }
        return outcome
    }

    /// Runs a tool; that it fails is an answer, not an error.
    func attempt(
        _ tool: HostTool, _ arguments: [String], in folder: FilePath? = nil, environment: [String: String] = [:],
        input: [UInt8] = [], seconds: Int64 = 300, purpose: String
    ) async throws(ImagesError) -> Outcome {
        let path = try require(tool, for: purpose)
        return try await attempt(
            path, arguments, in: folder, environment: environment, input: input, seconds: seconds, purpose: purpose)
    }

    /// Runs any program; that it fails is an answer, not an error.
    func attempt(
        _ path: FilePath, _ arguments: [String], in folder: FilePath? = nil, environment: [String: String] = [:],
        input: [UInt8] = [], seconds: Int64 = 300, purpose: String
    ) async throws(ImagesError) -> Outcome {
        // Messages are read by people and some output is parsed, so the user's language must not matter.
        var changes: [Environment.Key: String?] = ["LC_ALL": "C.UTF-8", "LANGUAGE": nil]
        for (key, value) in environment {
            if let key = Environment.Key(rawValue: key) { changes[key] = value }
        }
        // A killed crlab must leave nothing running. setpriv(1) sets the parent death signal and becomes the program;
        // Subprocess starts all children from one thread that lives as long as the process, which that signal needs.
        let keeper = find("setpriv")
        let configuration = Configuration(
            executable: .path(keeper ?? path),
            arguments: Arguments((keeper == nil ? [] : ["--pdeathsig", "KILL", path.string]) + arguments),
            environment: .inherit.updating(changes), workingDirectory: folder)
        do {
            return try await withDeadline(seconds) {
                let result = try await Subprocess.run(
                    configuration, input: .array(input), output: .bytes(limit: Self.outputLimit),
                    error: .string(limit: Self.errorLimit))
                return Outcome(
                    succeeded: result.terminationStatus.isSuccess, status: "\(result.terminationStatus)",
                    output: result.standardOutput, errors: result.standardError)
            }
        } catch is DeadlinePassed {
            throw .toolTimedOut(tool: path.string, seconds: seconds, purpose: purpose)
        } catch {
            throw .toolFailed(tool: path.string, status: "no start", lastWords: "\(error)", purpose: purpose)
        }
    }
}

private struct DeadlinePassed: Error {}

/// Cancels the body when time is up; Subprocess ends its child when it is cancelled.
private func withDeadline<Value: Sendable>(
    _ seconds: Int64, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: .seconds(seconds))
            throw DeadlinePassed()
        }
        defer { group.cancelAll() }
        guard let first = try await group.next() else { throw DeadlinePassed() }
        return first
    }
}
