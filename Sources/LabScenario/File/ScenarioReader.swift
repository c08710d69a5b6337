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
            workloads: Set(workloads + catalogue.workloads).sorted(), specs: specs.map(\.name), sets: catalogue.sets)
        // A member of a kernel family may be named before anybody has looked which there are.
        var names = catalogue.names
        let fromRecipes = hosts.map(\.kernel).filter { kernels[$0] == nil }
        names["kernels"] = names["kernels"].map { Set($0).union(fromRecipes).sorted() }
        let matrix = try MatrixReader(fields["matrix"], hosts: hosts)
        return Scenario(
            name: Self.stem(of: file), title: try fields["title"]?.string("title") ?? "", text: text, hosts: hosts,
            kernels: kernels, userlands: userlands, runtimes: runtimes, workloads: workloads, specs: specs,
            matrix: matrix.matrix, chains: matrix.chains, coverage: matrix.coverage,
            exclude: try patterns.patterns(fields["exclude"], "exclude"),
            include: try patterns.patterns(fields["include"], "include"),
            expect: try patterns.expectations(fields["expect"]), timeouts: try timeouts(),
            confirm: Int(try fields["confirm"]?.integer("confirm", 0...100) ?? 0),
            seed: try fields["seed"]?.integer("seed", 0...UInt64.max) ?? 1, names: names, file: file)
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
        guard !catalogue.workloads.isEmpty else { throw .nothingPlanned(file: node.place.file) }
        if node.text == "all" { return Set(catalogue.workloads).sorted() }
        let workloads = try node.choice(
            "workloads", kind: "workload", among: catalogue.workloads.map(\.rawValue),
            sets: catalogue.sets.mapValues { $0.map(\.rawValue) })
        return workloads.map(WorkloadName.init(rawValue:))
    }

    private func specs() throws(ScenarioError) -> [ScenarioSpec] {
        guard let node = fields["spec"] else { return [.standard] }
        return try node.choice("spec", kind: "spec", among: [SpecName.standard.rawValue])
            .map { ScenarioSpec(name: SpecName($0)) }
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
}
