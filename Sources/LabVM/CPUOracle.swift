public import CRModel

/// What one QEMU says under one accelerator about the CPUs that it can build.
public struct CPUOracle: Sendable, Hashable {
    public struct Definition: Sendable, Hashable {
        public var name: String
        /// Features of the model that the accelerator cannot give; empty when it can give all.
        public var unavailable: [String]
        /// The version that the name stands for on q35 (`Haswell-v1`); `nil` when it is no alias. Other machine types
        /// resolve the name to other versions.
        public var version: String?

        public init(name: String, unavailable: [String], version: String? = nil) {
            self.name = name
            self.unavailable = unavailable
            self.version = version
        }
    }

    public var accelerator: Accelerator
    public var definitions: [String: Definition]
    /// Features that model `max` has here: all that can be added with `+`.
    public var supported: Set<String>

    public init(accelerator: Accelerator, definitions: [Definition], supported: Set<String>) {
        self.accelerator = accelerator
        self.definitions = Dictionary(definitions.map { ($0.name, $0) }) { first, _ in first }
        self.supported = supported
    }

    /// Reads the answers of `query-cpu-definitions` and `query-cpu-model-expansion` (type `full`, model `max`).
    ///
    /// Members of another shape are left out: QEMU's versions differ in what they tell.
    public init(accelerator: Accelerator, definitions: JSONValue, expansion: JSONValue) {
        let list = (definitions.elements ?? []).compactMap { entry -> Definition? in
            guard let name = entry["name"]?.text else { return nil }
            let unavailable = (entry["unavailable-features"]?.elements ?? []).compactMap(\.text)
            // QEMU repeats a feature that two leaves carry.
            var seen = Set<String>()
            return Definition(
                name: name, unavailable: unavailable.filter { seen.insert($0).inserted },
                version: entry["alias-of"]?.text)
        }
        let properties = expansion["model"]?["props"]?.members ?? [:]
        self.init(
            accelerator: accelerator, definitions: list,
            supported: Set(properties.filter { $0.value == .bool(true) }.keys))
    }

    /// The CPU that a scenario asks for, or why it cannot be had.
    ///
    /// - Parameter cpu: `MODEL`, with `,-feature`, `,+feature`, `,feature=on|off` behind it; `,reduced` takes whatever
    ///   the accelerator leaves of the model.
    /// - Throws: ``VMError/notEmulable(cpu:accelerator:missing:)``, ``VMError/cpuUnknown(cpu:)``.
    public func resolve(_ cpu: String) throws(VMError) -> CPUChoice {
        let parts = cpu.split(separator: ",").map { $0.filter { $0 != " " } }
        guard let model = parts.first, let definition = definitions[model] else { throw .cpuUnknown(cpu: cpu) }
        var off = Set<String>()
        var on: [String] = []
        let takesWhatIsLeft = parts.dropFirst().contains("reduced")
        for change in parts.dropFirst() {
            if change.hasPrefix("-") {
                off.insert(Self.spelling(String(change.dropFirst())))
            } else if change.hasPrefix("+") {
                on.append(Self.spelling(String(change.dropFirst())))
            } else if change.hasSuffix("=off") {
                off.insert(Self.spelling(String(change.dropLast(4))))
            } else if change.hasSuffix("=on") {
                on.append(Self.spelling(String(change.dropLast(3))))
            }
        }
        let unsupported = supported.isEmpty ? [] : on.filter { !supported.contains($0) }
        guard unsupported.isEmpty else {
            throw .notEmulable(cpu: model, accelerator: accelerator.rawValue, missing: unsupported)
        }
        let missing = definition.unavailable.filter { !off.contains(Self.spelling($0)) }
        let changes = parts.dropFirst().filter { $0 != "reduced" }
        // Reducing is only honest where the table says what the model loses and keeps, or the scenario itself asks.
        let allowed = accelerator == .tcg ? CPUModels.reduced[model] ?? [] : []
        guard takesWhatIsLeft || missing.allSatisfy({ allowed.contains($0) }) else {
            throw .notEmulable(cpu: model, accelerator: accelerator.rawValue, missing: missing)
        }
        let argument = ([definition.version ?? model] + missing.map { "-" + $0 } + changes).joined(separator: ",")
        return CPUChoice(requested: cpu, argument: argument, reducedBy: missing)
    }

    private static func spelling(_ feature: String) -> String {
        String(feature.map { $0 == "_" ? "-" : $0 })
    }
}
