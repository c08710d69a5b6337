import CRModel

/// What the runtime itself states machine-readably.
let refusalRules: [Rule] = [
    Rule(name: "stated-refusal") { context in
        guard let refusal = context.stage.refusal else { return nil }
        let item = EvidenceItem(kind: "refusal", text: refusal.text)
        guard let reason = Reason(rawValue: refusal.reason), reason.category != .harness else {
            return Diagnosis(
                rule: "stated-refusal", reason: .unclassified, confidence: .suspected,
                summary: "\(context.symptom), giving the reason \(refusal.reason) that this crlab does not know",
                evidence: [item])
        }
        let what = [refusal.message.withoutFullStop, refusal.object].filter { !$0.isEmpty }.joined(separator: ", ")
        let differences = refusal.differences.isEmpty ? "" : ": " + Text.list(refusal.differences)
        var diagnosis = Diagnosis(
            rule: "stated-refusal", reason: reason, confidence: .supported,
            summary: "\(context.cell.runtime.rawValue) refused on \(context.place): \(what)\(differences)",
            evidence: [item])
        if reason.category == .cpu, context.comparesHosts, let difference = context.difference {
            // A refusal is a statement, not a fact: it is checked against what the two hosts really have.
            let real = Set(difference.instructionsLost).union(difference.otherFeaturesLost)
            let named = refusal.differences.filter(real.contains)
            if !named.isEmpty {
                diagnosis.summary =
                    "\(context.destination) lacks \(Text.list(named)), which \(context.source) has: "
                    + refusal.message.withoutFullStop
            } else if !difference.differs(in: .cpu) {
                diagnosis.confidence = .suspected
                diagnosis.evidence.append(
                    EvidenceItem(kind: "cpu-difference", text: "none: both hosts show the same CPU"))
            }
        }
        return diagnosis
    }
]
