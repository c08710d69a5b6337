import Foundation
import Testing

extension Tag {
    /// Boots guests.
    @Tag static var vm: Self
}

/// All of them one after the other: they share the machine's processors, and measure what guests leave behind.
@Suite("guests", .serialized, .tags(.vm), GuestLab.trait) enum GuestTests {}

/// Where the built command and what it boots are, and why these tests cannot run here when they cannot.
enum GuestLab {
    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path(percentEncoded: false)
    private static let environment = ProcessInfo.processInfo.environment

    /// The release build, because a debug agent is too slow under emulation; or CRLAB_COMMAND.
    static let command = environment["CRLAB_COMMAND"] ?? repository + ".build/release/crlab"

    /// The folder of the static guest executables, which stand beside the command.
    static let binaries = URL(filePath: command).deletingLastPathComponent().path(percentEncoded: false)

    /// Kernel and userland of every host, unless a test is about another one.
    static let kernel = "debian-6.1"
    static let userland = "debian-12"

    /// Why no guest test can run here; `nil` when they can.
    static let missing: String? = {
        for part in ["crlab", "crlab-agent", "crengine"] {
            let path = part == "crlab" ? command : binaries + part
            if !FileManager.default.isExecutableFile(atPath: path) { return "no \(path): run 'make build'" }
        }
        if !FileManager.default.fileExists(atPath: repository + ".build/workloads") {
            return "no workloads in .build/workloads: run 'make workloads'"
        }
        for (kind, name) in [("kernel", kernel), ("userland", userland)] where !prepared.contains("\(kind) \(name)") {
            return "the \(kind) \(name) is not prepared: run 'make images'"
        }
        return nil
    }()

    /// What the image cache holds, as `kind name`; fetching it inside a test would charge that with the network's time.
    static let prepared: Set<String> = {
        struct Entry: Decodable {
            var kind: String
            var name: String
            var state: String
        }
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: command)
        process.arguments = ["images", "list", "--cache", "--format", "json"]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return [] }
        let answer = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let entries = (try? JSONDecoder().decode([Entry].self, from: answer)) ?? []
        return Set(entries.filter { $0.state == "in use" }.map { "\($0.kind) \($0.name)" })
    }()

    static let trait: ConditionTrait = {
        // Swift Testing counts a skip and shows its reason only in verbose output; CI must see why.
        if let missing { say("guest tests skipped: \(missing)") }
        // On CI a skip would pass for a success: there they run, and fail with what is missing.
        let isCI = ProcessInfo.processInfo.environment["CI"] == "true"
        return .enabled(if: missing == nil || isCI, Comment(rawValue: missing ?? ""))
    }()

    /// A line for whoever watches the tests, such as the seed of a random one.
    static func say(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

/// Something this test run could not do, as opposed to something crlab did wrong.
struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Asks again every few milliseconds until `condition` holds.
func wait(_ what: String, seconds: Double, until condition: () throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try !condition() {
        if ContinuousClock.now > deadline { throw Failure("\(what) did not come about in \(seconds) s") }
        try await Task.sleep(for: .milliseconds(10))
    }
}
