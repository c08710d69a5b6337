import CRModel

/// Hosts as the product of factors: a host for every combination of one value of each.
///
/// A factor is any key of a host; its values are a list, or a mapping from the name that stands in the host's name to the
/// value. Kernels and userlands may be patterns over the recipes.
struct HostGrid {
    private struct Value {
        let name: String
        let node: YAMLNode
    }

    private struct Factor {
        let entry: YAMLNode.Entry
        let values: [Value]
    }

    /// More hosts than this are a slip.
    static let maximumHosts = 4096

    private let place: Place
    private let factors: [Factor]

    /// - Parameter unseen: Families of kernels that nobody has looked up yet.
    init(
        _ node: YAMLNode, kernels: [String]?, userlands: [String]?, qemus: [String]?, unseen: [String]
    ) throws(ScenarioError) {
        place = node.place
        let fields = try Fields(node, of: ScenarioKeys.grid, name: "grid")
        guard !fields.entries.isEmpty else {
            throw node.invalid("grid", "a mapping with at least one factor", value: "{}")
        }
        var factors: [Factor] = []
        var count = 1
        for entry in fields.entries {
            if entry.key == "kernel" { try Self.refuse(entry.value, unseen: unseen) }
            let known: [String]? =
                switch entry.key {
                case "kernel": kernels
                case "userland": userlands
                case "qemu": qemus
                default: nil
                }
            let isName = ["kernel", "userland", "qemu"].contains(entry.key)
            let values = try Self.values(entry, known: known, isName: isName)
            factors.append(Factor(entry: entry, values: values))
            count *= values.count
            guard count <= Self.maximumHosts else {
                throw node.invalid("grid", "a product of at most \(Self.maximumHosts) hosts", value: "\(count) hosts")
            }
        }
        self.factors = factors
    }

    /// An entry for every host, as if the file listed them; the last factor changes fastest.
    func hosts() throws(ScenarioError) -> [YAMLNode.Entry] {
        var hosts: [[(YAMLNode.Entry, Value)]] = [[]]
        for factor in factors {
            hosts = hosts.flatMap { host in factor.values.map { host + [(factor.entry, $0)] } }
        }
        var entries: [YAMLNode.Entry] = []
        for host in hosts {
            let name = host.map(\.1.name).joined(separator: "_")
            guard YAMLNode.isName(name) else {
                throw .invalidValue(
                    place, key: "grid", value: name,
                    expected: "values whose names make \(YAMLNode.nameRule); a mapping gives them shorter ones")
            }
            let members = host.map { entry, value in
                YAMLNode.Entry(key: entry.key, place: entry.place, value: value.node)
            }
            entries.append(
                YAMLNode.Entry(key: name, place: place, value: YAMLNode(place: place, value: .map(members))))
        }
        return entries
    }

    /// A pattern over a family that nobody has looked up would silently stand for fewer kernels than there are.
    private static func refuse(_ node: YAMLNode, unseen: [String]) throws(ScenarioError) {
        let words: [YAMLNode] = if case .list(let elements) = node.value { elements } else { [node] }
        for word in words {
            guard let text = word.text, text.contains("*"), !text.hasPrefix("!") else { continue }
            let start = String(text.prefix { $0 != "*" })
            if let family = unseen.first(where: { $0.hasPrefix(start) || start.hasPrefix($0) }) {
                throw .familyUnseen(word.place, family: family)
            }
        }
    }

    private static func values(
        _ entry: YAMLNode.Entry, known: [String]?, isName: Bool
    ) throws(ScenarioError) -> [Value] {
        let node = entry.value
        var values: [Value] = []
        if case .map(let members) = node.value {
            guard !members.isEmpty else { throw node.invalid(entry.key, "at least one value", value: "{}") }
            for member in members {
                guard YAMLNode.isName(member.key) else {
                    throw .invalidValue(member.place, key: entry.key, value: member.key, expected: YAMLNode.nameRule)
                }
                values.append(Value(name: member.key, node: member.value))
            }
        } else if isName {
            values = try node.choice(entry.key, kind: entry.key, among: known).map { name in
                Value(name: name, node: YAMLNode(place: node.place, value: .scalar(name, plain: true)))
            }
        } else {
            for element in try node.oneOrMore(entry.key) {
                guard let text = element.text else {
                    throw element.wrongType(entry.key, "a value, or a mapping of names")
                }
                // What a name cannot have (the comma of `Haswell,-avx2`) is left out of it.
                values.append(Value(name: text.filter { YAMLNode.isName("a\($0)") }, node: element))
            }
        }
        var names: Set<String> = []
        for value in values where !names.insert(value.name).inserted {
            throw .duplicateName(value.node.place, kind: "\(entry.key) in 'grid'", name: value.name)
        }
        return values
    }
}
