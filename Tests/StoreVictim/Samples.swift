import CRModel
import LabStore

func sampleCell(_ index: Int) -> Cell {
    Cell(
        runtime: .native, workload: WorkloadName("w\(index / 4)"), source: HostName("s\(index / 2 % 2)"),
        destination: HostName("s\(index % 2)"))
}

func sampleRun() -> RunDescription {
    RunDescription(
        id: "20261121-101530-sample-1a2b", scenarioName: "sample", title: "A sample", scenarioText: "hosts: {}\n",
        scenarioFile: "sample.yaml", only: ["workload=w1"], workloads: ["w0", "w1"],
        startedAt: "2026-11-21T10:15:30Z", accelerator: "tcg", qemuVersion: "10.0.2")
}

func samplePlan(_ count: Int = 8) -> RunPlan {
    RunPlan(
        hosts: ["s0", "s1"].map { HostSpec(name: $0, cpu: "Haswell", kernel: "debian-6.1") },
        cells: (0..<count).map { index in
            RunPlan.PlannedCell(
                cell: sampleCell(index),
                expectation: index == 1 ? Expectation(outcome: .broke, reason: .cpuTSC, because: "so") : nil)
        })
}

func sampleResult(_ cell: Cell, outcome: Outcome? = .restored) -> CellResult {
    CellResult(
        cell: cell, outcome: outcome, stage: nil, health: outcome == nil ? .miss : .ok, finding: nil, expectation: nil,
        expected: nil, attempts: 1, milliseconds: StageTimes(dump: 1, carry: 2, restore: 3, verify: 4), imageBytes: 5,
        reproduce: "crlab repro \(cell.id)")
}

func sampleAttempt(_ cell: Cell, boot: Int? = nil) -> AttemptRecord {
    AttemptRecord(
        cell: cell, boot: boot, startedAt: "2026-11-21T10:16:00Z", milliseconds: StageTimes(restore: 3), alone: false,
        evidence: AttemptEvidence(
            cell: cell, restore: StageEvidence(stage: .restore, ending: .done, log: "zwölf \u{1F600}\n\0")))
}
