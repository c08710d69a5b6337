import CRModel

/// What hosts differ in: every member of their specification but the name.
struct HostFactors: Sendable {
    /// The factors that have more than one value among the hosts, sorted.
    let names: [String]
    /// Each host's value for each of ``names``, as a number that is equal for equal values.
    let values: [HostName: [Int]]

    init(_ hosts: [HostSpec]) {
        var texts: [(HostName, [String: String])] = []
        for host in hosts {
            // Every member is a factor, also one that is added later. Our own value always becomes JSON.
            let members = (try? JSONCoder.encode(host))?.members ?? [:]
            texts.append((host.name, members.filter { $0.key != "name" }.mapValues { $0.serialized() }))
        }
        var numbers: [String: [String: Int]] = [:]
        for name in Set(texts.flatMap(\.1.keys)) {
            let known = Set(texts.map { $0.1[name] ?? "" }).sorted()
            numbers[name] = Dictionary(uniqueKeysWithValues: known.enumerated().map { ($1, $0) })
        }
        let varying = numbers.filter { $0.value.count > 1 }.keys.sorted()
        names = varying
        values = Dictionary(
            texts.map { host, members in (host, varying.map { numbers[$0]?[members[$0] ?? ""] ?? 0 }) },
            uniquingKeysWith: { first, _ in first })
    }

    /// In how many factors two hosts differ.
    func difference(_ left: HostName, _ right: HostName) -> Int {
        zip(values[left] ?? [], values[right] ?? []).count { $0 != $1 }
    }
}

extension HostPair {
    /// The pairs of a reference host with every host that differs from it in exactly one factor, in both directions.
    static func oneFactor(around reference: HostName, hosts: [HostSpec]) -> [HostPair] {
        let factors = HostFactors(hosts)
        let near = hosts.map(\.name).filter { factors.difference($0, reference) == 1 }
        return near.flatMap {
            [HostPair(source: reference, destination: $0), HostPair(source: $0, destination: reference)]
        }
    }
}
