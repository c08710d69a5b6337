import CRModel
import Foundation
import LabClassify
import Testing

@Suite("The corpus of failures replays without any VM")
struct CorpusTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Corpus")

    static func entries() throws -> [CorpusEntry] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }
            .map { try CorpusEntry(json: String(contentsOf: $0, encoding: .utf8)) }
    }

    @Test("every entry gets its answer; the confusion table is printed")
    func replay() throws {
        let entries = try Self.entries()
        #expect(entries.count >= 60)
        var table: [String: [String: Int]] = [:]
        for entry in entries {
            let judgement = judge(entry.evidence, control: entry.control)
            let finding = try #require(judgement.finding, "\(entry.name)")
            table[entry.expected.category.rawValue, default: [:]][finding.category.rawValue, default: 0] += 1
            let about = Comment(rawValue: "\(entry.name): \(finding.reason.rawValue), \(finding.summary)")
            #expect(judgement.outcome == entry.expected.outcome, about)
            #expect(finding.reason == entry.expected.reason, about)
            #expect(finding.category == entry.expected.category, about)
            if let confidence = entry.expected.confidence { #expect(finding.confidence == confidence, about) }
            #expect((judgement.health == .miss) == (judgement.outcome == nil), about)
            #expect(finding.summary.hasSuffix("."), about)
            #expect(finding.evidence.count <= 28, about)
        }
        print(Self.text(table))
        for origin in CorpusEntry.Origin.allCases {
            print("origin \(origin.rawValue): \(entries.filter { $0.origin == origin }.count)")
        }
    }

    @Test("an entry survives its own format and is named like its file")
    func roundTrip() throws {
        for entry in try Self.entries() {
            #expect(try CorpusEntry(json: entry.json()) == entry)
            let file = Self.folder.appending(path: "\(entry.name).json")
            #expect(FileManager.default.fileExists(atPath: file.path))
        }
    }

    @Test("an attempt can be exported")
    func export() throws {
        let entry = try #require(try Self.entries().first { $0.name == "sigill-avx2-sandybridge" })
        let exported = CorpusEntry(
            exporting: entry.evidence, control: entry.control,
            judgement: judge(entry.evidence, control: entry.control), note: "run 1")
        #expect(exported.name == "native-latch-haswell-sandybridge")
        #expect(exported.origin == .run)
        #expect(exported.expected.reason == .cpuInstructionMissing)
    }

    @Test("a summary names instruction, place, feature and host")
    func summary() throws {
        let entry = try #require(try Self.entries().first { $0.name == "sigill-avx2-sandybridge" })
        let finding = try #require(judge(entry.evidence, control: entry.control).finding)
        #expect(
            finding.summary
                == "sandybridge lacks avx2, which haswell has and vpcmpeqb ymm1, ymm0, [rdi] [AVX2] in init "
                + "(in scan_avx2+0x56) needs.")
        let jit = try #require(try Self.entries().first { $0.name == "jit-page-avx2" })
        #expect(
            judge(jit.evidence, control: jit.control).finding?.summary.contains("a page without a known file") == true)
    }

    private static func text(_ table: [String: [String: Int]]) -> String {
        let columns = CRModel.Category.allCases.map(\.rawValue)
        func cell(_ text: String) -> String { text.padding(toLength: 16, withPad: " ", startingAt: 0) }
        var lines = [cell("expected \\ got") + columns.map(cell).joined()]
        for row in columns {
            lines.append(cell(row) + columns.map { cell(table[row]?[$0].map(String.init) ?? ".") }.joined())
        }
        return lines.joined(separator: "\n")
    }
}
