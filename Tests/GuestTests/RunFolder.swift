import Foundation
import Testing

/// What `results.json` says, as far as these tests look at it. Read with nothing of crlab's own.
struct RunResults: Decodable {
    struct Run: Decodable {
        struct Counts: Decodable, Equatable {
            var cells: Int
            var restored: Int
            var refused: Int
            var broke: Int
            var misses: Int
            var unexpected: Int
        }
        var id: String
        var boots: Int
        var counts: Counts
    }
    struct Host: Decodable {
        struct Failure: Decodable {
            var reason: String
            var summary: String
        }
        var cpuFeatures: [String]
        var kernelRelease: String
        var runtimes: [String: String]
        var unavailable: Failure?
    }
    struct Entry: Decodable {
        struct Finding: Decodable {
            struct Item: Decodable {
                var kind: String
                var text: String
            }
            var category: String
            var reason: String
            var confidence: String
            var summary: String
            var remedy: String
            var evidence: [Item]
        }
        var id: String
        var outcome: String?
        var stage: String?
        var health: String
        var finding: Finding?
        var expected: Bool?
        var control: Bool
        var attempts: Int
        var imageBytes: Int
        var reproduce: String
        var confirmation: Confirmation?
        var flaky: Bool?

        /// `restored`, `broke cpu.instruction-missing`, `miss harness.image`.
        var verdict: String {
            [outcome ?? health, finding?.reason].compactMap { $0 }.joined(separator: " ")
        }
    }
    struct Control: Decodable {
        var kind: String
        var passed: Bool?
    }
    struct Confirmation: Decodable, Equatable {
        var restored: Int
        var refused: Int
        var broke: Int
    }
    var schema: String
    var run: Run
    var controls: [Control]
    var hosts: [String: Host]
    var cells: [Entry]

    subscript(id: String) -> Entry? { cells.first { $0.id == id } }

    /// Cell to verdict.
    var verdicts: [String: String] {
        Dictionary(cells.map { ($0.id, $0.verdict) }, uniquingKeysWith: { "\($0) and again \($1)" })
    }

    /// No cell says that hosts are incompatible.
    var isFreeOfIncompatibility: Bool { cells.allSatisfy { $0.outcome == nil || $0.outcome == "restored" } }
}

/// The folder of one run.
struct RunFolder: Sendable {
    let path: String

    func file(_ name: String) -> String { path + "/" + name }

    func text(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }

    func results() throws -> RunResults {
        try JSONDecoder().decode(RunResults.self, from: Data(contentsOf: URL(filePath: file("results.json"))))
    }

    /// The stored images of dumps.
    var images: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: file("images"))) ?? []
        return names.filter { $0.hasPrefix("sha256-") }.sorted().map { file("images/" + $0) }
    }

    /// Rows of a query against `run.sqlite`, read by SQLite itself and not by crlab.
    func rows(_ query: String) async throws -> [[String]] {
        let program = """
            import json, sqlite3, sys
            base = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
            print(json.dumps([[str(value) for value in row] for row in base.execute(sys.argv[2])]))
            """
        return try await Tool.python(program, [file("run.sqlite"), query]).decoded()
    }

    /// The planned cells and how often each has an outcome, in the store.
    func expectOneOutcomeEach(
        _ planned: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let stored = try await rows("SELECT id, result IS NOT NULL FROM cell ORDER BY id")
        #expect(stored == planned.sorted().map { [$0, "1"] }, sourceLocation: sourceLocation)
        #expect(try await rows("PRAGMA integrity_check") == [["ok"]], sourceLocation: sourceLocation)
        let results = try results()
        #expect(results.cells.map(\.id).sorted() == planned.sorted(), sourceLocation: sourceLocation)
        #expect(results.run.counts.cells == planned.count, sourceLocation: sourceLocation)
    }

    /// All files of a finished run are there and can be read by others.
    func expectWhole(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let schema = GuestLab.repository + "Reports/schema/results-1.schema.json"
        let problems = try await Tool.python(
            """
            import json, sys, jsonschema
            schema, document = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:3])
            checker = jsonschema.Draft202012Validator(schema)
            for problem in list(checker.iter_errors(document))[:5]:
                print("/".join(map(str, problem.absolute_path)) + ": " + problem.message[:300])
            """, [schema, file("results.json")])
        #expect(problems.status == 0 && problems.output.isEmpty, "\(problems)", sourceLocation: sourceLocation)
        let junit = try await Tool.python(
            """
            import sys, xml.etree.ElementTree as tree
            root = tree.parse(sys.argv[1]).getroot()
            print(root.tag, len(list(root.iter("testcase"))))
            """, [file("junit.xml")])
        let cells = try results().cells.count + results().controls.count
        #expect(
            junit.output.split(separator: " ").last.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
                == cells, "\(junit)", sourceLocation: sourceLocation)
        let page = try text("report.html")
        #expect(page.contains("</html>"), sourceLocation: sourceLocation)
        // A page that needs a network shows nothing where CI keeps it.
        let external = page.matches(of: /(?:src|href)\s*=\s*["']?(?:https?:)?\/\/|@import|url\(\s*["']?http/)
        #expect(external.isEmpty, "\(external.map { $0.output })", sourceLocation: sourceLocation)
        #expect(try !text("summary.md").isEmpty, sourceLocation: sourceLocation)
        let left = (try? FileManager.default.contentsOfDirectory(atPath: file("tmp"))) ?? []
        #expect(left.isEmpty, "half carried archives are left", sourceLocation: sourceLocation)
    }
}

/// Other programs that check what crlab wrote.
enum Tool {
    /// Debian's own Python, for which `make setup` installs jsonschema.
    static func python(_ program: String, _ words: [String]) async throws -> Answer {
        try await run(["/usr/bin/python3", "-c", program] + words)
    }

    static func run(_ words: [String]) async throws -> Answer {
        let files = FileManager.default.temporaryDirectory.appending(path: "crlab-tool-\(UUID().uuidString)")
            .path(percentEncoded: false)
        defer { for end in [".in", ".out", ".err"] { try? FileManager.default.removeItem(atPath: files + end) } }
        return try await Execution(
            words, environment: ProcessInfo.processInfo.environment, directory: "/", input: nil, files: files
        ).end(seconds: 30)
    }
}
