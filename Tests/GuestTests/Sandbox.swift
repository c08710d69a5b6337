import Foundation
import Synchronization
import Testing

/// A folder with scenarios and runs of one test, and a mark by which its guests are known.
final class Sandbox: Sendable {
    let folder: String
    let census = Census(mark: UUID().uuidString)
    private let commands = Mutex(0)
    private let ownCache = Mutex(false)

    /// Runs `body` with a fresh sandbox; whatever it started is gone afterwards.
    static func with<Value>(_ body: (Sandbox) async throws -> Value) async throws -> Value {
        let sandbox = try Sandbox()
        defer { sandbox.end() }
        return try await body(sandbox)
    }

    private init() throws {
        folder =
            FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path(percentEncoded: false)
            .replacing(/\/$/, with: "") + "/crlab-guest-\(UUID().uuidString)"
        // A home of its own: its recipes can be added to, and `Reports/latest` of the checkout stays what it was.
        try FileManager.default.createDirectory(atPath: folder + "/home/.build", withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: GuestLab.repository + "VMImages", toPath: folder + "/home/VMImages")
        try FileManager.default.createSymbolicLink(
            atPath: folder + "/home/.build/workloads", withDestinationPath: GuestLab.repository + ".build/workloads")
    }

    private func end() {
        for entry in census.processes { census.kill(entry) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    func path(_ name: String) -> String { folder + "/" + name }

    /// Writes a file; returns its path.
    func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: path(name)))
        return path(name)
    }

    /// The folder of a run.
    func run(_ name: String) -> RunFolder { RunFolder(path: path(name)) }

    /// Gives this sandbox templates of warm hosts of its own; all the rest of the image cache stays the shared one.
    func takeOwnTemplates() throws {
        let environment = ProcessInfo.processInfo.environment
        let shared =
            environment["CRLAB_CACHE"]
            ?? (environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "/root") + "/.cache") + "/crlab"
        try FileManager.default.createDirectory(atPath: path("cache"), withIntermediateDirectories: true)
        for name in try FileManager.default.contentsOfDirectory(atPath: shared) where name != "templates" {
            try FileManager.default.createSymbolicLink(
                atPath: path("cache/" + name), withDestinationPath: shared + "/" + name)
        }
        ownCache.withLock { $0 = true }
    }

    /// Starts `crlab` with some words.
    func start(_ words: [String], input: String? = nil) throws -> Execution {
        try start(program: GuestLab.command, words, input: input)
    }

    /// Starts any program, marked as this sandbox's.
    ///
    /// - Parameter log: Names the files of its output; `nil` for a number.
    func start(
        program: String, _ words: [String], environment more: [String: String] = [:], log: String? = nil,
        input: String? = nil
    ) throws -> Execution {
        var environment = ProcessInfo.processInfo.environment.merging(more) { $1 }
        environment[Census.variable] = census.mark
        environment["CRLAB_HOME"] = path("home")
        environment["SWIFT_BACKTRACE"] = "enable=no"
        if ownCache.withLock({ $0 }) { environment["CRLAB_CACHE"] = path("cache") }
        let number = commands.withLock { number in
            number += 1
            return number
        }
        return try Execution(
            [program] + words, environment: environment, directory: folder, input: input,
            files: path(log ?? "command-\(number)"))
    }

    /// Runs `crlab` to its end.
    func crlab(_ words: [String], input: String? = nil, seconds: Double = 120) async throws -> Answer {
        try await start(words, input: input).end(seconds: seconds)
    }

    /// Words that run a scenario. Expectations are about emulated CPUs: under KVM a guest may execute what its CPU model
    /// lacks.
    func runWords(_ scenario: String, into run: RunFolder, _ more: [String] = []) -> [String] {
        ["run", scenario, "--report-dir", run.path, "--accelerator", "tcg"] + more
    }

    func resumeWords(_ run: RunFolder, _ more: [String] = []) -> [String] {
        ["run", "--resume", run.path, "--accelerator", "tcg"] + more
    }

    /// Nothing that this sandbox started may be there two seconds from now.
    func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let deadline = ContinuousClock.now + .seconds(2)
        var left = census.processes
        while !left.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
            left = census.processes
        }
        #expect(
            left.isEmpty, "left behind: \(left.map { "\($0.pid) \($0.words.prefix(3))" })",
            sourceLocation: sourceLocation)
    }
}
