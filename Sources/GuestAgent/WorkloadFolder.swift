import CRModel
import GuestWire
import LinuxKit

/// The workloads of a userland.
enum WorkloadFolder {
    static let path = "/opt/crlab/workloads"

    /// All readable manifests below a root, by name.
    static func all(below root: String) -> [WorkloadManifest] {
        let folder = (root == "/" ? "" : root) + path
        let names = ((try? Files.names(in: folder)) ?? []).sorted()
        return names.compactMap { try? manifest(folder: folder, name: $0) }
    }

    /// One workload's manifest.
    ///
    /// - Parameter folder: The folder of all workloads, as seen from here.
    static func manifest(folder: String = path, name: String) throws(AgentError) -> WorkloadManifest {
        guard ArchiveEntry.isSafe(name), let bytes = try? Files.contents(of: "\(folder)/\(name)/workload.json") else {
            throw .workloadUnknown(name)
        }
        do {
            let manifest = try JSONCoder.decode(WorkloadManifest.self, from: JSONParser.parse(bytes))
            guard !manifest.command.isEmpty else { throw AgentError.workloadUnreadable(name, why: "no command") }
            return manifest
        } catch let error as AgentError {
            throw error
        } catch {
            throw .workloadUnreadable(name, why: "workload.json: \(error)")
        }
    }
}
