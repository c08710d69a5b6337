import CRModel

extension Scenario {
    /// Reads a scenario file.
    ///
    /// - Parameters:
    ///   - text: The file's content.
    ///   - file: Its path, for messages and for the scenario's name.
    ///   - catalogue: What the file may name.
    /// - Throws: ``ScenarioError`` for the first thing that is wrong, with its place.
    public static func parse(
        _ text: String, file: String, catalogue: Catalogue
    ) throws(ScenarioError) -> Scenario {
        let root = try YAMLNode.parse(text, file: file)
        let reader = ScenarioReader(fields: try Fields(root, of: ScenarioKeys.scenario, name: "scenario"), catalogue)
        return try reader.scenario(text: text, file: file)
    }
}

/// Turns the tree of a file into a scenario.
struct ScenarioReader {
    let fields: Fields
    let catalogue: Catalogue

    init(fields: Fields, _ catalogue: Catalogue) {
        self.fields = fields
        self.catalogue = catalogue
    }

    func scenario(text: String, file: String) throws(ScenarioError) -> Scenario {
        let kernels = try ownKernels()
        let userlands = try ownUserlands()
        let hosts = try hosts(kernels: Set(kernels.keys), userlands: Set(userlands.keys))
        let runtimes = try runtimes()
        let specs = try specs()
        let workloads = try workloads()
        let patterns = PatternReader(
            hosts: hosts.map(\.name), runtimes: runtimes.map(\.name),
            workloads: Set(workloads + catalogue.workloads).sorted(),
            specs: specs.map(\.name))
        return Scenario(
            name: Self.stem(of: file), title: try fields["title"]?.string("title") ?? "", text: text, hosts: hosts,
            kernels: kernels, userlands: userlands, runtimes: runtimes, workloads: workloads, specs: specs,
            matrix: try matrix(hosts: hosts.map(\.name)), exclude: try patterns.patterns(fields["exclude"], "exclude"),
            include: try patterns.patterns(fields["include"], "include"),
            expect: try patterns.expectations(fields["expect"]), timeouts: try timeouts(),
            seed: try fields["seed"]?.integer("seed", 0...UInt64.max) ?? 1, file: file)
    }

    private static func stem(of file: String) -> String {
        let base = file.split(separator: "/").last.map(String.init) ?? file
        let stem = base.split(separator: ".").first.map(String.init) ?? base
        let allowed = stem.map { YAMLNode.isName("a\($0)") ? $0 : "-" }
        return YAMLNode.isName(String(allowed)) ? String(allowed) : "scenario"
    }

    // MARK: Factors

    private func workloads() throws(ScenarioError) -> [WorkloadName] {
        let node = try fields.required("workloads")
        if node.text == "all" {
            guard !catalogue.workloads.isEmpty else { throw .nothingPlanned(file: node.place.file) }
            return Set(catalogue.workloads).sorted()
        }
        let known = catalogue.workloads.map(\.rawValue) + catalogue.sets.keys
        let named = try list(node, "workloads", kind: "workload", known: known)
        var workloads: [WorkloadName] = []
        for workload in named.flatMap({ catalogue.sets[$0] ?? [WorkloadName($0)] })
        where !workloads.contains(workload) {
            workloads.append(workload)
        }
        guard !workloads.isEmpty else { throw .nothingPlanned(file: node.place.file) }
        return workloads
    }

    private func specs() throws(ScenarioError) -> [ScenarioSpec] {
        guard let node = fields["spec"] else { return [.standard] }
        return try list(node, "spec", kind: "spec", known: [SpecName.standard.rawValue])
            .map { ScenarioSpec(name: SpecName($0)) }
    }

    private func matrix(hosts: [HostName]) throws(ScenarioError) -> Matrix {
        let everything = Matrix.product(sources: hosts, destinations: hosts)
        guard let node = fields["matrix"] else { return everything }
        let matrix = try Fields(node, of: ScenarioKeys.matrix, name: "matrix")
        if let pairs = matrix["pairs"], pairs.text != "all" {
            for key in ["sources", "destinations"] {
                if let node = matrix[key] { throw node.invalid(key, "absent where 'pairs' lists the pairs") }
            }
            return .pairs(try self.pairs(pairs, hosts: hosts))
        }
        return .product(
            sources: try role(matrix["sources"], "sources", hosts: hosts),
            destinations: try role(matrix["destinations"], "destinations", hosts: hosts))
    }

    private func role(_ node: YAMLNode?, _ key: String, hosts: [HostName]) throws(ScenarioError) -> [HostName] {
        guard let node, node.text != "all" else { return hosts }
        return try list(node, key, kind: "host", known: hosts.map(\.rawValue)).map(HostName.init(rawValue:))
    }

    private func pairs(_ node: YAMLNode, hosts: [HostName]) throws(ScenarioError) -> [HostPair] {
        var pairs: [HostPair] = []
        guard case .list(let elements) = node.value, !elements.isEmpty else {
            throw node.wrongType("pairs", "'all' or a list of [source, destination]")
        }
        for element in elements {
            guard case .list(let ends) = element.value, ends.count == 2 else {
                throw element.wrongType("pairs", "a list of [source, destination]")
            }
            var names: [HostName] = []
            for end in ends {
                names.append(HostName(try known(end, "pairs", kind: "host", among: hosts.map(\.rawValue))))
            }
            let pair = HostPair(source: names[0], destination: names[1])
            guard !pairs.contains(pair) else {
                throw .duplicateName(element.place, kind: "pair", name: "\(pair.source), \(pair.destination)")
            }
            pairs.append(pair)
        }
        return pairs
    }

    private func timeouts() throws(ScenarioError) -> Timeouts {
        var timeouts = Timeouts()
        guard let node = fields["timeouts"] else { return timeouts }
        let section = try Fields(node, of: ScenarioKeys.timeouts, name: "timeouts")
        func seconds(_ key: String) throws(ScenarioError) -> Duration? {
            guard let node = section[key] else { return nil }
            return .seconds(try node.integer(key, 1...604_800))
        }
        timeouts.boot = try seconds("boot") ?? timeouts.boot
        timeouts.ready = try seconds("ready") ?? timeouts.ready
        timeouts.dump = try seconds("dump") ?? timeouts.dump
        timeouts.carry = try seconds("carry") ?? timeouts.carry
        timeouts.restore = try seconds("restore") ?? timeouts.restore
        timeouts.verify = try seconds("verify") ?? timeouts.verify
        timeouts.run = try seconds("run")
        return timeouts
    }

    // MARK: Names

    /// One known name or a list of them, none twice.
    private func list(
        _ node: YAMLNode, _ key: String, kind: String, known: [String]?
    ) throws(ScenarioError) -> [String] {
        var names: [String] = []
        for element in try node.oneOrMore(key) {
            let name = try self.known(element, key, kind: kind, among: known)
            guard !names.contains(name) else { throw .duplicateName(element.place, kind: kind, name: name) }
            names.append(name)
        }
        return names
    }

    private func known(
        _ node: YAMLNode, _ key: String, kind: String, among known: [String]?
    ) throws(ScenarioError) -> String {
        let name = try node.name(key)
        if let known, !known.contains(name) {
            throw .unknownName(node.place, kind: kind, name: name, known: known.sorted())
        }
        return name
    }
}
