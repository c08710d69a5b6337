import CRModel
import LabReport
import Testing

@Suite("causes are what failures have in common")
struct CauseTests {
    private static func failed(
        _ workload: WorkloadName, _ source: HostName, _ destination: HostName, _ reason: Reason, _ summary: String,
        instruction: String = "", stage: Stage = .verify, outcome: Outcome = .broke,
        confidence: Confidence = .proven
    ) -> CellResult {
        let cell = Cell(runtime: .native, workload: workload, source: source, destination: destination)
        let evidence =
            instruction.isEmpty ? [] : [EvidenceItem(kind: "instruction", text: instruction + ", bytes c5f96eda")]
        return CellResult(
            cell: cell, outcome: outcome, stage: stage, health: .ok,
            finding: Finding(reason: reason, confidence: confidence, summary: summary, evidence: evidence),
            expectation: nil, expected: nil, attempts: 1, milliseconds: StageTimes(), imageBytes: 0,
            reproduce: "crlab repro r \(cell.id)")
    }

    /// The lines below "Causes".
    private static func causes(_ cells: [CellResult]) throws -> [String] {
        let text = try ReportFormat.table.render(Synthetic.results("causes", [:], cells))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        return lines.drop { $0 != "Causes" }.dropFirst().prefix { !$0.isEmpty }.map { $0 }
    }

    @Test("one missing instruction set is one cause for each host that lacks it and file that needs it")
    func instructions() throws {
        func cell(
            _ workload: WorkloadName, _ source: HostName, _ destination: HostName, _ instruction: String,
            _ place: String, confidence: Confidence = .proven
        ) -> CellResult {
            Self.failed(
                workload, source, destination, .cpuInstructionMissing,
                "\(destination) lacks avx, which \(source) has and \(instruction) in \(place) needs.",
                instruction: instruction, confidence: confidence)
        }
        let lines = try Self.causes([
            cell("pipes", "haswell", "nehalem", "vmovd xmm0, esi [AVX]", "libc.so.6 at file offset 0x155720"),
            cell("pipes", "haswell-6.12", "nehalem", "vmovd xmm0, esi [AVX]", "libc.so.6 (in memset+0x45)"),
            cell("vdso", "haswell", "nehalem", "vpxor xmm0, xmm0, xmm0 [AVX]", "libc.so.6 at file offset 0x156205"),
            cell("vdso", "haswell", "penryn", "vpxor xmm0, xmm0, xmm0 [AVX]", "libc.so.6 at file offset 0x156205"),
            cell("mix", "haswell", "nehalem", "vmovd xmm3, edx [AVX]", "mix (in mix_avx2+0x0)"),
            cell("mix", "haswell-6.12", "nehalem", "vmovd xmm3, edx [AVX]", "mix (in mix_avx2+0x0)"),
        ])
        #expect(
            lines == [
                "  cpu.instruction-missing: 6 cells",
                "    3×   nehalem lacks avx, which the source host has and AVX code in libc.so.6",
                "         needs.",
                "         pipes and vdso: haswell and haswell-6.12 → nehalem",
                "         such as native/pipes/haswell/nehalem: vmovd xmm0, esi [AVX]",
                "    2×   nehalem lacks avx, which the source host has and vmovd xmm3, edx [AVX]",
                "         in mix (in mix_avx2+0x0) needs.",
                "         mix: haswell and haswell-6.12 → nehalem",
                "    1×   penryn lacks avx, which haswell has and vpxor xmm0, xmm0, xmm0 [AVX] in",
                "         libc.so.6 at file offset 0x156205 needs.",
                "         vdso: haswell → penryn",
            ])
    }

    @Test("a workload that its runtime refuses is one cause, wherever it was to go")
    func unsupported() throws {
        var cells: [CellResult] = []
        for (source, socket) in [("a", 11955), ("a-6.12", 2082)] as [(HostName, Int)] {
            let summary = "native refused on \(source): sockets are not carried, fd 6: socket:[\(socket)]."
            for destination in ["a", "a-6.12"] as [HostName] {
                cells.append(
                    Self.failed(
                        "redis", source, destination, .workloadUnsupported,
                        source == destination ? summary : "already on its own host: " + summary, stage: .dump,
                        outcome: .refused))
            }
        }
        #expect(
            try Self.causes(cells) == [
                "  workload-unsupported: 4 cells",
                "    4×   native refused on the source host: sockets are not carried, fd 6:",
                "         socket:[…].",
                "         redis: a and a-6.12 → a and a-6.12",
                "         such as native/redis/a/a",
            ])
    }

    @Test("a failed dump is told by its own host, and a lab failure by every name")
    func hosts() throws {
        let lines = try Self.causes([
            Self.failed("w", "a", "b", .unclassified, "native failed at dump on a: EINVAL.", stage: .dump),
            Self.failed("w", "a", "c", .unclassified, "native failed at dump on a: EINVAL.", stage: .dump),
            Self.failed("w", "b", "c", .unclassified, "native failed at dump on b: EINVAL.", stage: .dump),
            Self.failed("w", "b", "a", .harnessAgent, "the guest a is lost."),
            Self.failed("w", "c", "a", .harnessAgent, "the guest c is lost."),
        ])
        #expect(lines.filter { $0.contains("×") }.count == 4)
        #expect(lines.contains("    2×   native failed at dump on a: EINVAL."))
        #expect(lines.contains("    1×   the guest c is lost."))
    }
}
