public import CRModel
public import Foundation
import LabScenario
public import SystemPackage

/// Where the parts of crlab are: its static guest executables, workloads and recipes.
public struct Installation: Sendable, Equatable {
    /// The static `/init` of guests.
    public let agent: FilePath
    /// The static native engine.
    public let engine: FilePath
    /// Built workloads, one folder each.
    public let workloads: FilePath
    /// The folder of recipes.
    public let recipes: FilePath
    /// The folder into which runs write, unless told otherwise.
    public let reports: FilePath

    /// Finds the parts from where the running executable is: beside it, and in the nearest folder above that holds
    /// `VMImages`. `CRLAB_HOME` names that folder when the executable was moved away from it.
    ///
    /// - Throws: `RunnerError.incomplete` naming what is missing.
    public static func find(
        executable: String = CommandLine.arguments.first ?? "crlab",
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(RunnerError) -> Installation {
        let linked = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? executable
        let binaries = FilePath(linked).removingLastComponent()
        let home: FilePath
        if let given = environment["CRLAB_HOME"], !given.isEmpty {
            home = FilePath(given)
        } else if let found = folder(holding: "VMImages", above: binaries) {
            home = found
        } else {
            throw .incomplete(part: "VMImages", looked: binaries.string)
        }
        let installation = Installation(
            agent: binaries.appending("crlab-agent"), engine: binaries.appending("crengine"),
            workloads: home.appending(".build/workloads"), recipes: home.appending("VMImages"),
            reports: home.appending("Reports"))
        for part in [installation.agent, installation.engine, installation.workloads, installation.recipes] {
            guard FileManager.default.fileExists(atPath: part.string) else {
                throw .incomplete(part: part.lastComponent?.string ?? "", looked: part.string)
            }
        }
        return installation
    }

    private static func folder(holding name: String, above start: FilePath) -> FilePath? {
        var folder = start
        while true {
            if FileManager.default.fileExists(atPath: folder.appending(name).string) { return folder }
            guard folder.removeLastComponent() else { return nil }
        }
    }

    /// The workloads that are built, sorted by name.
    public func workloadNames() -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: workloads.string)) ?? []
        return names.filter {
            FileManager.default.fileExists(atPath: workloads.appending($0).appending("workload.json").string)
        }.sorted()
    }

    /// The workloads by the set that their manifest names, `standard` for none; every known set is there.
    public func workloadSets() -> [String: [WorkloadName]] {
        var sets = Dictionary(uniqueKeysWithValues: Catalogue.setNames.map { ($0, [WorkloadName]()) })
        for name in workloadNames() {
            let file = workloads.appending(name).appending("workload.json").string
            let manifest = (try? String(contentsOfFile: file, encoding: .utf8)).flatMap { try? JSONParser.parse($0) }
            sets[manifest?["set"]?.text ?? "standard", default: []].append(WorkloadName(name))
        }
        return sets
    }
}
