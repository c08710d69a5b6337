import Foundation
import Testing

/// How a command ended.
struct Answer: CustomStringConvertible {
    /// Exit status; 128 + signal when killed.
    var status: Int32
    var output: String
    var errors: String

    /// For a failure's message.
    var description: String { "exit \(status)\n\(output.suffix(2000))\n--- stderr\n\(errors.suffix(3000))" }

    func decoded<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(output.utf8))
        } catch {
            throw Failure("the answer is not the JSON that was asked for: \(error)\n\(self)")
        }
    }
}

/// A running command. Its output goes to files, so that no pipe can fill.
final class Execution: Sendable {
    private let process: Process
    private let files: String

    init(_ words: [String], environment: [String: String], directory: String, input: String?, files: String) throws {
        self.files = files
        process = Process()
        process.executableURL = URL(filePath: words[0])
        process.arguments = Array(words.dropFirst())
        process.environment = environment
        process.currentDirectoryURL = URL(filePath: directory)
        if let input {
            try Data(input.utf8).write(to: URL(filePath: files + ".in"))
            process.standardInput = try FileHandle(forReadingFrom: URL(filePath: files + ".in"))
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        process.standardOutput = try Self.create(files + ".out")
        process.standardError = try Self.create(files + ".err")
        try process.run()
    }

    private static func create(_ path: String) throws -> FileHandle {
        try Data().write(to: URL(filePath: path))
        return try FileHandle(forWritingTo: URL(filePath: path))
    }

    var isRunning: Bool { process.isRunning }

    /// What was written to standard error so far.
    var errors: String { text(".err") }

    /// How often `text` was written to standard error so far.
    func count(of text: String) -> Int { errors.components(separatedBy: text).count - 1 }

    /// Waits for a number of lines on standard error that contain `text`.
    func hears(_ text: String, times: Int = 1, seconds: Double = 90) async throws {
        try await wait("'\(text)' \(times) times", seconds: seconds) {
            if count(of: text) >= times { return true }
            if isRunning { return false }
            throw Failure("it ended before '\(text)' was said \(times) times: \(ended)")
        }
    }

    func send(_ signal: Int32) {
        if process.isRunning { _ = Foundation.kill(process.processIdentifier, signal) }
    }

    /// Waits for the end; kills at the deadline, which is a failure.
    func end(seconds: Double) async throws -> Answer {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while process.isRunning {
            if ContinuousClock.now > deadline {
                send(SIGKILL)
                try await wait("the end after SIGKILL", seconds: 5) { !process.isRunning }
                throw Failure("it did not end in \(seconds) s: \(ended)")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        return ended
    }

    /// - Precondition: It has ended.
    private var ended: Answer {
        let bySignal = !process.isRunning && process.terminationReason == .uncaughtSignal
        let status = process.isRunning ? -1 : process.terminationStatus
        return Answer(status: bySignal ? 128 + status : status, output: text(".out"), errors: text(".err"))
    }

    private func text(_ end: String) -> String {
        (try? Data(contentsOf: URL(filePath: files + end))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
