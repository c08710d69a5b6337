import CRModel

/// Failures that look like the experiment's and are the lab's: they come first, because nothing may turn them into an
/// incompatibility.
let labRules: [Rule] = [
    Rule(name: "guest-out-of-memory") { context in
        guard let line = KernelLog.outOfMemory(context.stage.kernelLog) else { return nil }
        let item = EvidenceItem(kind: "kernel-log", text: line)
        if line.holds("Memory cgroup") {
            return Diagnosis(
                rule: "guest-out-of-memory", reason: .specCgroup, confidence: .supported,
                summary: "the memory limit of the cgroup on \(context.place) is too small for "
                    + context.cell.workload.rawValue, evidence: [item])
        }
        // A destination that was given less memory on purpose is an experiment without a name in the taxonomy.
        if context.comparesHosts, let source = context.evidence.sourceHost,
            let destination = context.evidence.destinationHost, destination.memoryBytes < source.memoryBytes
        {
            return Diagnosis(
                rule: "guest-out-of-memory", reason: .unclassified, confidence: .suspected,
                summary: "\(context.destination) ran out of memory; it has \(destination.memoryBytes >> 20) MiB, "
                    + "\(context.source) has \(source.memoryBytes >> 20) MiB", evidence: [item])
        }
        return Diagnosis(
            rule: "guest-out-of-memory", reason: .harnessSpace, confidence: .supported,
            summary: "the guest \(context.place) ran out of memory", evidence: [item])
    },
    Rule(name: "lab-disk-full") { context in
        guard let line = context.texts.first(where: Errno.isNoSpace), !Errno.isLimitInDisguise(line) else {
            return nil
        }
        // Before the destination is reached, and on the workload's own host, nothing but the lab chose the sizes; the
        // folder that holds the image is the lab's as well.
        let labs = context.stage.stage == .dump || context.isControl || line.holds(".img") || line.holds("/images/")
        guard labs else { return nil }
        return Diagnosis(
            rule: "lab-disk-full", reason: .harnessSpace, confidence: .supported,
            summary: "no space was left on the lab's own filesystem in \(context.place)",
            evidence: [EvidenceItem(kind: "runtime-log", text: line)])
    },
    Rule(name: "pid-in-use") { context in
        guard context.stage.stage == .restore else { return nil }
        let line = context.log.errors.first.flatMap { line in
            line.holds("Can't fork for") && line.holds("File exists")
                || line.holds("Pid ") && line.holds("do not match expected") ? line : nil
        }
        guard let text = line ?? (context.isNative && context.stage.exitStatus == 75 ? context.texts.first : nil) else {
            return nil
        }
        return Diagnosis(
            rule: "pid-in-use", reason: .harnessAgent, confidence: .supported,
            summary: "a PID that the dump needs was not kept free on \(context.place)",
            evidence: [EvidenceItem(kind: "runtime-log", text: text)])
    },
    Rule(name: "ends-by-itself") { context in
        // Nothing had touched the workload yet. In a sandbox it is the sandbox's kernel, and a fault has its own rules.
        guard context.stage.endedBeforeDump, context.stage.faults.isEmpty,
            context.runtimeFamily != RuntimeFamily.runsc.rawValue
        else { return nil }
        let text =
            [context.stage.workload?.status, context.stage.workload?.stderrTail].compactMap { $0 }
            .first { !$0.isEmpty && $0 != "verified" } ?? ""
        return Diagnosis(
            rule: "ends-by-itself", reason: .harnessWorkload, confidence: .supported,
            summary: "\(context.cell.workload.rawValue) ended by itself on \(context.place), before any dump"
                + (text.isEmpty ? "" : ": \(Text.cut(text))"))
    },
    Rule(name: "image-damaged") { context in
        // The engine has an exit status for an image that it cannot read, whose versions are a rule of their own; CRIU
        // says how its reading ended.
        let native =
            context.isNative && context.stage.exitStatus == 66 && !context.texts.contains { $0.holds("version") }
        let criu = context.log.errors.first.map { $0.holds("criu/image.c") && $0.holds("Unexpected EOF") } ?? false
        guard context.stage.stage == .restore, native || criu else { return nil }
        return Diagnosis(
            rule: "image-damaged", reason: .harnessImage, confidence: .supported,
            summary: "the image that reached \(context.place) is cut or damaged",
            evidence: context.texts.prefix(2).map { EvidenceItem(kind: "runtime-log", text: $0) })
    },
]

extension AttemptContext {
    var isNative: Bool { runtimeFamily == RuntimeName.native.rawValue }
}
