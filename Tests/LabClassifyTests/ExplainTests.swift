import CRModel
import Foundation
import LabClassify
import Testing

@Suite("Every reason is documented")
struct ExplainTests {
    @Test("guide and text are complete", arguments: Reason.allCases)
    func guide(_ reason: Reason) {
        let guide = reason.guide
        for text in [guide.meaning, guide.evidence, guide.remedy] {
            #expect(text.count > 20 && text.hasSuffix("."), "\(reason.rawValue): \(text)")
        }
        #expect(reason.remedy == guide.remedy)
        let text = Explain.text(reason)
        #expect(text.contains(reason.rawValue))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(text)")
    }

    @Test("no two reasons have the same meaning")
    func distinct() {
        #expect(Set(Reason.allCases.map(\.guide.meaning)).count == Reason.allCases.count)
    }

    @Test("a reason is found by its whole or last name")
    func names() {
        #expect(Explain.reason(named: "cpu.vendor") == .cpuVendor)
        #expect(Explain.reason(named: "oops") == .kernelOops)
        #expect(Explain.reason(named: "unclassified") == .unclassified)
        #expect(Explain.reason(named: "missing") == .filesystemMissing)
        #expect(Explain.reason(named: "space") == nil)
        #expect(Explain.reason(named: "") == nil)
    }

    @Test("the printed text is as reviewed")
    func golden() throws {
        try compare(Explain.text(.cpuInstructionMissing), with: "explain-cpu.instruction-missing.txt")
        try compare(Explain.overview(), with: "explain-overview.txt")
    }

    private func compare(_ text: String, with name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
        if ProcessInfo.processInfo.environment["RECORD_GOLDEN"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
            Issue.record("recorded \(name); review it")
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == text)
    }
}
