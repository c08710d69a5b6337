import CRModel

/// What the kernel of the host said about itself.
let kernelRules: [Rule] = [
    Rule(name: "kernel-oops") { context in
        let line = KernelLog.oops(context.stage.kernelLog)
        guard line != nil || context.stage.taints.contains("oops") else { return nil }
        let release = context.placeHost?.kernel.release ?? "unknown"
        return Diagnosis(
            rule: "kernel-oops", reason: .kernelOops, confidence: line == nil ? .suspected : .supported,
            summary: "the kernel \(release) of \(context.place) failed during \(context.stage.stage.rawValue)"
                + (line.map { ": \(Text.cut($0))" } ?? ""),
            evidence: line.map { [EvidenceItem(kind: "kernel-log", text: $0)] } ?? [])
    }
]
