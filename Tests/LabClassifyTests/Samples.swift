import CRModel

/// Made-up hosts and stages for tests.
enum Samples {
    static let old = ["pni", "ssse3", "sse4_1", "sse4_2", "popcnt"]
    static let new = old + ["avx", "avx2", "bmi1", "bmi2", "fma", "movbe", "abm", "xsave", "erms"]

    static func host(
        features: [String] = new, xcr0: UInt64 = 7, kernel: String = "6.1.0", probe: [String: String] = [:],
        vdso: String = "aa", userland: String = "disk", runtimes: [String: String] = ["native": "0.1.0"],
        memory: UInt64 = 1 << 29
    ) -> HostFingerprint {
        HostFingerprint(
            cpu: CPUFingerprint(
                vendor: "GenuineIntel", brand: "test", family: 6, model: features.count, stepping: 1,
                features: features, xcr0: xcr0, xstateBytes: xcr0 == 0 ? 0 : 832, physicalAddressBits: 40,
                virtualAddressBits: 48, tscKilohertz: 2_000_000),
            kernel: KernelFingerprint(
                release: kernel, version: "#1", commandLine: "quiet", probe: probe, vdso: vdso, vdsoSymbols: []),
            userland: UserlandFingerprint(name: "Debian", libc: "2.36", diskImage: userland), runtimes: runtimes,
            memoryBytes: memory)
    }

    static func evidence(
        _ stage: StageEvidence, runtime: RuntimeName = "native", source: HostFingerprint = host(),
        destination: HostFingerprint = host(), from: HostName = "s", to: HostName = "d"
    ) -> AttemptEvidence {
        var evidence = AttemptEvidence(
            cell: Cell(runtime: runtime, workload: "w", source: from, destination: to), sourceHost: source,
            destinationHost: destination)
        let done = { StageEvidence(stage: $0, ending: .done) }
        switch stage.stage {
        case .dump: evidence.dump = stage
        case .restore: (evidence.dump, evidence.restore) = (done(.dump), stage)
        case .verify: (evidence.dump, evidence.restore, evidence.verify) = (done(.dump), done(.restore), stage)
        }
        return evidence
    }

    static func illegalInstruction(_ hex: String) -> StageEvidence {
        StageEvidence(
            stage: .verify, ending: .workloadDied, workload: WorkloadEvidence(signal: 4),
            faults: [
                FaultEvidence(
                    task: 7, comm: "w", signal: 4, instructionPointer: 0x1000, bytes: hex, mapping: "/lib/libc.so.6",
                    symbol: "f", symbolOffset: 1)
            ])
    }
}
