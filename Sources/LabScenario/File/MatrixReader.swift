import CRModel

/// Reads `matrix`: which hosts dump for which, over which ways, and how much of that.
struct MatrixReader {
    let matrix: Matrix
    let chains: [[HostName]]
    let coverage: Int?

    /// - Parameter node: `nil` where the file has none: every host for every host.
    init(_ node: YAMLNode?, hosts: [HostSpec]) throws(ScenarioError) {
        let names = hosts.map(\.name)
        guard let node else {
            matrix = .product(sources: names, destinations: names)
            chains = []
            coverage = nil
            return
        }
        let fields = try Fields(node, of: ScenarioKeys.matrix, name: "matrix")
        let reader = HostNames(known: names)
        var listed: [HostPair]?
        if let pairs = fields["pairs"], pairs.text != "all" {
            for key in ["sources", "destinations", "around"] {
                if let node = fields[key] { throw node.invalid(key, "absent where 'pairs' lists the pairs") }
            }
            listed = try reader.pairs(pairs)
        }
        let sources = try reader.role(fields["sources"], "sources")
        let destinations = try reader.role(fields["destinations"], "destinations")
        if let node = fields["around"] {
            let reference = try reader.one(node, "around")
            let (from, to) = (Set(sources), Set(destinations))
            let pairs = HostPair.oneFactor(around: reference, hosts: hosts).filter {
                from.contains($0.source) && to.contains($0.destination)
            }
            guard !pairs.isEmpty else {
                throw node.invalid("around", "a host from which another one differs in exactly one factor")
            }
            listed = pairs
        }
        matrix = listed.map(Matrix.pairs) ?? .product(sources: sources, destinations: destinations)
        coverage = try fields["cover"]?.integer("cover", 1...Covering.maximumStrength)
        chains =
            try fields["chains"].map { [matrix] node throws(ScenarioError) in
                node.text == "back" ? Self.back(matrix) : try reader.chains(node)
            } ?? []
    }

    /// There and back again, for every cross-host pair.
    private static func back(_ matrix: Matrix) -> [[HostName]] {
        let pairs =
            switch matrix {
            case .pairs(let pairs): pairs
            case .product(let sources, let destinations):
                sources.flatMap { source in destinations.map { HostPair(source: source, destination: $0) } }
            }
        return pairs.filter { $0.source != $0.destination }.map { [$0.source, $0.destination, $0.source] }
    }
}

/// Reads names of hosts that the file has.
private struct HostNames {
    let known: [String]

    init(known: [HostName]) { self.known = known.map(\.rawValue) }

    func one(_ node: YAMLNode, _ key: String) throws(ScenarioError) -> HostName {
        let name = try node.name(key)
        guard known.contains(name) else {
            throw .unknownName(node.place, kind: "host", name: name, known: known.sorted())
        }
        return HostName(name)
    }

    func role(_ node: YAMLNode?, _ key: String) throws(ScenarioError) -> [HostName] {
        guard let node, node.text != "all" else { return known.map(HostName.init(rawValue:)) }
        return try node.choice(key, kind: "host", among: known).map(HostName.init(rawValue:))
    }

    func pairs(_ node: YAMLNode) throws(ScenarioError) -> [HostPair] {
        let lists = try ways(node, "pairs", 2...2, "'all' or a list of [source, destination]", "pair")
        return lists.map { HostPair(source: $0[0], destination: $0[1]) }
    }

    func chains(_ node: YAMLNode) throws(ScenarioError) -> [[HostName]] {
        try ways(node, "chains", 3...16, "'back' or a list of [source, on the way…, destination]", "chain")
    }

    private func ways(
        _ node: YAMLNode, _ key: String, _ count: ClosedRange<Int>, _ expected: String, _ kind: String
    ) throws(ScenarioError) -> [[HostName]] {
        guard case .list(let elements) = node.value, !elements.isEmpty else { throw node.wrongType(key, expected) }
        var ways: [[HostName]] = []
        var seen: Set<[HostName]> = []
        for element in elements {
            guard case .list(let stops) = element.value, count.contains(stops.count) else {
                throw element.wrongType(key, expected)
            }
            var way: [HostName] = []
            for stop in stops { way.append(try one(stop, key)) }
            guard seen.insert(way).inserted else {
                throw .duplicateName(
                    element.place, kind: kind, name: way.map(\.rawValue).joined(separator: ", "))
            }
            ways.append(way)
        }
        return ways
    }
}
