import CRModel
import Foundation
import Testing

/// All of them one after the other: they measure waits, and workloads use fixed ports.
@Suite("engine", .serialized) enum EngineTests {}

/// Where engine and workloads are, and why these tests cannot run here when they cannot.
enum EngineLab {
    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path(percentEncoded: false)
    private static let environment = ProcessInfo.processInfo.environment

    /// The built command: beside this test bundle, or CRLAB_CRENGINE.
    static let engine: String = {
        if let given = environment["CRLAB_CRENGINE"] { return given }
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
        return URL(filePath: bundle).deletingLastPathComponent().appending(path: "crengine").path(percentEncoded: false)
    }()

    /// Where `make workloads` put them, or CRLAB_WORKLOADS.
    static let workloadFolder = environment["CRLAB_WORKLOADS"] ?? repository + ".build/workloads"

    /// A fresh name in the temporary folder, in the form that /proc shows.
    static func temporary(_ name: String) -> String {
        FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path(percentEncoded: false)
            .replacing(/\/$/, with: "") + "/crlab-\(name)-\(UUID().uuidString)"
    }

    /// Why no engine test can run here; `nil` when they can.
    static let missing: String? = {
        if geteuid() != 0 { return "restoring a task tree with its PIDs needs root" }
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let effective =
            status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
            .flatMap { UInt64($0.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16) } ?? 0
        let sysPtrace: UInt64 = 1 << 19
        let sysAdmin: UInt64 = 1 << 21
        if effective & sysPtrace == 0 { return "CAP_SYS_PTRACE is not to be had here" }
        if effective & sysAdmin == 0 { return "CAP_SYS_ADMIN is not to be had here" }
        let files = FileManager.default
        if !files.isExecutableFile(atPath: engine) { return "no engine at \(engine): build the product crengine" }
        if !files.fileExists(atPath: workloadFolder) {
            return "no workloads in \(workloadFolder): run 'make workloads'"
        }
        return nil
    }()

    static let trait: ConditionTrait = {
        // Swift Testing counts a skip and shows its reason only in verbose output; CI must see why.
        if let missing { FileHandle.standardError.write(Data("engine tests skipped: \(missing)\n".utf8)) }
        // On CI a skip would pass for a success: there they run, and fail with what is missing.
        return .enabled(if: missing == nil || environment["CI"] == "true", Comment(rawValue: missing ?? ""))
    }()
}

/// Something this test run could not do, as opposed to something the engine did wrong.
struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Asks again every few milliseconds until `condition` holds.
func wait(_ what: String, seconds: Double, until condition: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while try !condition() {
        if Date() > deadline { throw Failure("\(what) did not come about in \(seconds) s") }
        usleep(2000)
    }
}
