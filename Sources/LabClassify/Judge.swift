public import CRModel

/// Classifies one attempt. Pure: the same evidence gives the same judgement, on any machine and without any VM.
///
/// - Parameter control: The judgement of the control cell (same runtime, workload and spec, restored on the source host
///   itself); `nil` for the control cell itself, or when it was not run. Without it nothing is more than suspected.
/// - Returns: Never an outcome when the lab failed.
public func judge(_ evidence: AttemptEvidence, control: Judgement? = nil) -> Judgement {
    if let failure = evidence.labFailure { return lost(failure, evidence) }
    let stages = [evidence.dump, evidence.restore, evidence.verify].compactMap { $0 }
    guard let stage = stages.first(where: { $0.ending != .done }) else {
        if evidence.verify != nil { return .restored }
        let reached = stages.last.map { "the stage \($0.stage.rawValue)" } ?? "no stage"
        return lost(
            LabFailure(
                reason: .harnessAgent, summary: "the record of the attempt ends after \(reached) without a failure"),
            evidence)
    }

    let context = AttemptContext(evidence: evidence, stage: stage, control: control)
    let diagnosis = diagnose(context)
    let finding = context.finding(diagnosis)
    // A rule may find that the lab is to blame (its own disk full, its PIDs not kept free, its image cut).
    if finding.category == .harness {
        return Judgement(outcome: nil, stage: stage.stage, health: .miss, finding: finding)
    }
    return Judgement(
        outcome: outcome(of: stage), stage: stage.stage, health: health(of: stage), finding: finding)
}

/// A runtime that ends by itself with a failure said no; one that crashes or hangs said nothing, and is not trusted to
/// have refused.
private func outcome(of stage: StageEvidence) -> Outcome {
    switch stage.ending {
    case .done: .restored
    case .refused: .refused
    case .failed: stage.signal == nil ? .refused : .broke
    case .hung, .workloadDied, .workloadHung, .workloadWrong: .broke
    }
}

private func health(of stage: StageEvidence) -> Health {
    let crashed = stage.ending == .failed && stage.signal != nil
    return stage.ending == .hung || crashed || stage.isEngineFailure ? .error : .ok
}

private func lost(_ failure: LabFailure, _ evidence: AttemptEvidence) -> Judgement {
    // Whatever name the failure carries, it is the lab's: an incompatibility must not come in by this door.
    let reason = failure.reason.category == .harness ? failure.reason : .harnessAgent
    let console = failure.consoleTail.split(separator: "\n").suffix(Limits.consoleLines).joined(separator: "\n")
    let stage = [evidence.verify, evidence.restore, evidence.dump].compactMap { $0 }.first?.stage
    return Judgement(
        outcome: nil, stage: stage, health: .miss,
        finding: Finding(
            reason: reason, confidence: .supported, summary: Text.sentence(failure.summary),
            evidence: console.isEmpty ? [] : [EvidenceItem(kind: "console", text: console)]))
}

/// First rule that knows.
private func diagnose(_ context: AttemptContext) -> Diagnosis {
    if let inherited = context.inheritedFromControl { return inherited }
    for rule in Rule.table {
        if let diagnosis = rule.match(context) { return diagnosis }
    }
    return Diagnosis(
        rule: "unknown", reason: .unclassified, confidence: .suspected, summary: context.symptom + "; no rule knows why"
    )
}
