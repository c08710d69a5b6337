import CRModel

extension ScenarioReader {
    /// `runtimes:` names, patterns of names, or one mapping `NAME: {…}` in place of a name.
    func runtimes() throws(ScenarioError) -> [RuntimeSpec] {
        guard let node = fields["runtimes"] else { return [RuntimeSpec(.native)] }
        let entries: [YAMLNode]
        if case .map = node.value { entries = [node] } else { entries = try node.oneOrMore("runtimes") }
        var runtimes: [RuntimeSpec] = []
        for entry in entries {
            if entry.text?.contains("*") == true {
                let names = try entry.choice("runtimes", kind: "runtime", among: catalogue.runtimes?.map(\.rawValue))
                runtimes += names.map { RuntimeSpec(RuntimeName($0)) }
                    .filter { found in !runtimes.contains { $0.name == found.name } }
                continue
            }
            let (runtime, place) = try self.runtime(entry)
            guard !runtimes.contains(where: { $0.name == runtime.name }) else {
                throw .duplicateName(place, kind: "runtime", name: runtime.name.rawValue)
            }
            runtimes.append(runtime)
        }
        return runtimes
    }

    private func runtime(_ node: YAMLNode) throws(ScenarioError) -> (RuntimeSpec, Place) {
        guard case .map(let entries) = node.value else {
            return (RuntimeSpec(RuntimeName(try installed(node, "runtimes").rawValue)), node.place)
        }
        guard entries.count == 1, let entry = entries.first else {
            throw node.invalid("runtimes", "a name, or one name with what it means", value: "\(entries.count) keys")
        }
        guard YAMLNode.isName(entry.key) else {
            throw .invalidValue(entry.place, key: "runtimes", value: entry.key, expected: YAMLNode.nameRule)
        }
        return (try RuntimeReader(reader: self, name: entry.key, place: entry.place).spec(entry.value), entry.place)
    }

    /// A runtime that guests can offer.
    func installed(_ node: YAMLNode, _ key: String) throws(ScenarioError) -> RuntimeName {
        let name = RuntimeName(try node.name(key))
        let known = catalogue.runtimes ?? [name]
        guard known.contains(name), name.family != nil else {
            throw .unknownName(node.place, kind: "runtime", name: name.rawValue, known: known.map(\.rawValue).sorted())
        }
        return name
    }
}

/// Reads one runtime that has options.
private struct RuntimeReader {
    let reader: ScenarioReader
    /// As cells name it.
    let name: String
    let place: Place

    func spec(_ node: YAMLNode) throws(ScenarioError) -> RuntimeSpec {
        let entries = try node.entries(name)
        let nameNode = YAMLNode(place: place, value: .scalar(name, plain: true))
        let runtime = try reader.installed(
            entries.first { $0.key == "runtime" }?.value ?? nameNode, "runtime")
        // Logs are read by the rules of the family, which the name of a cell's runtime tells.
        guard let family = runtime.family, RuntimeName(name).family == family else {
            let family = runtime.family?.rawValue ?? ""
            throw .invalidValue(
                place, key: "runtimes", value: name,
                expected: "'\(family)' or a name that starts with '\(family)-', as its runtime is \(runtime)")
        }
        let section = ScenarioKeys.runtime(family)
        let fields = try Fields(node, of: section, name: name)
        var stages: [Stage: RuntimeUse] = [:]
        for stage in [Stage.dump, .restore] {
            let common = try options(fields, family, stage: stage, isOwn: false)
            guard let node = fields[stage.rawValue] else {
                stages[stage] = RuntimeUse(runtime: runtime, options: joined([common], family))
                continue
            }
            let own = try Fields(node, of: ScenarioKeys.runtimeStage(family), name: stage.rawValue)
            let program = try own["runtime"].map { node throws(ScenarioError) in
                try reader.installed(node, "runtime")
            }
            if let program, program.family != family {
                throw (own["runtime"] ?? node).invalid("runtime", "a runtime of the family \(family.rawValue)")
            }
            stages[stage] = RuntimeUse(
                runtime: program ?? runtime,
                options: joined([common, try options(own, family, stage: stage, isOwn: true)], family))
        }
        let plain = RuntimeUse(runtime: runtime)
        return RuntimeSpec(
            name: RuntimeName(name), dump: stages[.dump] ?? plain, restore: stages[.restore] ?? plain)
    }

    /// What one mapping says: the words of each option by its name, and what is no option of the table.
    private struct Given {
        var words: [String: [String]] = [:]
        var arguments: [String] = []
        var annotations: [String: String] = [:]
    }

    /// - Parameter isOwn: Whether the mapping is the stage's own, where an option of the other stage is a mistake.
    private func options(
        _ fields: Fields, _ family: RuntimeFamily, stage: Stage, isOwn: Bool
    ) throws(ScenarioError) -> Given {
        var given = Given()
        for option in family.options {
            guard let node = fields[option.name] else { continue }
            guard option.stages.contains(stage) else {
                if isOwn {
                    throw node.invalid(option.name, "absent here: \(family.rawValue) takes it at the other stage")
                }
                continue
            }
            given.words[option.name] = try words(option, node)
        }
        if let node = fields["args"] {
            for element in try node.oneOrMore("args") { given.arguments.append(try element.string("args")) }
        }
        if let node = fields["annotations"] {
            for entry in try node.entries("annotations") {
                given.annotations[entry.key] = try entry.value.string("annotations")
            }
        }
        return given
    }

    /// The stage's own options win over those of both stages; lists of arguments follow each other.
    private func joined(_ given: [Given], _ family: RuntimeFamily) -> RuntimeOptions {
        var result = RuntimeOptions()
        for option in family.options {
            guard let words = given.reversed().lazy.compactMap({ $0.words[option.name] }).first else { continue }
            switch option.position {
            case .global: result.globals += words
            case .argument: result.arguments += words
            }
        }
        for one in given {
            // What runsc takes after its subcommands is in the table; the rest are flags of its own.
            if family == .runsc { result.globals += one.arguments } else { result.arguments += one.arguments }
            result.annotations.merge(one.annotations) { $1 }
        }
        return result
    }

    private func words(_ option: RuntimeOption, _ node: YAMLNode) throws(ScenarioError) -> [String] {
        let flag = "--\(option.name)"
        switch option.form {
        case .flag: return try node.bool(option.name) ? [flag] : []
        case .switched: return ["\(flag)=\(try node.bool(option.name))"]
        case .text: return ["\(flag)=\(try node.string(option.name))"]
        case .choice(let choices):
            let text = try node.string(option.name)
            guard choices.contains(text) else {
                throw .unknownName(node.place, kind: "\(option.name) value", name: text, known: choices)
            }
            return ["\(flag)=\(text)"]
        case .flagOrText:
            if let isOn = try? node.bool(option.name) { return isOn ? [flag] : [] }
            return ["\(flag)=\(try node.string(option.name))"]
        case .words:
            if let isOn = try? node.bool(option.name) { return isOn ? [flag] : [] }
            var words: [String] = []
            for element in try node.oneOrMore(option.name) { words.append(try element.string(option.name)) }
            return ["\(flag)=\(words.joined(separator: ","))"]
        case .each:
            var words: [String] = []
            for element in try node.oneOrMore(option.name) { words += [flag, try element.string(option.name)] }
            return words
        }
    }
}

extension ScenarioKeys {
    /// The keys of a runtime that is given as a mapping.
    static func runtime(_ family: RuntimeFamily) -> Section {
        let stage = runtimeStage(family)
        return Section(title: stage.title, definition: "", keys: ["dump", "restore"] + stage.keys)
    }

    /// The keys of its mapping for one stage.
    static func runtimeStage(_ family: RuntimeFamily) -> Section {
        Section(
            title: "a \(family.rawValue) runtime", definition: "",
            keys: ["runtime", "args"] + (family == .runsc ? ["annotations"] : []) + family.options.map(\.name))
    }

    /// What any runtime may have: the schema cannot tell the families apart.
    static let anyRuntime = Section(
        title: "a runtime", definition: "runtime", keys: ["dump", "restore"] + anyRuntimeStage.keys)
    static let anyRuntimeStage = Section(
        title: "a stage of a runtime", definition: "runtimeStage",
        keys: ["runtime", "args", "annotations"] + RuntimeFamily.allOptionNames)
}
