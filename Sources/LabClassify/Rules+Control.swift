import CRModel

/// A workload that does not work on the destination host even by itself says nothing about a restore there.
let controlRules: [Rule] = [
    Rule(name: "control-destination") { context in
        guard context.comparesHosts, let alone = context.evidence.workloadAlone, alone.ending != .done else {
            return nil
        }
        let (workload, destination) = (context.cell.workload.rawValue, context.destination)
        let seen = AttemptContext(
            evidence: AttemptEvidence(cell: context.cell, verify: alone), stage: alone, control: nil
        ).symptom
        return Diagnosis(
            rule: "control-destination", reason: .workloadUnsupported, confidence: .supported,
            summary: "\(workload) does not work on \(destination) even without dump and restore, so this says nothing "
                + "about restoring it there",
            evidence: [
                EvidenceItem(kind: "control", text: "started on \(destination) itself: \(seen)"),
                EvidenceItem(kind: "control", text: "restored there: \(context.symptom)"),
            ])
    }
]
