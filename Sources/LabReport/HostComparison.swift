import CRModel

/// What the hosts of a run have in common and where they differ.
struct HostComparison {
    /// One feature or probe, and its value on each host; `nil` where the host never answered.
    struct Row {
        let name: String
        let values: [String?]
    }

    /// Hosts that answered, in the order of their names.
    let hosts: [HostName]
    let commonFeatures: [String]
    /// Features that some hosts have and some lack: `yes` or empty.
    let features: [Row]
    /// Kernel probes with different answers.
    let probes: [Row]
    let commonProbes: Int

    init(_ all: [HostName: HostResult]) {
        let answered = all.compactMap { name, host in host.fingerprint.map { (name: name, print: $0) } }
            .sorted { $0.name < $1.name }
        hosts = answered.map(\.name)
        let sets = answered.map { Set($0.print.cpu.features) }
        let union = sets.reduce(into: Set<String>()) { $0.formUnion($1) }
        let common = sets.dropFirst().reduce(sets.first ?? []) { $0.intersection($1) }
        commonFeatures = common.sorted()
        features = union.subtracting(common).sorted().map { name in
            Row(name: name, values: sets.map { $0.contains(name) ? "yes" : "" })
        }
        let names = answered.reduce(into: Set<String>()) { $0.formUnion($1.print.kernel.probe.keys) }
        let rows = names.sorted().map { name in
            Row(name: name, values: answered.map { $0.print.kernel.probe[name] ?? "" })
        }
        probes = rows.filter { Set($0.values).count > 1 }
        commonProbes = rows.count - probes.count
    }
}
