import CRModel

/// One attempt as the rules see it: the failing stage, the two hosts and what is derived from them once.
struct AttemptContext {
    let evidence: AttemptEvidence
    let stage: StageEvidence
    let control: Judgement?
    /// `nil` when one of the hosts never answered.
    let difference: HostDifference?
    let log: ErrorLog
    /// Faults as the agent saw them, or else as the kernel printed them.
    let faults: [DecodedFault]

    init(evidence: AttemptEvidence, stage: StageEvidence, control: Judgement?) {
        self.evidence = evidence
        self.stage = stage
        self.control = control
        if let source = evidence.sourceHost, let destination = evidence.destinationHost {
            difference = HostDifference(source: source, destination: destination)
        } else {
            difference = nil
        }
        log = ErrorLog(stage.log)
        let seen = stage.faults.isEmpty ? KernelLog.illegalInstructions(stage.kernelLog) : stage.faults
        faults = DecodedFault.located(seen)
    }

    var cell: Cell { evidence.cell }
    var source: String { cell.source.rawValue }
    var destination: String { cell.destination.rawValue }
    /// Where the failing stage ran.
    var place: String { stage.stage == .dump ? source : destination }
    var placeHost: HostFingerprint? { stage.stage == .dump ? evidence.sourceHost : evidence.destinationHost }
    var isControl: Bool { cell.isControl }
    /// A dump that failed never met the destination host, so no difference between the hosts can explain it.
    var comparesHosts: Bool { !isControl && stage.stage != .dump }

    /// `native`, `criu` or `runsc`, whatever version follows.
    var runtimeFamily: String { String(cell.runtime.rawValue.prefix { $0 != "-" }) }

    /// Texts in which a cause may be named, most direct first.
    var texts: [String] {
        let workload = stage.workload
        var all = [stage.refusal?.message, workload?.status].compactMap { $0 }
        // CRIU's other lines tell of its attempts and probes, and hold error numbers that mean nothing.
        all += log.errors + (runtimeFamily == "criu" && !log.errors.isEmpty ? [] : log.others)
        all += (workload?.stderrTail ?? "").split(separator: "\n").map { $0.trimmed }
        return all.filter { !$0.isEmpty }
    }

    /// The signal that ended the workload, or else the runtime: also when a shell reported it as 128 + number.
    var deathSignal: Int? {
        for signal in [stage.workload?.signal, stage.signal] { if let signal { return signal } }
        if let status = stage.workload?.exitStatus, (129...159).contains(status) { return status - 128 }
        return nil
    }

    /// What can be seen from outside, as the start of a summary.
    var symptom: String {
        let workload = cell.workload.rawValue
        let runtime = cell.runtime.rawValue
        let verb = stage.stage == .dump ? "dump" : "restore"
        switch stage.ending {
        case .done: return "\(stage.stage.rawValue) on \(place) succeeded"
        case .refused, .failed:
            let how = stage.signal.map { "died of \(Text.signal($0))" } ?? (engineError == nil ? "refused" : "failed")
            let first = log.errors.first ?? stage.refusal?.message ?? engineError
            return "\(runtime) \(how) at \(verb) on \(place)" + (first.map { ": \(Text.cut($0))" } ?? "")
        case .hung: return "\(runtime) hung at \(verb) on \(place)"
        case .workloadDied:
            let how = deathSignal.map { "died of \(Text.signal($0))" } ?? "ended"
            return "\(workload) \(how) on \(place)" + (faults.first.map { " in \($0.location)" } ?? statusText)
        case .workloadHung: return "\(workload) made no progress on \(place)"
        case .workloadWrong: return "\(workload) found its state wrong on \(place)" + statusText
        }
    }

    private var statusText: String {
        guard let status = stage.workload?.status, status.hasPrefix("failed") else { return "" }
        return " (\(Text.cut(status)))"
    }

    /// What the engine says of a failure that it did not foresee; `nil` when it ended in another way.
    var engineError: String? {
        guard stage.isEngineFailure else { return nil }
        let line = log.others.last { $0.hasPrefix("crengine: ") }
        return line.map { String($0.dropFirst("crengine: ".count)) } ?? "without a word"
    }

    /// Raises a suspicion when the hosts differ in what it blames; both pieces of evidence then agree.
    func confidence(for category: Category) -> Confidence {
        guard comparesHosts, difference?.differs(in: category) == true else { return .suspected }
        return .supported
    }

    /// What a failing control says about this cell; `nil` when it does not decide.
    var inheritedFromControl: Diagnosis? {
        guard !isControl, let control, let outcome = control.outcome, outcome != .restored else { return nil }
        let item = EvidenceItem(
            kind: "control",
            text: "the control cell \(source) to \(source) \(outcome == .refused ? "was refused" : "broke")"
                + (control.stage.map { " at \($0.rawValue)" } ?? "")
                + (control.finding.map { ": \($0.summary)" } ?? ""))
        let known = control.finding.map { $0.reason != .unclassified } ?? false
        if known, let finding = control.finding {
            return Diagnosis(
                rule: "control-cause", reason: finding.reason, confidence: finding.confidence,
                summary: "already on its own host: \(finding.summary.withoutFullStop)",
                remedy: finding.remedy, evidence: [item])
        }
        return Diagnosis(
            rule: "control-failed", reason: .workloadUnsupported, confidence: .supported,
            summary: "\(cell.workload.rawValue) does not survive \(cell.runtime.rawValue) on \(source) itself either, "
                + "so this says nothing about \(destination)", evidence: [item])
    }

    /// The finding with all evidence, relevant items first, bounded.
    func finding(_ diagnosis: Diagnosis) -> Finding {
        var items = diagnosis.evidence
        if stage.stage != .dump, !isControl, diagnosis.reason.category != .harness, control == nil {
            items.append(EvidenceItem(kind: "control", text: "no control cell was judged, so nothing is certain"))
        } else if control?.outcome == .restored {
            items.append(
                EvidenceItem(kind: "control", text: "the control cell \(source) to \(source) restored and verified"))
        } else if let control, control.health == .miss {
            items.append(EvidenceItem(kind: "control", text: "the control cell could not be evaluated: lab failure"))
        }
        if comparesHosts, evidence.workloadAlone?.ending == .done {
            items.append(
                EvidenceItem(
                    kind: "control",
                    text: "\(cell.workload.rawValue) works on \(destination) where it is neither dumped nor restored"))
        }
        items += baseEvidence
        if comparesHosts, let difference {
            items += difference.facts(first: diagnosis.reason.category, limit: Limits.differences).map {
                EvidenceItem(kind: $0.category.differenceKind, text: $0.text)
            }
        }
        var seen: Set<EvidenceItem> = []
        items = items.map { EvidenceItem(kind: $0.kind, text: Text.cut($0.text)) }
            .filter { !$0.text.isEmpty && seen.insert($0).inserted }
        // A restore that was never shown to work on its own host cannot tell the two hosts apart.
        let uncertain = comparesHosts && control?.outcome != .restored && diagnosis.rule.hasPrefix("control") == false
        return Finding(
            reason: diagnosis.reason,
            confidence: uncertain && diagnosis.reason.category != .harness ? .suspected : diagnosis.confidence,
            summary: Text.sentence(diagnosis.summary), remedy: diagnosis.remedy,
            evidence: Array(items.prefix(Limits.evidenceItems)))
    }

    /// What was left behind, in the order in which people look.
    private var baseEvidence: [EvidenceItem] {
        var items: [EvidenceItem] = []
        if let refusal = stage.refusal {
            items.append(EvidenceItem(kind: "refusal", text: refusal.text))
        }
        if let signal = deathSignal {
            items.append(EvidenceItem(kind: "signal", text: Text.signal(signal)))
        }
        items += faults.prefix(3).flatMap(\.evidence)
        items += (log.errors + log.noise).prefix(Limits.logLines).map { EvidenceItem(kind: "runtime-log", text: $0) }
        if log.errors.isEmpty, stage.ending == .refused || stage.ending == .failed {
            items += log.others.suffix(Limits.logLines).map { EvidenceItem(kind: "runtime-log", text: $0) }
        }
        items += stage.kernelLog.suffix(Limits.kernelLines).map { EvidenceItem(kind: "kernel-log", text: $0) }
        if let workload = stage.workload {
            items.append(EvidenceItem(kind: "workload", text: workload.status))
            let output = workload.stderrTail.split(separator: "\n").suffix(4).joined(separator: "\n")
            items.append(EvidenceItem(kind: "workload", text: output))
        }
        return items
    }
}

extension StageEvidence {
    /// The runtime as guests have it, by the folder that its command names; `nil` for the bundled engine.
    var installedRuntime: String? {
        let words = (command.first ?? "").split(separator: "/")
        guard let index = words.firstIndex(of: "runtimes"), index + 1 < words.count else { return nil }
        return String(words[index + 1])
    }

    /// Whether the runtime is crlab's own engine, and gave up for a reason that it does not know as a refusal.
    var isEngineFailure: Bool { ending == .failed && exitStatus == 70 && (command.first ?? "").hasSuffix("crengine") }
}

extension Category {
    /// The evidence kind of a host difference that belongs to this category.
    var differenceKind: String {
        switch self {
        case .cpu: "cpu-difference"
        case .kernel: "kernel-difference"
        case .runtimeVersion: "runtime-difference"
        default: "file-difference"
        }
    }
}

extension Refusal {
    /// One line with object, task and differences.
    var text: String {
        let about = [task.map { "task \($0)" }, object.isEmpty ? nil : object].compactMap { $0 }
        return "\(reason): \(message)" + (about.isEmpty ? "" : " (\(about.joined(separator: ", ")))")
            + (differences.isEmpty ? "" : ": " + Text.list(differences, limit: 24))
    }
}

extension String {
    var withoutFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
