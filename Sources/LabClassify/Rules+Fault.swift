import CRModel

/// What a task that died of a fault was executing, against what both hosts have.
let faultRules: [Rule] = [
    Rule(name: "instruction-missing") { context in
        for decoded in context.faults where decoded.fault.signal == 4 {
            if let diagnosis = instructionMissing(decoded, context) { return diagnosis }
        }
        return nil
    },
    Rule(name: "state-component-missing") { context in
        for decoded in context.faults where decoded.fault.signal == 4 || decoded.fault.signal == 11 {
            guard context.comparesHosts, let needed = decoded.instruction?.requiredState, needed != 0,
                let source = context.evidence.sourceHost?.cpu, let destination = context.evidence.destinationHost?.cpu,
                needed & ~source.xcr0 == 0, needed & ~destination.xcr0 != 0
            else { continue }
            return Diagnosis(
                rule: "state-component-missing", reason: .cpuXstateMissing, confidence: .supported,
                summary: "\(decoded.instructionText) in \(decoded.location) needs the state "
                    + "\(Text.list(XState.names(needed & ~destination.xcr0))), which \(context.destination) has not "
                    + "enabled and \(context.source) has", evidence: decoded.evidence)
        }
        return nil
    },
    Rule(name: "state-area-size") { context in
        for decoded in context.faults where decoded.fault.signal == 11 || decoded.fault.signal == 7 {
            let saves = decoded.instruction.map { $0.mnemonic.hasPrefix("xsave") || $0.mnemonic.hasPrefix("xrstor") }
            guard context.comparesHosts, saves == true || decoded.fault.symbol.hasPrefix("_dl_runtime_resolve_xsave"),
                let source = context.evidence.sourceHost?.cpu, let destination = context.evidence.destinationHost?.cpu
            else { continue }
            if source.xcr0 & ~destination.xcr0 != 0 {
                let lost = XState.names(source.xcr0 & ~destination.xcr0)
                return Diagnosis(
                    rule: "state-area-size", reason: .cpuXstateMissing, confidence: .supported,
                    summary: "\(decoded.instructionText) in \(decoded.location) failed on \(context.destination), "
                        + "which has not enabled the state \(Text.list(lost)) of \(context.source)",
                    evidence: decoded.evidence)
            }
            guard source.xstateBytes != destination.xstateBytes else { continue }
            return Diagnosis(
                rule: "state-area-size", reason: .cpuXstateSize, confidence: .supported,
                summary: "\(decoded.instructionText) in \(decoded.location) failed on \(context.destination), whose "
                    + "extended state takes \(destination.xstateBytes) bytes; it takes \(source.xstateBytes) on "
                    + context.source, evidence: decoded.evidence)
        }
        return nil
    },
    Rule(name: "vdso-fault") { context in
        guard context.comparesHosts, let source = context.evidence.sourceHost?.kernel,
            let destination = context.evidence.destinationHost?.kernel, source.vdso != destination.vdso,
            !source.isSameBuild(as: destination)
        else { return nil }
        // A jump to an address without a mapping also looks like a call into a vDSO that is gone, and like any other
        // wild jump: only a fault inside the mapping counts.
        let inside = context.faults.first {
            [4, 7, 11].contains($0.fault.signal)
                && ($0.fault.mapping == "[vdso]" || $0.fault.mapping.hasPrefix("[vvar"))
        }
        guard let inside else { return nil }
        return Diagnosis(
            rule: "vdso-fault", reason: .kernelVDSO, confidence: .supported,
            summary: "\(context.cell.workload.rawValue) died in \(inside.fault.mapping) on \(context.destination), "
                + "whose kernel \(destination.release) has another vDSO than \(source.release) on \(context.source)",
            evidence: inside.evidence)
    },
    Rule(name: "abort-trap") { context in
        guard let decoded = context.faults.first(where: { $0.instruction?.isTrap == true }) else { return nil }
        return Diagnosis(
            rule: "abort-trap", reason: .unclassified, confidence: .suspected,
            summary: "\(decoded.fault.comm) stopped itself with \(decoded.instructionText) in \(decoded.location) on "
                + "\(context.place); an abort trap says nothing about the CPU", evidence: decoded.evidence)
    },
    Rule(name: "illegal-instruction-unread") { context in
        // Only where the instruction could not be read at all: one that was read and is no lost one acquits the CPU.
        let unread = context.faults.allSatisfy { $0.fault.signal != 4 || $0.fault.bytes.isEmpty }
        let died = context.deathSignal == 4 || context.faults.contains { $0.fault.signal == 4 }
        guard context.comparesHosts, unread, died, let difference = context.difference,
            !difference.instructionsLost.isEmpty
        else { return nil }
        return Diagnosis(
            rule: "illegal-instruction-unread", reason: .cpuInstructionMissing, confidence: .suspected,
            summary: "\(context.cell.workload.rawValue) died of SIGILL on \(context.destination), which lacks "
                + "\(Text.list(difference.instructionsLost)) of \(context.source); the instruction could not be read")
    },
]

/// A decoded SIGILL against both hosts' feature lists.
private func instructionMissing(_ decoded: DecodedFault, _ context: AttemptContext) -> Diagnosis? {
    guard let instruction = decoded.instruction, !instruction.isTrap, let host = context.placeHost else { return nil }
    let lacking = instruction.requiredFeatures.filter { !host.cpu.features.contains($0) }
    guard !lacking.isEmpty else { return nil }
    let fact =
        "\(context.place) lacks \(Text.list(lacking)), which \(instruction.text) [\(instruction.isaExtension)] in "
        + decoded.location
    if context.comparesHosts, let source = context.evidence.sourceHost {
        let had = lacking.filter(source.cpu.features.contains)
        if had.isEmpty {
            // The source host could not have run it either, so it is no difference between the hosts.
            return Diagnosis(
                rule: "instruction-on-neither", reason: .unclassified, confidence: .suspected,
                summary: "\(fact) needs, but \(context.source) lacks it too", evidence: decoded.evidence)
        }
        return Diagnosis(
            rule: "instruction-missing", reason: .cpuInstructionMissing, confidence: .supported,
            summary: "\(context.place) lacks \(Text.list(had)), which \(context.source) has and \(instruction.text) "
                + "[\(instruction.isaExtension)] in \(decoded.location) needs", evidence: decoded.evidence)
    }
    return Diagnosis(
        rule: "instruction-missing", reason: context.isControl ? .unclassified : .cpuInstructionMissing,
        confidence: .suspected, summary: "\(fact) needs", evidence: decoded.evidence)
}
