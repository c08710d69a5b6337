import CRModel
import LabClassify
import Testing

@Suite("A finished matrix holds experiments")
struct CorroborateTests {
    static let hosts: [HostName: HostFingerprint] = [
        "new61": Samples.host(), "old61": Samples.host(features: Samples.old, xcr0: 0, vdso: "ab"),
        "new612": Samples.host(kernel: "6.12.0", vdso: "bb"),
        "old612": Samples.host(features: Samples.old, xcr0: 0, kernel: "6.12.0", vdso: "bc"),
    ]

    static func cell(_ destination: HostName) -> Cell {
        Cell(runtime: "native", workload: "w", source: "new61", destination: destination)
    }

    static func broke(_ reason: Reason, _ confidence: Confidence = .supported) -> Judgement {
        Judgement(
            outcome: .broke, stage: .verify, health: .ok,
            finding: Finding(reason: reason, confidence: confidence, summary: "It broke.", evidence: []))
    }

    @Test("the control proves the only factor in which the hosts differ")
    func control() {
        let result = corroborate(
            [Self.cell("new61"): .restored, Self.cell("old61"): Self.broke(.cpuInstructionMissing)], hosts: Self.hosts)
        let finding = result[Self.cell("old61")]?.finding
        #expect(finding?.confidence == .proven)
        #expect(finding?.evidence.first?.kind == "experiment")
    }

    @Test("with two factors different, the cell with one put back decides")
    func twoFactors() {
        let alone = corroborate(
            [Self.cell("new61"): .restored, Self.cell("old612"): Self.broke(.cpuInstructionMissing)], hosts: Self.hosts)
        #expect(alone[Self.cell("old612")]?.finding?.confidence == .supported)
        let decided = corroborate(
            [
                Self.cell("new61"): .restored, Self.cell("new612"): .restored,
                Self.cell("old612"): Self.broke(.cpuInstructionMissing),
                Self.cell("old61"): Self.broke(.cpuInstructionMissing),
            ], hosts: Self.hosts)
        let finding = decided[Self.cell("old612")]?.finding
        #expect(finding?.confidence == .proven)
        #expect(finding?.evidence.filter { $0.kind == "experiment" }.count == 2)
    }

    @Test("a factor that was put back without effect is not the cause")
    func acquitted() {
        let result = corroborate(
            [
                Self.cell("new61"): .restored, Self.cell("old612"): Self.broke(.kernelABIChanged),
                Self.cell("old61"): Self.broke(.kernelABIChanged),
            ], hosts: Self.hosts)
        #expect(result[Self.cell("old612")]?.finding?.confidence == .suspected)
    }

    @Test("an unknown reason stays unknown, and its factor is told")
    func unclassified() {
        let result = corroborate(
            [Self.cell("new61"): .restored, Self.cell("new612"): Self.broke(.unclassified, .suspected)],
            hosts: Self.hosts)
        let finding = result[Self.cell("new612")]?.finding
        #expect(finding?.reason == .unclassified)
        #expect(finding?.summary == "It broke; the kernel of new612 is the cause, by experiment.")
    }

    @Test("a text that points elsewhere than the experiment falls back to a suspicion")
    func contradicted() {
        let result = corroborate(
            [Self.cell("new61"): .restored, Self.cell("old61"): Self.broke(.kernelVDSO)], hosts: Self.hosts)
        #expect(result[Self.cell("old61")]?.finding?.confidence == .suspected)
        #expect(result[Self.cell("old61")]?.finding?.reason == .kernelVDSO)
    }

    @Test("lab failures, dumps and controls are no experiments and stay as they are")
    func untouched() {
        let miss = Judgement(
            outcome: nil, health: .miss,
            finding: Finding(reason: .harnessBoot, confidence: .supported, summary: "No boot.", evidence: []))
        var dump = Self.broke(.workloadUnsupported)
        dump.stage = .dump
        let judged = [
            Self.cell("new61"): miss, Self.cell("old61"): Self.broke(.cpuInstructionMissing),
            Self.cell("new612"): dump,
        ]
        #expect(corroborate(judged, hosts: Self.hosts) == judged)
        #expect(corroborate(judged, hosts: [:]) == judged)
    }
}
