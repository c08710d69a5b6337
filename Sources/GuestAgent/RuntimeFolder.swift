import CRModel
import CRRuntimes
import LinuxKit

/// The runtimes of the guest's disk.
enum RuntimeFolder {
    /// Those that a cell sees.
    static func cellCatalog() -> RuntimeCatalog {
        catalog(engine: CellRoot.binFolder + "/crengine", folder: CellRoot.runtimesFolder)
    }

    /// - Parameter folder: With one folder for each runtime; none need be there.
    static func catalog(engine: String, folder: String) -> RuntimeCatalog {
        let installed = ((try? Files.names(in: folder)) ?? []).compactMap { name -> RuntimeInstallation? in
            guard let text = try? Files.text(of: "\(folder)/\(name)/\(RuntimeInstallation.fileName)"),
                let found = try? JSONCoder.decode(RuntimeInstallation.self, from: text), found.name.rawValue == name
            else { return nil }
            return found
        }
        return RuntimeCatalog(engine: engine, folder: folder, installed: installed)
    }
}
