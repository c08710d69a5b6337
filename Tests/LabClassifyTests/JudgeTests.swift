import CRModel
import LabClassify
import Testing

@Suite("Judging one attempt")
struct JudgeTests {
    static let endings: [StageEvidence.Ending] = [
        .done, .refused, .failed, .hung, .workloadDied, .workloadHung, .workloadWrong,
    ]

    @Test("no lab failure ever yields an outcome", arguments: Reason.allCases)
    func labFailures(_ reason: Reason) {
        for stage in Stage.allCases {
            for ending in Self.endings {
                var evidence = Samples.evidence(
                    StageEvidence(
                        stage: stage, ending: ending, signal: 4, log: "12: Error (a.c:1): mnt: No mapping for 1",
                        refusal: Refusal(reason: "cpu.vendor", message: "vendor"),
                        faults: Samples.illegalInstruction("c5fd740f").faults),
                    destination: Samples.host(features: Samples.old))
                evidence.labFailure = LabFailure(reason: reason, summary: "the lab failed")
                let judgement = judge(evidence, control: .restored)
                #expect(judgement.outcome == nil)
                #expect(judgement.health == .miss)
                #expect(judgement.finding?.category == .harness)
            }
        }
    }

    @Test("outcome and health are nil and miss together, whatever the evidence")
    func consistency() {
        for stage in Stage.allCases {
            for ending in Self.endings {
                for log in ["", "No space left on device", "Can't fork for 3: File exists", "ENOSYS"] {
                    for control in [nil, Judgement.restored, Judgement(outcome: nil, health: .miss)] {
                        for signal in [nil, 4, 11] as [Int?] {
                            let judgement = judge(
                                Samples.evidence(
                                    StageEvidence(stage: stage, ending: ending, exitStatus: 1, signal: signal, log: log)
                                ), control: control)
                            #expect((judgement.outcome == nil) == (judgement.health == .miss))
                            #expect((judgement.outcome == .restored) == (judgement.finding == nil))
                            let isHarness = judgement.finding?.category == .harness
                            #expect(isHarness == (judgement.outcome == nil))
                        }
                    }
                }
            }
        }
    }

    @Test("what a workload does on the destination by itself decides whether a restore there says anything")
    func workloadAlone() {
        var evidence = Samples.evidence(
            Samples.illegalInstruction("c5fd740f"), destination: Samples.host(features: Samples.old))
        let before = judge(evidence, control: .restored)
        evidence.workloadAlone = StageEvidence(stage: .verify, ending: .done)
        let works = judge(evidence, control: .restored)
        #expect(works.finding?.reason == before.finding?.reason && works.finding?.category == .cpu)
        #expect(works.finding?.evidence.contains { $0.kind == "control" && $0.text.contains("neither dumped") } == true)
        evidence.workloadAlone = StageEvidence(
            stage: .verify, ending: .workloadDied, workload: WorkloadEvidence(signal: 4))
        let dies = judge(evidence, control: .restored)
        #expect(dies.outcome == before.outcome && dies.finding?.reason == .workloadUnsupported)
        #expect(dies.finding?.summary.contains("even without dump and restore") == true)
        // A workload that already fails on its own host is that control's business.
        #expect(judge(evidence, control: before).finding?.evidence.first?.text.contains("the control cell") == true)
    }

    @Test("a restored attempt has no finding")
    func restored() {
        #expect(judge(Samples.evidence(StageEvidence(stage: .verify, ending: .done))) == .restored)
    }

    @Test("an incomplete record is the lab's failure")
    func incomplete() {
        let judgement = judge(Samples.evidence(StageEvidence(stage: .restore, ending: .done)))
        #expect(judgement.health == .miss)
        #expect(judgement.finding?.reason == .harnessAgent)
        let empty = AttemptEvidence(cell: Cell(runtime: "native", workload: "w", source: "a", destination: "b"))
        #expect(judge(empty).health == .miss)
    }

    @Test("a runtime that crashed or hung did not refuse")
    func crashed() {
        let crash = judge(Samples.evidence(StageEvidence(stage: .restore, ending: .failed, signal: 11)))
        #expect(crash.outcome == .broke && crash.health == .error)
        let hang = judge(Samples.evidence(StageEvidence(stage: .dump, ending: .hung)))
        #expect(hang.outcome == .broke && hang.health == .error)
        let refusal = judge(Samples.evidence(StageEvidence(stage: .restore, ending: .failed, exitStatus: 1)))
        #expect(refusal.outcome == .refused && refusal.health == .ok)
    }

    @Test("without a control nothing is more than suspected")
    func noControl() {
        let evidence = Samples.evidence(
            Samples.illegalInstruction("c5fd740f"), destination: Samples.host(features: Samples.old, xcr0: 0))
        #expect(judge(evidence, control: nil).finding?.confidence == .suspected)
        #expect(judge(evidence, control: .restored).finding?.confidence == .supported)
    }

    @Test("a feature that both hosts have or lack is never an instruction finding")
    func sameFeatures() {
        for features in [Samples.old, Samples.new] {
            let host = Samples.host(features: features)
            let judgement = judge(
                Samples.evidence(Samples.illegalInstruction("c5fd740f"), source: host, destination: host),
                control: .restored)
            #expect(judgement.finding?.reason == .unclassified)
        }
    }

    @Test("a lost ERMS explains no SIGILL")
    func harmlessFeature() {
        let evidence = Samples.evidence(
            StageEvidence(stage: .verify, ending: .workloadDied, workload: WorkloadEvidence(signal: 4)),
            destination: Samples.host(features: Samples.new.filter { $0 != "erms" }))
        #expect(judge(evidence, control: .restored).finding?.reason == .unclassified)
    }

    @Test("relevant host differences come first, and all is bounded")
    func evidenceOrder() throws {
        let evidence = Samples.evidence(
            Samples.illegalInstruction("c5fd740f"),
            destination: Samples.host(features: Samples.old, xcr0: 0, kernel: "6.12.0", vdso: "bb", userland: "other"))
        let items = try #require(judge(evidence, control: .restored).finding).evidence
        let kinds = items.map(\.kind)
        let cpu = try #require(kinds.firstIndex(of: "cpu-difference"))
        #expect(cpu < (try #require(kinds.firstIndex(of: "kernel-difference"))))
        #expect(try #require(kinds.firstIndex(of: "instruction")) < cpu)
        #expect(items.count <= 28)
        let long = Samples.evidence(
            StageEvidence(
                stage: .restore, ending: .failed,
                log: (1...500).map { "\($0): Error (a.c:1): \(String(repeating: "x", count: 5000))" }
                    .joined(separator: "\n")))
        let finding = try #require(judge(long, control: .restored).finding)
        #expect(finding.evidence.count <= 28)
        #expect(finding.evidence.allSatisfy { $0.text.count <= 601 })
    }

    @Test("an unread SIGILL report of the kernel is decoded from its Code line")
    func kernelLog() {
        let stage = StageEvidence(
            stage: .verify, ending: .workloadDied, workload: WorkloadEvidence(signal: 4),
            kernelLog: [
                "traps: w[7] trap invalid opcode ip:40173b sp:7ffff9882000 error:0 in libx.so[173b,401000+97000]",
                "potentially unexpected fatal signal 4.", "Code: 00 48 8d 7c 24 c0 <c5> fd 74 0f c5 f8 77",
            ])
        let finding = judge(
            Samples.evidence(stage, destination: Samples.host(features: Samples.old)), control: .restored
        ).finding
        #expect(finding?.reason == .cpuInstructionMissing)
        #expect(finding?.summary.contains("libx.so at file offset 0x173b") == true)
    }
}
