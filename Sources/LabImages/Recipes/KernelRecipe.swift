/// How to come by a kernel: from Debian packages, or from files of the user.
public struct KernelRecipe: Sendable, Equatable {
    /// Where a kernel comes from.
    public enum Source: Sendable, Equatable {
        /// The newest package of `suites` whose name matches `package` (`*` stands for anything) and, where given,
        /// whose version matches `version`.
        case packages(suites: [String], package: String, version: String?)
        /// One point release of a family.
        case member(of: KernelFamily, KernelChoice)
        /// A kernel of the user. `modules` is the folder of one release (it holds `kernel/`), or `nil` when all that
        /// the guest needs is built in. Paths are absolute.
        case files(bzImage: String, modules: String?, config: String?)
    }

    /// Name of the kernel in scenarios.
    public let name: String
    public let source: Source
    /// Modules loaded before the agent can speak, and modules that lie ready for loading on demand; `nil`: those of
    /// `VMImages/modules.yaml`.
    public let modules: ModuleWish?
    /// The recipe's file, for messages.
    public let file: String

    public init(name: String, source: Source, modules: ModuleWish? = nil, file: String) {
        self.name = name
        self.source = source
        self.modules = modules
        self.file = file
    }
}

/// Modules wanted in a guest, by name; dependencies are found, and what is built in is left out.
public struct ModuleWish: Sendable, Equatable, Codable {
    /// Loaded at start, before anything else. One that the kernel does not have at all is an error.
    public let boot: [String]
    /// Lie ready for loading on demand. One that the kernel does not have is recorded as absent.
    public let extra: [String]

    public init(boot: [String], extra: [String]) {
        self.boot = boot
        self.extra = extra
    }
}
