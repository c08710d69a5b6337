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
    },
    Rule(name: "other-version-restores") { context in
        // A scenario may let another version restore than the one that dumped; what no rule knows is then theirs.
        guard context.stage.stage == .restore, [.refused, .failed].contains(context.stage.ending),
            let dumped = context.evidence.dump?.installedRuntime, let restored = context.stage.installedRuntime,
            dumped != restored
        else { return nil }
        let first = context.log.errors.first ?? ""
        return Diagnosis(
            rule: "other-version-restores", reason: .runtimeBehaviourChanged, confidence: .suspected,
            summary: "\(restored) on \(context.place) does not restore what \(dumped) dumped"
                + (first.isEmpty ? "" : ": \(Text.cut(first))"))
    },
    Rule(name: "lost-on-its-own-host") { context in
        // One host, one version: nothing differs but that there was a dump and a restore.
        guard context.isControl, context.cell.via.isEmpty, context.stage.stage == .verify,
            context.stage.ending == .workloadWrong, let restored = context.evidence.restore,
            context.evidence.dump?.installedRuntime == restored.installedRuntime
        else { return nil }
        let status = context.stage.workload?.status ?? ""
        return Diagnosis(
            rule: "lost-on-its-own-host", reason: .workloadUnsupported, confidence: .supported,
            summary:
                "\(context.cell.runtime.rawValue) does not carry all of \(context.cell.workload.rawValue) even on one "
                + "and the same host" + (status.isEmpty ? "" : ": \(Text.cut(status))"))
    },
    Rule(name: "fails-in-sandbox") { context in
        // Started by the runtime in a kernel of its own, and wrong before anything was dumped: nothing but that kernel
        // is new to it. That it is slow there says nothing.
        guard context.runtimeFamily == RuntimeFamily.runsc.rawValue, context.stage.endedBeforeDump else { return nil }
        let status = context.stage.workload?.status ?? ""
        return Diagnosis(
            rule: "fails-in-sandbox", reason: .workloadUnsupported, confidence: .supported,
            summary:
                "\(context.cell.workload.rawValue) does not work under \(context.cell.runtime.rawValue), before any "
                + "dump" + (status.isEmpty ? "" : ": \(Text.cut(status))"))
    },
]
