public import CRModel

/// What of a host can be put back to the source's value while everything else stays.
enum Factor: String, CaseIterable {
    case cpu, kernel, runtime, userland, memory

    var category: Category? {
        switch self {
        case .cpu: .cpu
        case .kernel: .kernel
        case .runtime: .runtimeVersion
        case .userland: .filesystem
        case .memory: nil
        }
    }

    var name: String {
        switch self {
        case .cpu: "CPU"
        case .kernel: "kernel"
        case .runtime: "runtime version"
        case .userland: "userland"
        case .memory: "memory size"
        }
    }

    func isEqual(_ one: HostFingerprint, _ other: HostFingerprint, runtime: String) -> Bool {
        switch self {
        case .cpu:
            let (left, right) = (one.cpu, other.cpu)
            return left.vendor == right.vendor && left.family == right.family && left.model == right.model
                && left.stepping == right.stepping && left.features == right.features && left.xcr0 == right.xcr0
                && left.xstateBytes == right.xstateBytes && left.virtualAddressBits == right.virtualAddressBits
                && left.physicalAddressBits == right.physicalAddressBits
        case .kernel:
            // Neither probes nor the vDSO's hash: both also depend on the CPU (its code is patched at boot).
            return one.kernel.isSameBuild(as: other.kernel)
        case .runtime: return one.runtimes[runtime] == other.runtimes[runtime]
        case .userland: return one.userland == other.userland
        case .memory: return one.memoryBytes == other.memoryBytes
        }
    }

    /// Factors in which two hosts differ.
    static func differing(_ one: HostFingerprint, _ other: HostFingerprint, runtime: String) -> Set<Factor> {
        Set(allCases.filter { !$0.isEqual(one, other, runtime: runtime) })
    }
}

/// Reads the finished matrix as a set of experiments.
///
/// A failing cell is compared with every cell of the same dump (runtime, workload, source host, spec) on another
/// destination that differs from the failing destination in exactly one factor, put back to the source host's value;
/// the control cell is one of them when source and destination differ in one factor only. If that cell restored, the
/// factor is the cause: *proven*. If it failed for the same reason, the factor is not: a finding that blames it falls
/// back to *suspected*. Reasons are never invented: an unclassified finding stays so and gains the proven factor as
/// evidence.
///
/// - Parameter hosts: What the hosts of the run really were; cells of hosts without a fingerprint are left alone.
/// - Returns: All cells, in which only findings have changed.
public func corroborate(
    _ judged: [Cell: Judgement], hosts: [HostName: HostFingerprint]
) -> [Cell: Judgement] {
    let byDump = Dictionary(grouping: judged.keys, by: \.dump)
    return Dictionary(
        uniqueKeysWithValues: judged.map { cell, judgement in
            let peers = (byDump[cell.dump] ?? []).filter { $0 != cell }.sorted()
            return (cell, corroborated(cell, judgement, peers, judged, hosts))
        })
}

private func corroborated(
    _ cell: Cell, _ judgement: Judgement, _ peers: [Cell], _ judged: [Cell: Judgement],
    _ hosts: [HostName: HostFingerprint]
) -> Judgement {
    guard !cell.isControl, judgement.stage != .dump, let outcome = judgement.outcome, outcome != .restored,
        var finding = judgement.finding,
        [.cpu, .kernel, .runtimeVersion, .filesystem, .unclassified].contains(
            finding.category),
        let source = hosts[cell.source], let destination = hosts[cell.destination]
    else { return judgement }
    let runtime = String(cell.runtime.rawValue.prefix { $0 != "-" })
    var guilty: [Factor: Cell] = [:]
    var acquitted: [Factor: Cell] = [:]
    for peer in peers {
        guard let other = hosts[peer.destination], let result = judged[peer], let peerOutcome = result.outcome else {
            continue
        }
        let changed = Factor.differing(destination, other, runtime: runtime)
        guard changed.count == 1, let factor = changed.first, factor.isEqual(other, source, runtime: runtime) else {
            continue
        }
        if peerOutcome == .restored {
            guilty[factor] = guilty[factor] ?? peer
        } else if result.stage == judgement.stage, peerOutcome == outcome, finding.reason != .unclassified,
            result.finding?.reason == finding.reason
        {
            acquitted[factor] = acquitted[factor] ?? peer
        }
    }
    // Restored in one such cell and failed in another means that the result is not stable: no proof either way.
    for factor in Factor.allCases where guilty[factor] != nil && acquitted[factor] != nil {
        guilty[factor] = nil
        acquitted[factor] = nil
    }

    var trail: [EvidenceItem] = []
    for factor in Factor.allCases {
        if let peer = guilty[factor] {
            trail.append(
                EvidenceItem(
                    kind: "experiment",
                    text:
                        "\(peer.id) restored: with only the \(factor.name) of \(cell.destination) put back to that of "
                        + "\(cell.source), it works"))
            if factor.category == finding.category { finding.confidence = .proven }
        } else if let peer = acquitted[factor] {
            trail.append(
                EvidenceItem(
                    kind: "experiment",
                    text: "\(peer.id) failed for the same reason although its \(factor.name) is that of "
                        + "\(cell.source): the \(factor.name) alone is not the cause"))
            if factor.category == finding.category { finding.confidence = .suspected }
        }
    }
    guard !trail.isEmpty else { return judgement }
    let proven = Factor.allCases.filter { guilty[$0] != nil }
    if let one = proven.first, proven.count == 1, let category = one.category, category != finding.category {
        if finding.reason == .unclassified {
            finding.summary =
                finding.summary.withoutFullStop + "; the \(one.name) of \(cell.destination) is the cause, by "
                + "experiment."
        } else {
            // The text points elsewhere than the experiment.
            finding.confidence = .suspected
        }
    }
    finding.evidence = Array((trail + finding.evidence).prefix(Limits.evidenceItems))
    return Judgement(outcome: outcome, stage: judgement.stage, health: judgement.health, finding: finding)
}
