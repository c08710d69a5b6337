/// One runtime on the disk that guests get: `runtime.json` in the runtime's folder. Paths are relative to that folder.
public struct RuntimeInstallation: Codable, Hashable, Sendable {
    /// Name of the file.
    public static let fileName = "runtime.json"

    public var name: RuntimeName
    /// The executable.
    public var program: String
    /// The dynamic loader it is started with; `nil` for a static executable.
    public var loader: String?
    /// Where the loader finds the libraries; `nil` for a static executable.
    public var libraries: String?

    public init(name: RuntimeName, program: String, loader: String? = nil, libraries: String? = nil) {
        self.name = name
        self.program = program
        self.loader = loader
        self.libraries = libraries
    }

    /// The words that start the program.
    ///
    /// - Parameter folder: The runtime's folder as seen from where the program runs.
    public func command(in folder: String) -> [String] {
        guard let loader, let libraries else { return ["\(folder)/\(program)"] }
        return ["\(folder)/\(loader)", "--library-path", "\(folder)/\(libraries)", "\(folder)/\(program)"]
    }
}
