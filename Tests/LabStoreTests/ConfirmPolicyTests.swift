import CRModel
import LabStore
import Testing

@testable import StoreVictim

struct ConfirmPolicyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var outcome: Outcome?
        var expected: Bool?
        var known: Outcome?
        var isNew: Bool
    }

    static let cases = [
        Case(testDescription: "restored", outcome: .restored, expected: true, isNew: false),
        Case(testDescription: "restored against its expectation", outcome: .restored, expected: false, isNew: false),
        Case(testDescription: "a lab failure", outcome: nil, isNew: false),
        Case(testDescription: "failed as expected", outcome: .broke, expected: true, isNew: false),
        Case(testDescription: "failed against its expectation", outcome: .broke, expected: false, isNew: true),
        Case(testDescription: "failed, nothing expected", outcome: .refused, isNew: true),
        Case(testDescription: "failed alike before", outcome: .broke, expected: false, known: .broke, isNew: false),
        Case(
            testDescription: "failed otherwise before", outcome: .broke, expected: false, known: .refused, isNew: true),
        Case(testDescription: "restored before", outcome: .broke, known: .restored, isNew: true),
    ]

    @Test("which failures are new", arguments: cases)
    func new(_ c: Case) {
        var result = sampleResult(sampleCell(0), outcome: c.outcome)
        result.expected = c.expected
        let policy = ConfirmPolicy(times: 1, known: c.known.map { [result.cell.id: $0] } ?? [:])
        #expect(policy.isNewFailure(result) == c.isNew)
    }

    @Test("flaky is what did not end alike each time")
    func flaky() {
        #expect(!Confirmation([.broke, .broke, .broke]).isFlaky)
        #expect(!Confirmation([.broke]).isFlaky)
        let flaky = Confirmation([.broke, .restored, .broke])
        #expect(flaky.isFlaky && flaky.text == "restored 1, broke 2 of 3 times")
        #expect(Confirmation([.broke, .refused]).isFlaky)
    }
}
