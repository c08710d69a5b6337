import CRModel
import Foundation
import LabReport
import Testing

@Suite("Reports/schema/results-1.schema.json")
struct SchemaTests {
    let schema: JSONValue

    init() throws {
        let file = repository.appending(path: "Reports/schema/results-1.schema.json")
        schema = try JSONParser.parse(String(contentsOf: file, encoding: .utf8))
    }

    private func names(_ definition: String) -> [String] {
        schema["$defs"]?[definition]?["enum"]?.elements?.compactMap(\.text) ?? []
    }

    @Test("its lists of names are the code's")
    func enums() {
        #expect(names("outcome") == Outcome.allCases.map(\.rawValue))
        #expect(names("stage") == Stage.allCases.map(\.rawValue))
        #expect(names("health") == Health.allCases.map(\.rawValue))
        #expect(names("confidence") == Confidence.allCases.map(\.rawValue))
        #expect(names("category") == Category.allCases.map(\.rawValue))
        #expect(names("reason") == Reason.allCases.map(\.rawValue))
        #expect(schema["properties"]?["schema"]?["const"]?.text == Results.schema)
    }

    @Test("every object is closed and requires only what it describes")
    func closed() {
        var objects = [("", schema)]
        objects += (schema["$defs"]?.members ?? [:]).map { ($0.key, $0.value) }
        for (name, object) in objects where object["properties"] != nil {
            #expect(object["additionalProperties"] == .bool(false), "\(name)")
            let described = Set((object["properties"]?.members ?? [:]).keys)
            let required = Set((object["required"]?.elements ?? []).compactMap(\.text))
            #expect(required.isSubset(of: described), "\(name)")
        }
    }

    /// Needs no validator: everything that is written is described, member by member.
    @Test("describes every member that is written")
    func members() throws {
        let text = try ResultsDocument.json(Synthetic.rich())
        try check(JSONParser.parse(text), schema, at: "results")
    }

    private func check(_ value: JSONValue, _ schema: JSONValue, at place: String) throws {
        var schema = schema
        if let name = schema["$ref"]?.text {
            schema = try #require(self.schema["$defs"]?[String(name.dropFirst("#/$defs/".count))], "\(place): \(name)")
        }
        if let choices = schema["anyOf"]?.elements {
            guard value != .null else { return }
            return try check(value, choices[0], at: place)
        }
        switch value {
        case .object(let members):
            for (name, member) in members {
                let described = schema["properties"]?[name] ?? schema["additionalProperties"]
                let next = try #require(described, "\(place).\(name) is not described")
                guard next != .bool(false) else {
                    Issue.record("\(place).\(name) is not described")
                    continue
                }
                try check(member, next, at: "\(place).\(name)")
            }
            for name in (schema["required"]?.elements ?? []).compactMap(\.text) {
                #expect(members[name] != nil, "\(place).\(name) is required and was not written")
            }
        case .array(let elements):
            let item = try #require(schema["items"], "\(place) is no array")
            for element in elements { try check(element, item, at: place + "[]") }
        default: break
        }
    }

    @Test("a validator agrees", .enabled(if: pythonHas("jsonschema"), "Debian's python3-jsonschema is not installed"))
    func validator() throws {
        let script = repository.appending(path: "Tests/LabReportTests/validate.py").path
        let schema = repository.appending(path: "Reports/schema/results-1.schema.json").path
        for results in [Synthetic.rich(), Synthetic.quickstart(), Synthetic.hostileResults()] {
            let answer = try #require(try runTool(["python3", script, schema], input: ResultsDocument.json(results)))
            #expect(answer.status == 0, "\(answer.output)")
        }
    }

    static let wrong = [
        (#""outcome": "restored""#, #""outcome": "perhaps""#),
        (#""health": "ok""#, #""health": "fine""#),
        (#""reason": "workload-unsupported""#, #""reason": "workload.unsupported""#),
        (#""attempts": 1"#, #""attempts": 1, "extra": 1"#),
        (#""boots": 9"#, #""boots": -9"#),
    ]

    @Test(
        "a validator refuses what is wrong",
        .enabled(if: pythonHas("jsonschema"), "Debian's python3-jsonschema is not installed"), arguments: wrong)
    func refused(_ old: String, _ new: String) throws {
        let script = repository.appending(path: "Tests/LabReportTests/validate.py").path
        let schema = repository.appending(path: "Reports/schema/results-1.schema.json").path
        let text = try ResultsDocument.json(Synthetic.rich())
        #expect(text.contains(old))
        let answer = try #require(
            try runTool(["python3", script, schema], input: text.replacingOccurrences(of: old, with: new)))
        #expect(answer.status == 1, "\(answer.output)")
    }
}
