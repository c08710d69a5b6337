import CRModel
import LabScenario
import Testing

struct ExpectationTests {
    static let rules =
        threeHosts + """
            expect:
              - { outcome: restored, because: general }
              - { match: { source: haswell, destination: [sandybridge, nehalem] }, outcome: broke, because: special }
              - { match: { destination: nehalem, workload: ymm-live, control: false }, outcome: refused, reason: cpu.xstate-missing, because: later, expires: 2026-12-31 }
            """

    struct Case: Sendable, CustomTestStringConvertible {
        let cell: String
        let today: String
        let because: String
        var testDescription: String { "\(cell) on \(today): \(because)" }
    }

    static let cases = [
        Case(cell: "native/counter/nehalem/haswell", today: "2026-11-21", because: "general"),
        Case(cell: "native/counter/haswell/nehalem", today: "2026-11-21", because: "special"),
        Case(cell: "native/ymm-live/haswell/nehalem", today: "2026-11-21", because: "later"),
        Case(cell: "native/ymm-live/nehalem/nehalem", today: "2026-11-21", because: "general"),
        Case(cell: "native/ymm-live/haswell/nehalem", today: "2026-12-31", because: "later"),
        Case(cell: "native/ymm-live/haswell/nehalem", today: "2027-01-01", because: "special"),
        Case(cell: "native/ymm-live/sandybridge/nehalem", today: "2027-01-01", because: "general"),
    ]

    @Test("the last rule that matches and is not expired decides", arguments: cases)
    func last(_ c: Case) throws {
        let planned = try plan(Self.rules, today: c.today).cells.first { $0.cell.id == c.cell }
        #expect(planned?.expectation?.because == c.because)
    }

    @Test("no rule, no expectation")
    func none() throws {
        #expect(try plan(threeHosts).cells.allSatisfy { $0.expectation == nil })
    }

    @Test("rules that do nothing are reported")
    func notes() throws {
        let plan = try plan(
            threeHosts + """
                matrix: { pairs: [[haswell, nehalem]] }
                exclude: [{ workload: threads }]
                include: [{ source: haswell, destination: nehalem, control: true }]
                expect:
                  - { match: { source: haswell }, outcome: broke, because: covered }
                  - { match: { source: nehalem }, outcome: broke, because: nothing there }
                  - { outcome: restored, because: all }
                  - { match: { source: haswell }, outcome: refused, because: the fix is out, expires: 2026-01-31 }
                """)
        #expect(
            plan.notes == [
                "s.yaml:11:5: this expectation decides nothing: later ones match all its cells",
                "s.yaml:12:5: this expectation matches no cell",
                "s.yaml:14:5: this expectation expired after 2026-01-31 and no longer counts: the fix is out",
                "s.yaml:8:11: this 'exclude' pattern can match no cell",
                "s.yaml:9:11: this 'include' pattern can match no cell",
            ])
    }
}
