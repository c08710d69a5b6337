import CRModel
import Testing

struct JSONCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let value: JSONValue?
}

struct JSONTests {
    static let cases = [
        JSONCase(
            testDescription: "all kinds", text: #"{"a":[null,true,1,-2.5,"x\n\u00e9\ud83d\ude00"],"b":{}}"#,
            value: .object([
                "a": .array([.null, .bool(true), .integer(1), .number(-2.5), .string("x\né😀")]), "b": .object([:]),
            ])),
        JSONCase(testDescription: "largest integer", text: "18446744073709551615", value: .unsigned(.max)),
        JSONCase(testDescription: "cut object", text: #"{"a":"#, value: nil),
        JSONCase(testDescription: "cut string", text: #""abc"#, value: nil),
        JSONCase(testDescription: "cut escape", text: #""\u12"#, value: nil),
        JSONCase(testDescription: "lone high surrogate is replaced", text: #""\ud800""#, value: .string("\u{fffd}")),
        JSONCase(testDescription: "trailing garbage", text: "1 2", value: nil),
        JSONCase(testDescription: "nesting bomb", text: String(repeating: "[", count: 100_000), value: nil),
        JSONCase(testDescription: "number of signs", text: "--+", value: nil),
    ]

    @Test("text is parsed or refused, and what is parsed is written back", arguments: cases)
    func parses(_ c: JSONCase) throws {
        let value = try? JSONParser.parse(c.text)
        #expect(value == c.value)
        if let value {
            #expect(try JSONParser.parse(value.serialized()) == value)
            #expect(try JSONParser.parse(value.serialized(pretty: true)) == value)
        }
    }

    @Test("every cut of a document is a clean error")
    func truncation() throws {
        let text = #"{"a":[null,true,1,-2.5,"x\u00e9"],"b":{"c":false}}"#
        for count in 0..<text.utf8.count {
            #expect(throws: JSONError.self) { try JSONParser.parse(text.utf8.prefix(count)) }
        }
    }

    @Test("a model value survives the way there and back")
    func codable() throws {
        let cell = Cell(runtime: .native, workload: "counter", source: "a", destination: "b")
        let result = CellResult(
            cell: cell, outcome: .broke, stage: .verify, health: .ok,
            finding: Finding(
                reason: .cpuInstructionMissing, confidence: .suspected, summary: "s",
                evidence: [EvidenceItem(kind: "signal", text: "SIGILL")]),
            expectation: nil, expected: nil, attempts: 1, milliseconds: StageTimes(), imageBytes: .max,
            reproduce: "crlab repro")
        let text = try JSONCoder.text(of: [HostName("h"): result])
        #expect(try JSONCoder.decode([HostName: CellResult].self, from: text) == ["h": result])
        #expect(text.contains(#""outcome":"broke""#))
        #expect(text.contains(#""expected":null"#))
    }

    @Test("a shape error names the path")
    func shape() {
        #expect(throws: JSONError.shape(path: "0", expected: "an object")) {
            try JSONCoder.decode([[String: String]].self, from: "[1]")
        }
    }
}
