import CRModel
import Foundation
import Testing

/// One workload's description: `workload.json` of its folder.
struct Workload: Sendable, CustomTestStringConvertible {
    var name: String
    var command: [String]
    var check: [String]?
    /// A client outside the tree, whose connections must outlive dump and restore.
    var witness: [String]?
    /// Files without which it cannot run.
    var requires: [String] = []
    var needs: Set<String>
    var readySeconds: Double
    var environment: [String] = []

    var testDescription: String { name }

    /// Programs in C do the same thing from `ready` on, so what /proc shows of them must not change. Scripts and
    /// applications start processes and allocate as they go.
    var isSteady: Bool { !Self.changing.contains(name) && !name.hasPrefix("app-") }

    /// Beside scripts: who changes its umask, its stack, its mappings or its children at every step, whose namespaces or sockets are new ones after a
    /// restore, and private /dev/zero, which comes back as anonymous memory.
    private static let changing: Set<String> = [
        "bash", "python", "redis", "tcp-stream", "object-network-namespace", "object-mount-namespace",
        "object-pid-namespace", "object-uts-namespace", "object-memfd", "object-memory-marks", "object-odd-mappings",
        "object-packet-rings", "object-shared-tables", "object-stack-growth", "object-sysv-memory",
    ]

    /// All that can run here, by name.
    static let all: [Workload] = {
        let folders = (try? FileManager.default.contentsOfDirectory(atPath: EngineLab.workloadFolder)) ?? []
        return folders.sorted().compactMap { name in
            guard let workload = try? Workload(folder: EngineLab.workloadFolder + "/" + name) else { return nil }
            let missing = workload.requires.first { !FileManager.default.fileExists(atPath: $0) }
            if let missing {
                FileHandle.standardError.write(Data("engine tests skip \(name): no \(missing)\n".utf8))
                return nil
            }
            return workload
        }
    }()

    static let carried = all.filter { $0.needs.isDisjoint(with: notCarried) }
    static let refused = all.filter { !$0.needs.isDisjoint(with: notCarried) }

    /// Needs that this engine refuses so far.
    static let notCarried: Set<String> = []

    init(folder: String) throws {
        let text = try String(contentsOfFile: folder + "/workload.json", encoding: .utf8)
        let json = try JSONParser.parse(text)
        func words(_ key: String) -> [String] {
            (json[key]?.elements ?? []).compactMap(\.text).map {
                $0.replacingOccurrences(of: "/opt/crlab/workloads", with: EngineLab.workloadFolder)
            }
        }
        name = json["name"]?.text ?? ""
        command = words("command")
        check = json["check"] == nil ? nil : words("check")
        witness = json["witness"] == nil ? nil : words("witness")
        // What is built with the workloads is missing where its compiler was.
        requires = words("requires")
        needs = Set(words("needs"))
        readySeconds = Double(json["readySeconds"]?.int ?? 20)
        if command.isEmpty { throw Failure("\(folder)/workload.json has no command") }
    }

    /// The holder of objects that a dump may refuse.
    init(holding kind: String) {
        name = "holder"
        command = [EngineLab.workloadFolder + "/holder/holder", kind]
        needs = []
        readySeconds = 10
    }

    func with(_ setting: String) -> Workload {
        var copy = self
        copy.environment.append(setting)
        return copy
    }
}
