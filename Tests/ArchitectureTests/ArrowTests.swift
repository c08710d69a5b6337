import Foundation
import Testing

/// Pins which module may import which (`Sources/README.md`): arrows never run back, lab and guest never meet.
struct ArrowTests {
    static let allowed: [String: Set<String>] = [
        "CRModel": [],
        "GuestWire": ["CRModel"],
        "CLinux": [],
        "CZydis": [],
        "LinuxKit": ["CRModel", "CLinux"],
        "CRImage": ["CRModel"],
        "CREngine": ["CRModel", "CRImage", "LinuxKit"],
        "crengine": ["CRModel", "CREngine", "CRImage", "LinuxKit"],
        "CRRuntimes": ["CRModel", "LinuxKit"],
        "GuestAgent": ["CRModel", "GuestWire", "CRRuntimes", "LinuxKit"],
        "crlab-agent": ["GuestAgent"],
        "LabScenario": ["CRModel", "Yams"],
        "LabImages": ["CRModel", "Subprocess", "SystemPackage", "Yams", "Logging"],
        "LabVM": ["CRModel", "GuestWire"],
        "LabClassify": ["CRModel", "CZydis"],
        "LabStore": ["CRModel", "GRDB"],
        "LabReport": ["CRModel", "Mustache"],
        "LabRunner": [
            "CRModel", "GuestWire", "LabScenario", "LabImages", "LabVM", "LabClassify", "LabStore", "SystemPackage",
            "Logging",
        ],
        "LabCommands": [
            "CRModel", "GuestWire", "LabScenario", "LabImages", "LabVM", "LabClassify", "LabStore", "LabReport",
            "LabRunner", "ArgumentParser", "Logging", "SystemPackage",
        ],
        "crlab": ["LabCommands"],
        "StoreVictim": ["CRModel", "LabStore"],
    ]

    struct Manifest: Decodable {
        struct Target: Decodable {
            struct Dependency: Decodable {
                let name: String
                init(from decoder: any Decoder) throws {
                    // {"byName": ["CRModel", null]} or {"product": ["Yams", "Yams", null, null]}
                    let kinds = try decoder.singleValueContainer().decode([String: [Ignored]].self)
                    name = kinds.values.first?.first?.text ?? ""
                }
            }
            struct Ignored: Decodable {
                let text: String?
                init(from decoder: any Decoder) throws {
                    text = try? decoder.singleValueContainer().decode(String.self)
                }
            }
            let name: String
            let type: String
            let dependencies: [Dependency]
        }
        let targets: [Target]
    }

    @Test("modules import only what their row allows")
    func arrows() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let scratch = FileManager.default.temporaryDirectory.appending(path: "crlab-dump-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        // An own scratch path: the running `swift test` holds the lock of the usual one.
        process.arguments = [
            "swift", "package", "dump-package", "--package-path", root.path, "--scratch-path", scratch.path,
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let json = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let targets = try JSONDecoder().decode(Manifest.self, from: json).targets.filter { $0.type != "test" }
        for target in targets {
            let row = try #require(Self.allowed[target.name], "\(target.name) has no row in ArrowTests")
            let extra = Set(target.dependencies.map(\.name)).subtracting(row)
            #expect(extra.isEmpty, "\(target.name) must not import \(extra.sorted())")
        }
        #expect(Set(targets.map(\.name)) == Set(Self.allowed.keys))
    }
}
