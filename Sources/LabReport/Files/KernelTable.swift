import CRModel

/// What a run over several kernels says of each workload: restored on the same kernel, after an upgrade, after a
/// downgrade. The README's table is this.
enum KernelTable {
    static func render(_ results: Results) -> String {
        var table = Table(results)
        return table.text()
    }
}

/// A kernel release as numbers, to tell an upgrade from a downgrade.
private struct KernelVersion: Comparable {
    let numbers: [Int]
    let name: String

    /// - Parameter release: `6.12.90+deb13-amd64`; the first three numbers count.
    init(_ release: String) {
        numbers = release.split(separator: "-")[0..<min(1, release.split(separator: "-").count)]
            .flatMap { $0.split(separator: ".").prefix(3) }
            .compactMap { Int($0.prefix(while: \.isNumber)) }
        name = numbers.count < 2 ? release : "\(numbers[0]).\(numbers[1])"
    }

    static func < (a: KernelVersion, b: KernelVersion) -> Bool { a.numbers.lexicographicallyPrecedes(b.numbers) }
}

private struct Table {
    private enum Direction: CaseIterable {
        case same, upgrade, downgrade
    }

    private let results: Results
    private let hosts: [(name: HostName, kernel: KernelVersion)]
    private var footnotes: [String] = []
    private var footnoteNumbers: [String: Int] = [:]

    init(_ results: Results) {
        self.results = results
        hosts = results.hosts.map { ($0.key, KernelVersion($0.value.kernelRelease)) }
            .filter { !$0.kernel.numbers.isEmpty }
            .sorted { ($0.kernel, $0.name) < ($1.kernel, $1.name) }
    }

    mutating func text() -> String {
        let workloads = Dictionary(grouping: results.cells, by: \.cell.workload)
        let isObject = { (name: WorkloadName) in name.rawValue.hasPrefix("object-") }
        let names = workloads.keys.sorted { (isObject($0) ? 1 : 0, $0) < (isObject($1) ? 1 : 0, $1) }
        var lines = [
            "Each cell: same kernel, upgrade to any newer one, downgrade to any older one. ✓ restored and verified; [n] "
                + "refused by name, and ✗[n] broken, for the reason below; ? the lab failed; · there is none.",
            "",
            "| dumped on | " + hosts.map { Escape.markdown($0.kernel.name) }.joined(separator: " | ") + " |",
            "| --- |" + String(repeating: " --- |", count: hosts.count),
        ]
        for name in names {
            let cells = workloads[name] ?? []
            let columns = hosts.map { host in
                Direction.allCases.map { mark(cells, from: host, $0) }.joined(separator: " ")
            }
            lines.append("| \(Escape.markdown(Self.title(name))) | \(columns.joined(separator: " | ")) |")
        }
        if !footnotes.isEmpty { lines.append("") }
        for (index, footnote) in footnotes.enumerated() { lines.append("\(index + 1). \(footnote)") }
        lines += ["", summary()]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func title(_ name: WorkloadName) -> String {
        for (prefix, word) in [("object-", "object: "), ("app-", "application: ")]
        where name.rawValue.hasPrefix(prefix) {
            return word + name.rawValue.dropFirst(prefix.count).replacing("-", with: " ")
        }
        return "application: " + name.rawValue
    }

    private mutating func mark(
        _ cells: [CellResult], from host: (name: HostName, kernel: KernelVersion), _ direction: Direction
    ) -> String {
        let destinations = hosts.filter { other in
            switch direction {
            case .same: other.name == host.name
            case .upgrade: host.kernel < other.kernel
            case .downgrade: other.kernel < host.kernel
            }
        }
        guard !destinations.isEmpty else { return "·" }
        var marks: [String] = []
        for destination in destinations {
            func cell(to destination: HostName) -> CellResult? {
                cells.first { $0.cell.way == host.name && $0.cell.destination == destination }
            }
            // What already fails on its own host says nothing about another one.
            let control = cell(to: host.name).flatMap { [.refused, .broke].contains($0.outcome) ? $0 : nil }
            let mark = (control ?? cell(to: destination.name)).map { self.mark($0) } ?? "·"
            if !marks.contains(mark) { marks.append(mark) }
        }
        return marks.joined(separator: "/")
    }

    private mutating func mark(_ result: CellResult) -> String {
        switch result.outcome {
        case .restored: "✓"
        case .refused: "[\(footnote(result))]"
        case .broke: "✗[\(footnote(result))]"
        case nil: "?"
        }
    }

    /// One number for what differs only in hosts and in numbers, such as PIDs.
    private mutating func footnote(_ result: CellResult) -> Int {
        let reason = result.finding?.reason.rawValue ?? "unclassified"
        var summary = result.finding?.summary ?? "no finding"
        for host in results.hosts.keys.sorted().reversed() {
            summary = summary.replacing(" on \(host.rawValue)", with: "")
            summary = summary.replacing(host.rawValue, with: "the host")
        }
        let key = reason + summary.filter { !$0.isNumber }
        if let number = footnoteNumbers[key] { return number }
        footnotes.append("\(Escape.markdown(reason)): \(Escape.markdown(summary))")
        footnoteNumbers[key] = footnotes.count
        return footnotes.count
    }

    private func summary() -> String {
        let run = results.run
        let kernels = hosts.map { results.hosts[$0.name]?.kernelRelease ?? "" }.joined(separator: ", ")
        let counts =
            "\(run.counts.cells) cells: \(run.counts.restored) restored, \(run.counts.refused) refused, "
            + "\(run.counts.broke) broken, \(run.counts.misses) lab failures"
        return Escape.markdown(
            "Run \(run.id) of \(run.startedAt.prefix(10)) under \(run.accelerator): \(counts). Kernels: \(kernels).")
    }
}
