public import CRModel
import SystemPackage

/// How to come by a runtime that guests get beside their userland.
public struct RuntimeRecipe: Sendable, Equatable {
    /// Where the files come from.
    public enum Source: Sendable, Equatable {
        /// Packages (`NAME` or `NAME=VERSION`, where `*` stands for anything) with all they depend on.
        case packages(suites: [String], packages: [String])
        /// A build of the user: an executable, or a folder that holds one. The path is absolute.
        case path(String)
    }

    /// Name in scenarios; its first word is the runtime's family.
    public let name: RuntimeName
    public let source: Source
    /// The executable, relative to the root of packages or folder; `nil` when `path` is the executable itself.
    public let program: String?
    /// The recipe's file, for messages.
    public let file: String
}

extension RuntimeRecipe {
    /// Reads a runtime recipe; relative paths count from its folder. The file's name is the runtime's name.
    init(text: String, path: FilePath) throws(ImagesError) {
        let reader = try RecipeReader(text: text, file: path.string)
        try reader.allow(["summary", "suite", "suites", "packages", "path", "program"])
        name = RuntimeName(path.stem ?? path.string)
        file = path.string
        guard let family = name.family, family != .native else {
            throw .recipeInvalid(
                file: file, line: 0,
                reason: "a runtime's name starts with criu- or runsc-, which tells crlab how to call it")
        }
        program = try reader.text("program")
        if let program, program.hasPrefix("/") || program.split(separator: "/").contains("..") {
            throw .recipeInvalid(
                file: file, line: reader.line(of: "program"), reason: "\(program) must be relative to the root")
        }
        if let own = try reader.text("path") {
            for key in ["suite", "suites", "packages"] where reader.has(key) {
                throw .recipeInvalid(
                    file: file, line: reader.line(of: key), reason: "\(key) makes no sense beside the key path")
            }
            source = .path(Files.absolute(own, from: path.removingLastComponent()).string)
            return
        }
        let packages = try reader.texts("packages") ?? []
        guard !packages.isEmpty, program != nil else {
            throw .recipeInvalid(
                file: file, line: reader.line(of: "packages"),
                reason: "either packages and program or path must be given")
        }
        source = .packages(suites: try reader.suites(), packages: packages)
    }

    var identity: [String] {
        switch source {
        case .packages(let suites, let packages):
            ["packages", suites.joined(separator: " "), packages.joined(separator: " "), program ?? "-"]
        case .path(let path): ["path", path, program ?? "-"]
        }
    }
}
