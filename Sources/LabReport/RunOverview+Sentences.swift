import CRModel

extension RunOverview {
    /// How the run as a whole went, for signs and colours; the same order of importance as the exit status.
    enum Tone: String {
        case good, bad, incomplete
    }

    var tone: Tone {
        if counts.unexpected > 0 || !untrueHosts.isEmpty
            || (counts.restored == 0 && counts.misses == 0 && counts.cells > 0)
        {
            return .bad
        }
        return counts.misses > 0 || counts.cells == 0 ? .incomplete : .good
    }

    /// The answer in one sentence.
    var answer: String {
        if counts.cells == 0 { return "The run has no cells." }
        if counts.unexpected > 0 {
            return counts.unexpected == 1
                ? "One outcome is not as expected."
                : "\(Words.grouped(counts.unexpected)) outcomes are not as expected."
        }
        if !untrueHosts.isEmpty {
            return
                "A damaged image was not refused on \(Words.list(untrueHosts, limit: 4)), so what was restored there "
                + "shows nothing."
        }
        if counts.restored == 0 { return "Nothing was restored, so the run shows nothing." }
        if counts.misses > 0 {
            return "The lab failed in \(Words.count(counts.misses, "cell")); all other outcomes are as expected."
        }
        return stated < counts.cells
            ? "No outcome contradicts its expectation." : "Every outcome is as expected."
    }

    /// The numbers behind it in one sentence.
    var numbers: String {
        var parts = ["\(Words.grouped(counts.restored)) of \(Words.count(counts.cells, "cell")) restored"]
        if counts.refused > 0 { parts.append("\(Words.grouped(counts.refused)) refused") }
        if counts.broke > 0 { parts.append("\(Words.grouped(counts.broke)) broke") }
        if counts.misses > 0 { parts.append(Words.count(counts.misses, "lab failure")) }
        if let flaky = counts.flaky { parts.append("\(Words.grouped(flaky)) flaky") }
        let main = groups.filter { $0.reason.category != .harness }.map(\.reason.rawValue)
        let causes = main.isEmpty ? "" : "; causes: " + Words.list(main, limit: 4)
        return Words.list(parts) + causes + "."
    }

    /// Hosts on which a runtime took a damaged image for whole, sorted.
    private var untrueHosts: [String] {
        let untrue = results.controls.filter { $0.kind == .knownFault && $0.passed == false }
        return Set(untrue.map(\.host.rawValue)).sorted()
    }

    /// Controls that leave outcomes in doubt, one sentence each. A same-host cell that fails as expected is none: somebody
    /// knows what it means.
    var failedControls: [String] {
        let others = results.controls.filter { $0.passed != true }.map { control in
            let about =
                control.runtime.map { "\($0) on \(control.host)" }
                ?? "\(control.workload?.rawValue ?? "") on \(control.host)"
            return "\(about): \(control.summary)."
        }
        let own = results.cells.filter { result in
            result.cell.isControl && result.outcome != .restored && result.outcome != nil && result.expected != true
        }.map { result in
            "\(result.cell.workload) with \(result.cell.runtime) on \(result.cell.source): it "
                + "\(result.outcome == .refused ? "was refused" : "broke") on its own host, so its other cells from there say nothing about theirs."
        }
        return others + own
    }

    /// Cells with an expectation.
    private var stated: Int { results.cells.count { $0.expectation != nil } }

    /// The workloads that a cause concerns.
    func workloads(of cluster: Cluster) -> String {
        Words.list(Set(cluster.cells.map { results.cells[$0].cell.workload.rawValue }).sorted(), limit: 12)
    }

    /// From where to where: `a and b → c` where every source met every destination, else the pairs.
    func pairs(of cluster: Cluster) -> String {
        let members = cluster.cells.map { results.cells[$0].cell }
        let sources = Set(members.map(\.way.rawValue)).sorted()
        let destinations = Set(members.map(\.destination.rawValue)).sorted()
        let pairs = Set(members.map(\.route)).sorted()
        guard pairs.count == sources.count * destinations.count else { return Words.list(pairs) }
        func side(_ names: [String]) -> String {
            names.count > 2 && names.count == results.hosts.count ? "every host" : Words.list(names)
        }
        return "\(side(sources)) → \(side(destinations))"
    }

    /// One cell to look at where the sentence of its cause leaves out what it met, with its instruction; `nil` where the
    /// sentence says all.
    func example(of cluster: Cluster) -> String? {
        guard let first = cluster.cells.first, cluster.detail == .gist else { return nil }
        let instruction = CauseText.instruction(cluster.finding).map { ": \($0)" } ?? ""
        return results.cells[first].cell.id + instruction
    }
}
