import CRModel
import Foundation
import Testing

@testable import LabScenario

/// The scenarios that crlab ships, against crlab itself and against the published schema.
struct ShippedScenarioTests {
    /// Names are pinned here rather than read from the sources: a workload that vanishes must fail this test.
    static let standard: [WorkloadName] = [
        "avx2-dispatch", "bash", "counter", "files", "libc-strings", "memory", "pipes", "python", "redis",
        "signals", "sse42-crc", "tcp-stream", "threads", "vdso", "ymm-live",
    ]
    static let applications: [WorkloadName] = [
        "app-asyncio", "app-go", "app-java", "app-memcached", "app-nginx", "app-node", "app-postgres", "app-redis",
        "app-sqlite", "app-tmux",
    ]
    /// One for each file of Sources/Workloads/objects.
    static let objects: [WorkloadName] = {
        let folder = root.appending(path: "Sources/Workloads/objects").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".c") }.map { WorkloadName("object-\($0.dropLast(2))") }.sorted()
    }()
    static let shipped = Catalogue(
        workloads: standard + applications + objects,
        sets: ["standard": standard, "applications": applications, "objects": objects],
        runtimes: ["native", "criu-3.17", "criu-4.1", "criu-4.2", "criu-4.3", "runsc-2022", "runsc-2024"],
        kernels: [
            "debian-5.10", "debian-6.1", "debian-6.12", "debian-6.12-first", "debian-6.12-last", "debian-6.16",
            "debian-6.17", "debian-6.18", "debian-6.19", "debian-7.0", "debian-7.1", "debian-7.2", "debian-7.3",
            "debian-newest",
        ],
        userlands: ["debian-11", "debian-12", "debian-12-apps"])

    static func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Scenarios").path)
            .filter { $0.hasSuffix(".yaml") }.sorted()
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private func schema() throws -> JSONValue { try JSONParser.parse(text("Reports/schema/scenario-1.schema.json")) }

    @Test("every shipped scenario has a plan without notes and fits the schema")
    func shippedScenarios() throws {
        let schema = try SchemaChecker(schema())
        #expect(try Self.files().contains("quickstart.yaml"))
        for file in try Self.files() {
            let text = try text("Scenarios/\(file)")
            let scenario = try Scenario.parse(text, file: file, catalogue: Self.shipped)
            let plan = try Plan(scenario, today: day("2026-11-21"))
            #expect(plan.notes == [])
            #expect(plan.cells.allSatisfy { $0.expectation != nil })
            #expect(schema.problems(in: try YAMLNode.parse(text, file: file).json) == [])
        }
    }

    @Test("the quickstart is what the first issue asks for")
    func quickstart() throws {
        let scenario = try Scenario.parse(
            text("Scenarios/quickstart.yaml"), file: "quickstart.yaml", catalogue: Self.shipped)
        let plan = try Plan(scenario, today: day("2026-11-21"))
        #expect(plan.cells.count >= 150)
        #expect(plan.hosts.map(\.name) == ["haswell", "haswell-6.12", "nehalem", "sandybridge"])
        try expectGolden(plan.table(plan.estimate(guestsAtOnce: 2)), "quickstart-plan.txt")
        let document = try JSONCoder.text(of: plan.document(plan.estimate(guestsAtOnce: 2)))
        #expect(try JSONCoder.decode(PlanDocument.self, from: document).cells.count == plan.cells.count)
    }

    @Test("the schema knows exactly the keys that the reader knows")
    func keys() throws {
        let schema = try schema()
        for section in ScenarioKeys.all {
            let definition = section.definition.isEmpty ? schema : schema["$defs"]?[section.definition]
            let properties = try #require(definition?["properties"]?.members, "\(section.title)")
            #expect(Set(properties.keys) == Set(section.keys), "\(section.title)")
            #expect(definition?["additionalProperties"] == .bool(false), "\(section.title)")
        }
        let sections = Set(ScenarioKeys.all.map(\.definition))
        for (name, definition) in schema["$defs"]?.members ?? [:] where definition["properties"] != nil {
            #expect(sections.contains(name))
        }
        let outcomes = schema["$defs"]?["expectation"]?["properties"]?["outcome"]?["enum"]?.elements?.compactMap(\.text)
        #expect(Set(outcomes ?? []) == Set(Outcome.allCases.map(\.rawValue)))
    }

    @Test("the schema refuses what the reader refuses", arguments: ScenarioErrorTests.cases)
    func agreement(_ c: ScenarioErrorTests.Case) throws {
        // What only crlab can know (names, days, own words for own names) and what is not JSON's business.
        let beyond: Set<String> = [
            "unknown kernel", "unknown userland", "unknown runtime", "spec", "unknown source", "pairs and sources",
            "unknown host in a pattern", "unknown workload in a pattern", "unknown reason", "lab reason",
            "reason of a restored cell", "no such day", "own kernel like a recipe", "host without cpu",
            "host without kernel", "line break in a title", "runtime with another family's option",
            "runtime without a family", "runtime named like another family", "runtime option of the other stage",
            "runtime of another family at restore", "unknown value of a runtime option",
            "around and pairs", "around nobody", "around a host that differs in more", "chain over nobody",
            "grid with a pattern for nothing", "grid with two values of one name", "grid with a host of the same name",
            "everything left out",
        ]
        guard !beyond.contains(c.name), let node = try? YAMLNode.parse(c.text, file: "s.yaml") else { return }
        #expect(try SchemaChecker(schema()).problems(in: node.json) != [])
    }
}

extension YAMLNode {
    /// The value as JSON, by YAML's core rules.
    var json: JSONValue {
        switch value {
        case .map(let entries):
            .object(Dictionary(entries.map { ($0.key, $0.value.json) }, uniquingKeysWith: { $1 }))
        case .list(let elements): .array(elements.map(\.json))
        case .scalar(let text, plain: false): .string(text)
        case .scalar(let text, plain: true):
            if isNothing {
                .null
            } else if text == "true" || text == "false" {
                .bool(text == "true")
            } else if let number = Int64(text) {
                .integer(number)
            } else if let number = Double(text) {
                .number(number)
            } else {
                .string(text)
            }
        }
    }
}
