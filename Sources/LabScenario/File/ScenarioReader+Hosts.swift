import CRModel

extension ScenarioReader {
    func ownKernels() throws(ScenarioError) -> [String: OwnKernel] {
        guard let node = fields["kernels"] else { return [:] }
        var kernels: [String: OwnKernel] = [:]
        for entry in try node.entries("kernels") {
            try own(entry, key: "kernels", kind: "kernel recipe", recipes: catalogue.kernels)
            if catalogue.mayBeKernel(entry.key) {
                throw .invalidValue(
                    entry.place, key: "kernels", value: entry.key,
                    expected: "another name than a kernel family's members")
            }
            let kernel = try Fields(entry.value, of: ScenarioKeys.kernel, name: entry.key)
            kernels[entry.key] = OwnKernel(
                bzImage: try kernel.required("bzImage").string("bzImage"),
                modules: try kernel["modules"]?.string("modules"))
        }
        return kernels
    }

    func ownUserlands() throws(ScenarioError) -> [String: OwnUserland] {
        guard let node = fields["userlands"] else { return [:] }
        var userlands: [String: OwnUserland] = [:]
        for entry in try node.entries("userlands") {
            try own(entry, key: "userlands", kind: "userland recipe", recipes: catalogue.userlands)
            let userland = try Fields(entry.value, of: ScenarioKeys.userland, name: entry.key)
            let node = try userland.required("root")
            let root = try Fields(node, of: ScenarioKeys.root, name: "root")
            switch (try root["directory"]?.string("directory"), try root["tar"]?.string("tar")) {
            case (let directory?, nil): userlands[entry.key] = .directory(directory)
            case (nil, let tar?): userlands[entry.key] = .tar(tar)
            default: throw node.invalid("root", "either 'directory' or 'tar'")
            }
        }
        return userlands
    }

    /// A name of the user's own must not hide a recipe: a reader of the report could not tell which one ran.
    private func own(
        _ entry: YAMLNode.Entry, key: String, kind: String, recipes: [String]?
    ) throws(ScenarioError) {
        guard YAMLNode.isName(entry.key) else {
            throw .invalidValue(entry.place, key: key, value: entry.key, expected: YAMLNode.nameRule)
        }
        if recipes?.contains(entry.key) == true {
            throw .invalidValue(entry.place, key: key, value: entry.key, expected: "another name than a \(kind) has")
        }
    }

    func hosts(kernels: Set<String>, userlands: Set<String>) throws(ScenarioError) -> [HostSpec] {
        let reader = HostReader(
            defaults: try fields["defaults"].map { node throws(ScenarioError) in
                try Fields(node, of: ScenarioKeys.defaults, name: "defaults")
            },
            kernels: catalogue.kernels.map {
                Set($0).union(kernels).union(catalogue.families.values.joined()).sorted()
            },
            mayBeKernel: catalogue.mayBeKernel,
            qemus: catalogue.qemus,
            userlands: catalogue.userlands.map { Set($0).union(userlands).sorted() })
        let grid = try fields["grid"].map { node throws(ScenarioError) in
            try HostGrid(
                node, kernels: reader.kernels, userlands: reader.userlands, qemus: catalogue.qemus,
                unseen: catalogue.families.filter(\.value.isEmpty).keys.sorted())
        }
        let node = grid == nil ? try fields.required("hosts") : fields["hosts"]
        let entries = try node?.entries("hosts") ?? []
        if let node, entries.isEmpty {
            throw node.invalid("hosts", "a mapping with at least one host", value: "{}")
        }
        var hosts: [HostSpec] = []
        var names: Set<String> = []
        for entry in entries + (try grid?.hosts() ?? []) {
            guard names.insert(entry.key).inserted else {
                throw .duplicateName(entry.place, kind: "host", name: entry.key)
            }
            hosts.append(try reader.host(entry))
        }
        return hosts
    }
}

/// Reads hosts, each with what `defaults` says where it says nothing itself.
private struct HostReader {
    let defaults: Fields?
    let kernels: [String]?
    let mayBeKernel: (String) -> Bool
    let qemus: [String]?
    let userlands: [String]?

    func host(_ entry: YAMLNode.Entry) throws(ScenarioError) -> HostSpec {
        guard YAMLNode.isName(entry.key) else {
            throw .invalidValue(entry.place, key: "hosts", value: entry.key, expected: YAMLNode.nameRule)
        }
        // `host:` with nothing after it takes everything from the defaults.
        let own = entry.value.isNothing ? nil : try Fields(entry.value, of: ScenarioKeys.host, name: entry.key)
        func value(_ key: String) -> YAMLNode? { own?[key] ?? defaults?[key] }
        func required(_ key: String) throws(ScenarioError) -> YAMLNode {
            guard let node = value(key) else {
                throw .missingKey(entry.place, key: key, section: "the host '\(entry.key)'")
            }
            return node
        }
        var host = HostSpec(
            name: HostName(entry.key), cpu: try cpu(required("cpu")),
            kernel: try kernel(required("kernel")))
        if let node = value("userland") { host.userland = try recipe(node, kind: "userland", known: userlands) }
        if let node = value("memory") { host.memoryMebibytes = try node.integer("memory", 128...65_536) }
        if let node = value("machine") { host.machine = try machine(node) }
        if let node = value("kernel-arguments") { host.kernelArguments = try arguments(node) }
        if let node = value("qemu") { host.qemu = try recipe(node, kind: "qemu", known: qemus) }
        // Settings add to the defaults', one by one.
        for node in [defaults?["sysctl"], own?["sysctl"]].compactMap(\.self) {
            host.sysctl = (host.sysctl ?? [:]).merging(try settings(node)) { $1 }
        }
        return host
    }

    private func kernel(_ node: YAMLNode) throws(ScenarioError) -> String {
        let name = try node.name("kernel")
        return mayBeKernel(name) ? name : try recipe(node, kind: "kernel", known: kernels)
    }

    private func recipe(_ node: YAMLNode, kind: String, known: [String]?) throws(ScenarioError) -> String {
        let name = try node.name(kind)
        if let known, !known.contains(name) { throw .unknownName(node.place, kind: kind, name: name, known: known) }
        return name
    }

    private func machine(_ node: YAMLNode) throws(ScenarioError) -> String {
        let machine = try node.string("machine")
        guard ["q35", "microvm"].contains(machine) else { throw node.invalid("machine", "'q35' or 'microvm'") }
        return machine
    }

    /// It becomes part of QEMU's command line, where a comma starts the next property: so only `+x`, `-x` and `x=y`.
    private func cpu(_ node: YAMLNode) throws(ScenarioError) -> String {
        let cpu = try node.string("cpu")
        let parts = cpu.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        func isFeature(_ part: String) -> Bool {
            if part == "reduced" { return true }
            if part.hasPrefix("+") || part.hasPrefix("-") { return YAMLNode.isName(String(part.dropFirst())) }
            let sides = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            return sides.count == 2 && sides.allSatisfy(YAMLNode.isName)
        }
        guard let model = parts.first, YAMLNode.isName(model), parts.dropFirst().allSatisfy(isFeature) else {
            throw node.invalid("cpu", "a QEMU model with optional features, such as 'Haswell,-avx2' or 'EPYC,reduced'")
        }
        return cpu
    }

    private func settings(_ node: YAMLNode) throws(ScenarioError) -> [String: String] {
        var settings: [String: String] = [:]
        for entry in try node.entries("sysctl") {
            let parts = entry.key.split { $0 == "/" || $0 == "." }
            let isName = entry.key.utf8.allSatisfy { byte in
                (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte) || "._-/".utf8.contains(byte)
            }
            guard isName, parts.count >= 2, !entry.key.contains(".."), !entry.key.hasPrefix("/") else {
                throw .invalidValue(
                    entry.place, key: "sysctl", value: entry.key, expected: "a setting's name, such as kernel.pid_max")
            }
            let value = try entry.value.string(entry.key)
            guard !value.isEmpty, value.utf8.count <= 256, !value.contains("\n") else {
                throw entry.value.invalid(entry.key, "a value of one line")
            }
            settings[entry.key] = value
        }
        return settings
    }

    private func arguments(_ node: YAMLNode) throws(ScenarioError) -> [String] {
        var arguments: [String] = []
        let words: [YAMLNode] = if case .list(let elements) = node.value { elements } else { [node] }
        for word in words {
            let text = try word.string("kernel-arguments")
            guard text.utf8.count <= 256, !text.contains(" "), !text.contains("\"") else {
                throw word.invalid("kernel-arguments", "a list of single words for the kernel's command line")
            }
            arguments.append(text)
        }
        return arguments
    }
}
