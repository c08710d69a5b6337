import CRModel

/// All CPU models of one QEMU under one accelerator, with what is left of each, and which of them really differ.
public struct CPUSurvey: Sendable, Codable, Equatable {
    /// One model.
    public struct Model: Sendable, Codable, Equatable {
        /// For `-cpu`.
        public var name: String
        /// The model that this is another name of; `nil` for none.
        public var aliasOf: String?
        public var vendor: String
        public var family: Int
        public var model: Int
        /// What a guest gets, in the kernel's spelling, sorted; features without an entry in the table are left out.
        public var features: [String]
        /// What the model has and the accelerator cannot give, in QEMU's spelling, sorted.
        public var lost: [String]
        /// Whether a scenario may name it without `,reduced`.
        public var isPlain: Bool

        /// Instructions and state that programs can use.
        public var instructions: Set<String> {
            Set(features.filter { CPUFeature.byName[$0]?.kind == .instructions })
        }

        /// Whether guests can run on it: their kernels are 64-bit, and the static agent uses `cmpxchg16b` (SIGILL as
        /// PID 1 on Conroe and Opteron_G1, which QEMU has without it).
        public var isUsable: Bool { features.contains("lm") && features.contains("cx16") }

        /// What a scenario writes to get it.
        public var spelling: String { isPlain ? name : "\(name),reduced" }
    }

    /// Models that no program can tell apart by instructions or by extended state.
    public struct Class: Sendable, Codable, Equatable {
        /// State components that the CPU has, as in XCR0.
        public var state: UInt64
        /// The class with most of these instructions and no others, and what comes on top of it; `nil` for the smallest.
        public var base: Int?
        /// Beyond `base`, or all; sorted.
        public var instructions: [String]
        /// The shortest name first.
        public var models: [Model]
    }

    public var accelerator: String
    public var qemuVersion: String
    /// By the number of instruction sets, then by name; a class is named by its place, from 1.
    public var classes: [Class]
    /// Models on which no guest runs.
    public var unusable: [String]
    /// Instructions and state that no model can have here, by place.
    public var impossible: [String]

    /// Sorts models into classes.
    ///
    /// - Parameter possible: Features (kernel's spelling) that can be had at all.
    public init(accelerator: String, qemuVersion: String, models: [Model], possible: Set<String>) {
        self.accelerator = accelerator
        self.qemuVersion = qemuVersion
        unusable = models.filter { !$0.isUsable }.map(\.name).sorted()
        impossible = CPUFeature.all.filter { $0.kind == .instructions && !possible.contains($0.name) }.map(\.name)
        struct Key: Hashable {
            let state: UInt64
            let instructions: Set<String>
        }
        let groups = Dictionary(grouping: models.filter(\.isUsable)) {
            Key(state: StateComponent.mask(features: Set($0.features)), instructions: $0.instructions)
        }
        let sorted = groups.sorted { a, b in
            (a.key.instructions.count, Self.first(a.value)) < (b.key.instructions.count, Self.first(b.value))
        }
        classes = sorted.enumerated().map { index, group in
            let base = sorted[..<index].lastIndex { $0.key.instructions.isStrictSubset(of: group.key.instructions) }
            let below = base.map { sorted[$0].key.instructions } ?? []
            return Class(
                state: group.key.state, base: base.map { $0 + 1 },
                instructions: group.key.instructions.subtracting(below).sorted(),
                models: group.value.sorted { ($0.name.utf8.count, $0.name) < ($1.name.utf8.count, $1.name) })
        }
    }

    private static func first(_ models: [Model]) -> String { models.map(\.name).min() ?? "" }

    /// The number of the class that a model is in, from 1; `nil` when it is in none.
    public func classNumber(of model: String) -> Int? {
        classes.firstIndex { $0.models.contains { $0.name == model } }.map { $0 + 1 }
    }

    /// All models of all classes.
    public var models: [Model] { classes.flatMap(\.models) }
}

extension CPUSurvey.Model {
    /// Reads one model's entry of `query-cpu-definitions` and its full `query-cpu-model-expansion`.
    ///
    /// The expansion tells what the model has; what the accelerator cannot give is taken away.
    ///
    /// - Parameter supported: Features of model `max` here (QEMU's spelling).
    init?(definition: JSONValue, expansion: JSONValue, supported: Set<String>, isPlain: Bool) {
        guard let name = definition["name"]?.text, let properties = expansion["model"]?["props"]?.members else {
            return nil
        }
        let lost = Set((definition["unavailable-features"]?.elements ?? []).compactMap(\.text))
        let has = properties.filter { $0.value == .bool(true) }.keys
        let left = Set(has).subtracting(lost).intersection(supported)
        self.init(
            name: name, aliasOf: definition["alias-of"]?.text, vendor: properties["vendor"]?.text ?? "",
            family: properties["family"]?.int ?? 0, model: properties["model"]?.int ?? 0,
            features: CPUFeature.all.filter { left.contains($0.qemu) }.map(\.name).sorted(), lost: lost.sorted(),
            isPlain: isPlain)
    }
}

extension Lab {
    /// Asks QEMU for everything about all its CPU models.
    public func survey() async throws(VMError) -> CPUSurvey {
        let answer: Result<CPUSurvey, VMError> = await withCheckedContinuation { continuation in
            let started = OSThread.start {
                do throws(VMError) {
                    continuation.resume(returning: .success(try surveyNow()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            if !started {
                continuation.resume(
                    returning: .failure(.launchFailed(path: qemu.executable, why: "no thread can be started")))
            }
        }
        return try answer.get()
    }

    private func surveyNow() throws(VMError) -> CPUSurvey {
        var session = try MonitorSession(qemu: qemu, accelerator: accelerator, seconds: 60)
        defer { session.end() }
        var models: [CPUSurvey.Model] = []
        for definition in try session.ask("query-cpu-definitions").elements ?? [] {
            // `host` is no model but another name of `max` under KVM, and `base` has no feature at all.
            guard let name = definition["name"]?.text, name != "host", name != "base" else { continue }
            let question = JSONValue.object(["type": .string("full"), "model": .object(["name": .string(name)])])
            let expansion = try session.ask("query-cpu-model-expansion", question)
            let model = CPUSurvey.Model(
                definition: definition, expansion: expansion, supported: oracle.supported,
                isPlain: (try? oracle.resolve(name)) != nil)
            if let model { models.append(model) }
        }
        let possible = CPUFeature.all.filter { oracle.supported.contains($0.qemu) }.map(\.name)
        return CPUSurvey(
            accelerator: accelerator.rawValue, qemuVersion: qemuVersion, models: models, possible: Set(possible))
    }
}
