import CRModel

/// What only the workload's own checks show.
let workloadRules: [Rule] = [
    Rule(name: "count-instructions-differ") { context in
        // lzcnt and tzcnt are bsr and bsf with a prefix that older CPUs ignore: no fault, another result.
        guard context.stage.ending == .workloadWrong, context.comparesHosts, let difference = context.difference else {
            return nil
        }
        let lost = difference.instructionsLost.filter { $0 == "abm" || $0 == "bmi1" }
        guard !lost.isEmpty else { return nil }
        return Diagnosis(
            rule: "count-instructions-differ", reason: .cpuInstructionMissing, confidence: .suspected,
            summary: "\(context.cell.workload.rawValue) computed something wrong on \(context.destination), which "
                + "lacks \(Text.list(lost)) of \(context.source): lzcnt and tzcnt run there as bsr and bsf, without a "
                + "fault and with other results")
    }
]
