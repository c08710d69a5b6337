public import CRModel

/// The runtimes that a guest offers: the bundled engine, and those of a folder with one folder for each.
public struct RuntimeCatalog: Sendable {
    /// Path of the bundled engine, seen from where it runs.
    public let engine: String
    /// Where the other runtimes are, seen from where they run.
    public let folder: String
    private let installed: [RuntimeInstallation]

    public init(engine: String, folder: String, installed: [RuntimeInstallation]) {
        self.engine = engine
        self.folder = folder
        self.installed = installed
    }

    /// The names of those in the folder, sorted.
    public var names: [RuntimeName] { installed.map(\.name).sorted() }

    /// The runtime of this name; `nil` when the guest has none.
    public func runtime(_ name: RuntimeName) -> (any Runtime)? {
        if name == .native { return NativeRuntime(executable: engine) }
        guard let found = installed.first(where: { $0.name == name }) else { return nil }
        let command = found.command(in: "\(folder)/\(name)")
        switch name.family {
        case .criu: return CRIURuntime(name: name, command: command)
        case .runsc: return RunscRuntime(name: name, command: command)
        case .native, nil: return nil
        }
    }
}
