import CRModel

/// Error numbers in whatever was printed: weak on their own, so hosts must differ in what they stand for to count as
/// more than a suspicion.
let errnoRules: [Rule] = [
    Rule(name: "system-call-missing") { context in
        guard let line = context.texts.first(where: Errno.isNoSystemCall) else { return nil }
        let evidence = [EvidenceItem(kind: "runtime-log", text: line)]
        let release = context.placeHost?.kernel.release ?? "unknown"
        let failing = context.placeHost?.kernel.probe.filter { $0.value == "ENOSYS" }.keys.sorted() ?? []
        let named = failing.filter { line.holds($0) }
        if !named.isEmpty {
            return Diagnosis(
                rule: "system-call-missing", reason: .kernelSyscallMissing, confidence: .supported,
                summary: "the kernel \(release) of \(context.place) has no \(Text.list(named))", evidence: evidence)
        }
        let lost = context.comparesHosts ? (context.difference?.probesLost ?? []).filter(failing.contains) : []
        return Diagnosis(
            rule: "system-call-missing", reason: .kernelSyscallMissing, confidence: .suspected,
            summary: "a system call is missing in the kernel \(release) of \(context.place)"
                + (lost.isEmpty ? "" : ", which unlike \(context.source) has no \(Text.list(lost))"),
            evidence: evidence)
    },
    Rule(name: "kernel-feature-probe") { context in
        // A line that names a probe which only this host's kernel answers with an error.
        guard context.comparesHosts, let difference = context.difference, let host = context.placeHost else {
            return nil
        }
        for probe in difference.probesLost where probe.count > 3 {
            guard let line = context.texts.first(where: { $0.holds(probe) && $0.holds("rror") }) else { continue }
            return Diagnosis(
                rule: "kernel-feature-probe", reason: .kernelFeatureMissing, confidence: .supported,
                summary: "the kernel \(host.kernel.release) of \(context.place) answers \(probe) with "
                    + "\(host.kernel.probe[probe] ?? "an error"), that of \(context.source) with "
                    + "\(context.evidence.sourceHost?.kernel.probe[probe] ?? "ok")",
                evidence: [EvidenceItem(kind: "runtime-log", text: line)])
        }
        return nil
    },
    Rule(name: "limit") { context in
        if let line = context.texts.first(where: { Errno.isLimitInDisguise($0) || Errno.isNoFilesLeft($0) }) {
            return Diagnosis(
                rule: "limit", reason: .kernelLimit, confidence: .suspected,
                summary: "a system-wide limit of \(context.place) is used up: \(Text.cut(line))",
                evidence: [EvidenceItem(kind: "runtime-log", text: line)])
        }
        guard let line = context.texts.first(where: Errno.isTooManyFiles) else { return nil }
        return Diagnosis(
            rule: "limit", reason: .specRlimits, confidence: .suspected,
            summary: "the limit of open files on \(context.place) is too low: \(Text.cut(line))",
            evidence: [EvidenceItem(kind: "runtime-log", text: line)])
    },
    Rule(name: "no-space") { context in
        guard context.comparesHosts, let line = context.texts.first(where: Errno.isNoSpace) else { return nil }
        return Diagnosis(
            rule: "no-space", reason: .filesystemSpace, confidence: .supported,
            summary: "no space is left on a filesystem of \(context.destination): \(Text.cut(line))",
            evidence: [EvidenceItem(kind: "runtime-log", text: line)])
    },
    Rule(name: "read-only") { context in
        guard context.comparesHosts, let line = context.texts.first(where: Errno.isReadOnly) else { return nil }
        return Diagnosis(
            rule: "read-only", reason: .filesystemReadOnly, confidence: .supported,
            summary: "a filesystem of \(context.destination) is read-only: \(Text.cut(line))",
            evidence: [EvidenceItem(kind: "runtime-log", text: line)])
    },
    Rule(name: "file-missing") { context in
        // Only where the workload itself or the engine says it: other programs print ENOENT for many harmless things.
        let direct = [context.stage.workload?.status].compactMap { $0 } + (context.isNative ? context.texts : [])
        guard context.comparesHosts, let line = direct.first(where: Errno.isNoFile) else { return nil }
        return Diagnosis(
            rule: "file-missing", reason: .filesystemMissing, confidence: context.confidence(for: .filesystem),
            summary: "a file is not there on \(context.destination): \(Text.cut(line))",
            evidence: [EvidenceItem(kind: "workload", text: line)])
    },
    Rule(name: "command-not-found") { context in
        // Exit status of a shell or launcher that could not find or start the runtime.
        guard context.stage.exitStatus == 127, context.stage.stage != .verify else { return nil }
        return Diagnosis(
            rule: "command-not-found", reason: .runtimeDependency, confidence: .suspected,
            summary: "\(context.cell.runtime.rawValue) could not be started on \(context.place)")
    },
]
