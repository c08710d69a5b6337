// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Guest and engine executables run in userlands whose libraries we do not know (Debian 11 to sid), so they carry all
// of theirs. Only these targets: the lab's own commands stay dynamic.
let staticExecutable: [LinkerSetting] = [.unsafeFlags(["-static-executable", "-use-ld=lld"])]

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

func module(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, exclude: readme(name), swiftSettings: strict)
}

/// Formats and decisions of a module stand beside its code; the build need not see them.
func readme(_ name: String) -> [String] {
    let folder = Context.packageDirectory + "/Sources/" + name
    return FileManager.default.fileExists(atPath: folder + "/README.md") ? ["README.md"] : []
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let log = Target.Dependency.product(name: "Logging", package: "swift-log")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "crlab",
    products: [
        .executable(name: "crlab", targets: ["crlab"]),
        .executable(name: "crlab-agent", targets: ["crlab-agent"]),
        .executable(name: "crengine", targets: ["crengine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0", traits: []),
    ],
    targets: [
        // Shared
        module("CRModel", []),
        module("GuestWire", ["CRModel"]),

        // C borders
        .target(name: "CLinux"),
        .systemLibrary(name: "CZydis", providers: [.apt(["libzydis-dev"])]),

        // Engine
        module("LinuxKit", ["CRModel", "CLinux"]),
        module("CRImage", ["CRModel"]),
        module("CREngine", ["CRModel", "CRImage", "LinuxKit"]),
        .executableTarget(
            name: "crengine", dependencies: ["CRModel", "CREngine", "CRImage", "LinuxKit"], swiftSettings: strict,
            linkerSettings: staticExecutable),

        // Guest
        module("CRRuntimes", ["CRModel", "LinuxKit"]),
        module("GuestAgent", ["CRModel", "GuestWire", "CRRuntimes", "LinuxKit"]),
        .executableTarget(
            name: "crlab-agent", dependencies: ["GuestAgent"], swiftSettings: strict, linkerSettings: staticExecutable),

        // Lab
        module("LabScenario", ["CRModel", yams]),
        module("LabImages", ["CRModel", subprocess, system, yams, log]),
        module("LabVM", ["CRModel", "GuestWire"]),
        module("LabClassify", ["CRModel", "CZydis"]),
        module("LabStore", ["CRModel", grdb]),
        module("LabReport", ["CRModel", mustache]),
        module(
            "LabRunner",
            ["CRModel", "GuestWire", "LabScenario", "LabImages", "LabVM", "LabClassify", "LabStore", system, log]),
        module(
            "LabCommands",
            [
                "CRModel", "GuestWire", "LabScenario", "LabImages", "LabVM", "LabClassify", "LabStore", "LabReport",
                "LabRunner", argumentParser, log, system,
            ]),
        .executableTarget(name: "crlab", dependencies: ["LabCommands"], swiftSettings: strict),

        // Tests: pure
        tests("ArchitectureTests", []),
        tests("CITests", [yams]),
        tests("CREngineTests", ["CRModel", "CRImage", "CREngine", "LinuxKit"]),
        tests("CRImageTests", ["CRModel", "CRImage"]),
        tests("CRModelTests", ["CRModel"]),
        tests("CRRuntimesTests", ["CRModel", "CRRuntimes"]),
        tests("GuestAgentTests", ["CRModel", "GuestWire", "GuestAgent", "CRRuntimes", "LinuxKit"]),
        tests("GuestWireTests", ["CRModel", "GuestWire"]),
        tests("LabClassifyTests", ["CRModel", "LabClassify"], exclude: ["Corpus", "Golden"]),
        tests("LabImagesTests", ["CRModel", "LabImages", log, system]),
        tests(
            "LabReportTests", ["CRModel", "LabReport"],
            exclude: ["Golden", "browser-check", "browser_check.py", "validate.py"]),
        tests("LabRunnerTests", ["CRModel", "LabRunner", "LabStore", "LabVM"]),
        tests("LabScenarioTests", ["CRModel", "LabScenario"], exclude: ["Golden"]),
        tests("LabStoreTests", ["CRModel", "LabScenario", "LabStore", "StoreVictim", grdb]),
        .executableTarget(
            name: "StoreVictim", dependencies: ["CRModel", "LabStore"], path: "Tests/StoreVictim",
            swiftSettings: strict),
        tests("LabVMTests", ["CRModel", "GuestWire", "LabVM"]),
        tests("LinuxKitTests", ["CRModel", "LinuxKit"]),

        // Tests: on this machine as root, and in guests; both drive the built commands
        tests("EngineTests", ["CRModel", "LinuxKit"]),
        tests("GuestTests", []),
    ],
    swiftLanguageModes: [.v6]
)
