import CRModel
import Foundation
import LabScenario
import Testing

let everything = Catalogue(
    workloads: ["counter", "pipes", "threads", "ymm-live"], runtimes: ["native", "criu"],
    kernels: ["debian-6.1", "debian-6.12"], userlands: ["debian-12"])

let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

func scenario(_ text: String, catalogue: Catalogue = everything) throws -> Scenario {
    try Scenario.parse(text, file: "s.yaml", catalogue: catalogue)
}

func day(_ text: String) throws -> CalendarDate { try #require(CalendarDate(text)) }

func plan(_ text: String, only: [String] = [], today: String = "2026-11-21") throws -> Plan {
    try Plan(
        scenario(text), today: day(today), only: only.map { text throws in try CellSelection(parsing: text) })
}

/// Compares with a file under `Golden/`; `RECORD_GOLDEN=1` writes it anew and fails.
func expectGolden(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
    if ProcessInfo.processInfo.environment["RECORD_GOLDEN"] == "1" {
        try text.write(to: file, atomically: true, encoding: .utf8)
        Issue.record("recorded \(name); review it", sourceLocation: sourceLocation)
        return
    }
    let golden = try String(contentsOf: file, encoding: .utf8)
    #expect(text == golden, sourceLocation: sourceLocation)
}

let threeHosts = """
    defaults: { kernel: debian-6.1 }
    hosts:
      haswell: { cpu: Haswell }
      sandybridge: { cpu: SandyBridge }
      nehalem: { cpu: Nehalem }
    workloads: [counter, ymm-live]

    """
