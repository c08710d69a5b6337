import CRModel

/// Reads patterns and expectations, whose every name must be known.
struct PatternReader {
    let hosts: [HostName]
    let runtimes: [RuntimeName]
    /// All there are, not only the scenario's own: a rule may be written for more than one scenario selects.
    let workloads: [WorkloadName]
    let specs: [SpecName]
    /// What the name of a set stands for among the workloads.
    let sets: [String: [WorkloadName]]

    func patterns(_ node: YAMLNode?, _ key: String) throws(ScenarioError) -> [PlacedPattern] {
        guard let node else { return [] }
        var patterns: [PlacedPattern] = []
        for element in try node.elements(key) {
            patterns.append(PlacedPattern(try pattern(element, key), place: element.place))
        }
        return patterns
    }

    func pattern(_ node: YAMLNode, _ key: String) throws(ScenarioError) -> CellPattern {
        let fields = try Fields(node, of: ScenarioKeys.pattern, name: key)
        guard !fields.entries.isEmpty else {
            throw node.invalid(
                key, "a pattern with at least one of \(CellPattern.keys.joined(separator: ", "))", value: "{}")
        }
        var pattern = CellPattern()
        for entry in fields.entries {
            switch entry.key {
            case "runtime": pattern.runtimes = try names(entry, runtimes)
            case "workload": pattern.workloads = try names(entry, workloads, sets: sets)
            case "source": pattern.sources = try names(entry, hosts, kind: "host")
            case "destination": pattern.destinations = try names(entry, hosts, kind: "host")
            case "spec": pattern.specs = try names(entry, specs)
            case "via": pattern.via = try names(entry, hosts, kind: "host")
            case "chain": pattern.chain = try entry.value.bool(entry.key)
            default: pattern.control = try entry.value.bool(entry.key)
            }
        }
        return pattern
    }

    func expectations(_ node: YAMLNode?) throws(ScenarioError) -> [ExpectationRule] {
        guard let node else { return [] }
        var rules: [ExpectationRule] = []
        for element in try node.elements("expect") { rules.append(try expectation(element)) }
        return rules
    }

    private func expectation(_ node: YAMLNode) throws(ScenarioError) -> ExpectationRule {
        let fields = try Fields(node, of: ScenarioKeys.expectation, name: "expect")
        let outcomeNode = try fields.required("outcome")
        let outcomeText = try outcomeNode.string("outcome")
        guard let outcome = Outcome(rawValue: outcomeText) else {
            throw .unknownName(
                outcomeNode.place, kind: "outcome", name: outcomeText, known: Outcome.allCases.map(\.rawValue))
        }
        var reason: Reason?
        if let node = fields["reason"] {
            reason = try self.reason(node)
            guard outcome != .restored else { throw node.invalid("reason", "absent where 'outcome' is 'restored'") }
        }
        let because = try fields.required("because").string("because")
        var expires: CalendarDate?
        if let node = fields["expires"] {
            guard let date = CalendarDate(try node.string("expires")) else {
                throw node.invalid("expires", "a day such as 2027-06-30")
            }
            expires = date
        }
        return ExpectationRule(
            pattern: try fields["match"].map { node throws(ScenarioError) in try pattern(node, "match") }
                ?? CellPattern(),
            expectation: Expectation(
                outcome: outcome, reason: reason, because: because, expires: expires?.description),
            expires: expires, place: node.place)
    }

    private func reason(_ node: YAMLNode) throws(ScenarioError) -> Reason {
        let text = try node.string("reason")
        // The lab's own failures are no outcome, so that nobody can expect them.
        let known = Reason.allCases.filter { $0.category != .harness }
        guard let reason = Reason(rawValue: text), reason.category != .harness else {
            throw .unknownName(node.place, kind: "reason", name: text, known: known.map(\.rawValue))
        }
        return reason
    }

    private func names<Value: Name>(
        _ entry: YAMLNode.Entry, _ known: [Value], sets: [String: [Value]] = [:], kind: String? = nil
    ) throws(ScenarioError) -> [Value] {
        try entry.value.choice(
            entry.key, kind: kind ?? entry.key, among: known.map(\.rawValue),
            sets: sets.mapValues { $0.map(\.rawValue) }
        ).map(Value.init(rawValue:))
    }
}
