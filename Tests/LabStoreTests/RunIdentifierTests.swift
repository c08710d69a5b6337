import LabStore
import Testing

struct RunIdentifierTests {
    static let cases: [(String, Int64, UInt16, String)] = [
        ("quickstart", 1_795_256_130, 0x1a2b, "20261121-101530-quickstart-1a2b"),
        ("a b/../c", 0, 0, "19700101-000000-a-b-..-c-0000"),
        ("", 951_782_399, 1, "20000228-235959-scenario-0001"),
        ("x", 951_782_400, 1, "20000229-000000-x-0001"),
        ("x", 1_704_067_199, 1, "20231231-235959-x-0001"),
        ("x", -5, 1, "19700101-000000-x-0001"),
        ("x", .max, 1, "99991231-235959-x-0001"),
    ]

    @Test("identifiers sort by start and are names of folders", arguments: cases)
    func make(scenario: String, seconds: Int64, random: UInt16, expected: String) {
        #expect(RunIdentifier.make(scenario: scenario, secondsSince1970: seconds, random: random) == expected)
    }

    @Test("ISO 8601")
    func iso() {
        #expect(RunIdentifier.iso8601(secondsSince1970: 1_795_256_130) == "2026-11-21T10:15:30Z")
    }
}
