/// The programs that crlab can drive; each may stand there in several versions.
public enum RuntimeFamily: String, Codable, Sendable, CaseIterable {
    /// The bundled engine.
    case native
    /// CRIU.
    case criu
    /// gVisor.
    case runsc
}

extension RuntimeName {
    /// The family, which is the name's first word: `criu-4.1` and `criu-mine` are CRIU; `nil` for any other word.
    public var family: RuntimeFamily? { RuntimeFamily(rawValue: String(rawValue.prefix { $0 != "-" })) }
}

/// A runtime as a scenario asks for it: which program dumps, which restores, and with what options.
public struct RuntimeSpec: Codable, Hashable, Sendable {
    /// The name in cells.
    public var name: RuntimeName
    public var dump: RuntimeUse
    public var restore: RuntimeUse

    public init(name: RuntimeName, dump: RuntimeUse, restore: RuntimeUse) {
        self.name = name
        self.dump = dump
        self.restore = restore
    }

    /// A runtime under its own name and without options.
    public init(_ name: RuntimeName) {
        self.init(name: name, dump: RuntimeUse(runtime: name), restore: RuntimeUse(runtime: name))
    }
}

/// A runtime for one stage.
public struct RuntimeUse: Codable, Hashable, Sendable {
    /// The runtime as guests have it: `native`, or the name of a recipe.
    public var runtime: RuntimeName
    public var options: RuntimeOptions

    public init(runtime: RuntimeName, options: RuntimeOptions = RuntimeOptions()) {
        self.runtime = runtime
        self.options = options
    }
}

/// What a runtime is told besides what crlab itself tells it.
public struct RuntimeOptions: Codable, Hashable, Sendable {
    /// Before the subcommand, for every call of the stage: `--platform=systrap`. Only runsc has such.
    public var globals: [String]
    /// After the subcommand: `--tcp-established`.
    public var arguments: [String]
    /// Of the OCI container that the workload runs in. Only runsc has one.
    public var annotations: [String: String]

    public init(globals: [String] = [], arguments: [String] = [], annotations: [String: String] = [:]) {
        self.globals = globals
        self.arguments = arguments
        self.annotations = annotations
    }

    public var isEmpty: Bool { globals.isEmpty && arguments.isEmpty && annotations.isEmpty }
}
