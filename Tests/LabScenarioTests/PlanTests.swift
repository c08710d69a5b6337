import CRModel
import LabScenario
import Testing

struct PlanTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let only: [String]
        /// Cells without the runtime; `+` marks an added control.
        let cells: [String]

        init(_ name: String, _ text: String, only: [String] = [], _ cells: [String]) {
            testDescription = name
            self.text = text
            self.only = only
            self.cells = cells
        }
    }

    static let hosts = """
        defaults: { cpu: Haswell, kernel: debian-6.1 }
        hosts: { a: , b: , c: }

        """
    static let one = hosts + "workloads: counter\n"
    static let two = hosts + "workloads: [counter, pipes]\n"

    static let cases = [
        Case(
            "all pairs", one,
            [
                "counter/a/a", "counter/a/b", "counter/a/c", "counter/b/a", "counter/b/b", "counter/b/c", "counter/c/a",
                "counter/c/b", "counter/c/c",
            ]),
        Case("one pair brings its control", one + "matrix: { pairs: [[a, b]] }\n", ["+counter/a/a", "counter/a/b"]),
        Case("a control alone needs none", one + "matrix: { pairs: [[c, c]] }\n", ["counter/c/c"]),
        Case(
            "sources and destinations", one + "matrix: { sources: [a], destinations: [b, c] }\n",
            ["+counter/a/a", "counter/a/b", "counter/a/c"]),
        Case(
            "excluded controls come back where they are needed",
            one + "matrix: { sources: [a, c], destinations: [c] }\nexclude: [{ control: true }]\n",
            ["+counter/a/a", "counter/a/c"]),
        Case(
            "exclude by several fields, lists in them",
            two + "matrix: { sources: [a] }\nexclude: [{ workload: pipes, destination: [b, c] }, { control: true }]\n",
            ["+counter/a/a", "counter/a/b", "counter/a/c"]),
        Case(
            "include after exclude",
            two
                + "matrix: { sources: [a], destinations: [b] }\nexclude: [{ workload: pipes }]\n"
                + "include: [{ workload: pipes, source: c, destination: a }]\n",
            ["+counter/a/a", "counter/a/b", "pipes/c/a", "+pipes/c/c"]),
        Case(
            "include wins over exclude",
            one
                + "matrix: { pairs: [[a, b], [b, c]] }\nexclude: [{ control: false }]\ninclude: [{ source: b, destination: c }]\n",
            ["+counter/b/b", "counter/b/c"]),
        Case("only one cell, with its control", one, only: ["native/counter/b/c"], ["+counter/b/b", "counter/b/c"]),
        Case(
            "only by fields", two, only: ["workload=pipes,source=a|b,destination=c"],
            ["+pipes/a/a", "pipes/a/c", "+pipes/b/b", "pipes/b/c"]),
        Case(
            "several selections add up", two, only: ["native/pipes/a/a", "workload=counter,control=true,source=c"],
            ["counter/c/c", "pipes/a/a"]),
    ]

    @Test("which cells a plan has", arguments: cases)
    func cells(_ c: Case) throws {
        let cells = try plan(c.text, only: c.only).cells.map { planned in
            (planned.isAddedControl ? "+" : "") + planned.cell.id.dropFirst("native/".count)
        }
        #expect(cells == c.cells)
    }

    @Test("a plan is sorted, has no cell and no dump twice, and is the same every time")
    func stable() throws {
        let text = Self.two + "runtimes: [native, criu]\n"
        let first = try plan(text)
        #expect(first.cells.map(\.cell) == first.cells.map(\.cell).sorted())
        #expect(Set(first.cells.map(\.cell)).count == first.cells.count)
        #expect(Set(first.dumps).count == first.dumps.count)
        #expect(first.dumps.count == 12)
        #expect(first.cells.count == 36)
        for _ in 0..<5 { #expect(try plan(text) == first) }
        let shuffled = try plan(
            text.replacing("a: , b: , c: ", with: "c: , a: , b: ").replacing(
                "[counter, pipes]", with: "[pipes, counter]"))
        #expect(shuffled.cells == first.cells)
        #expect(shuffled.hosts == first.hosts)
    }

    @Test("what each boot has to do")
    func boots() throws {
        let plan = try plan(Self.two + "matrix: { pairs: [[a, b], [a, c]] }\n")
        #expect(plan.dumpsByHost.mapValues(\.count) == ["a": 2])
        #expect(plan.restoresByDestination.mapValues(\.count) == ["a": 2, "b": 2, "c": 2])
        #expect(plan.hosts.map(\.name) == ["a", "b", "c"])
        let costs = Costs(boot: 10, ready: 1, dump: 1, carry: 1, restore: 1, verify: 1)
        let estimate = plan.estimate(costs: costs, guestsAtOnce: 1)
        #expect(estimate == Estimate(cells: 6, dumps: 2, boots: 4, seconds: 16 + 48))
        #expect(plan.estimate(costs: costs, guestsAtOnce: 2).seconds == 16 + 24)
        #expect(plan.estimate(costs: costs, guestsAtOnce: 100).seconds == 16 + 16)
        #expect(plan.estimate(costs: costs, guestsAtOnce: 1, sharedBoots: true).boots == 3)
        #expect(try PlanTests.onlyA().hosts.map(\.name) == ["a"])
    }

    private static func onlyA() throws -> Plan { try plan(Self.one, only: ["native/counter/a/a"]) }

    @Test("measured costs are medians, and documented where nothing was measured")
    func measured() {
        let times = [100, 300, 200].map { StageTimes(dump: $0, restore: 2 * $0) }
        let cells = times.map { time in
            CellResult(
                cell: Cell(runtime: .native, workload: "w", source: "a", destination: "b"), outcome: .restored,
                stage: nil, health: .ok, finding: nil, expectation: nil, expected: nil, attempts: 1,
                milliseconds: time, imageBytes: 0, reproduce: "")
        }
        let results = Results(
            run: RunSummary(
                id: "r", scenario: "s", title: "", startedAt: "", durationSeconds: 0, crlabVersion: "",
                accelerator: "tcg", qemuVersion: "", boots: 0, counts: RunCounts(cells)), hosts: [:], cells: cells)
        let costs = Costs(measuredIn: results, bootMilliseconds: [2500])
        #expect(costs.dump == 0.2)
        #expect(costs.restore == 0.4)
        #expect(costs.boot == 2.5)
        #expect(costs.verify == Costs.documented.verify)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let only: [String]
        let message: String
    }

    static let mistakes = [
        Mistake(
            testDescription: "everything excluded", text: one + "exclude: [{ workload: counter }]\n", only: [],
            message:
                "the scenario has no cell (s.yaml): 'matrix' and 'exclude' leave nothing to run; widen 'matrix', or take a pattern out of 'exclude'"
        ),
        Mistake(
            testDescription: "nothing matches", text: one + "matrix: { pairs: [[a, b], [b, c]] }\n",
            only: ["source=a,destination=c"],
            message:
                "nothing is selected (source=a,destination=c): none of the 4 cells of the plan matches; 'crlab plan' lists them"
        ),
        Mistake(
            testDescription: "unknown name", text: one, only: ["workload=conter"],
            message: "cannot select cells (workload=conter): the plan has no workload 'conter'; did you mean 'counter'?"
        ),
        Mistake(
            testDescription: "unknown host in a cell", text: one, only: ["native/counter/a/x"],
            message:
                "cannot select cells (native/counter/a/x): the plan has no destination 'x'; did you mean 'a'?"),
        Mistake(
            testDescription: "unknown key", text: one, only: ["wl=counter"],
            message:
                "cannot read the selection (wl=counter): there is no key 'wl'; write KEY=NAME[|NAME…][,KEY=…] with runtime, workload, source, destination, spec, via, chain, control, or a cell's id"
        ),
        Mistake(
            testDescription: "no key", text: one, only: ["counter"],
            message:
                "cannot read the selection (counter): 'counter' is not KEY=NAME; write KEY=NAME[|NAME…][,KEY=…] with runtime, workload, source, destination, spec, via, chain, control, or a cell's id"
        ),
        Mistake(
            testDescription: "key twice", text: one, only: ["source=a,source=b"],
            message:
                "cannot read the selection (source=a,source=b): 'source' is given twice; write KEY=NAME[|NAME…][,KEY=…] with runtime, workload, source, destination, spec, via, chain, control, or a cell's id"
        ),
    ]

    @Test("nothing to run is an error that says why", arguments: mistakes)
    func mistake(_ c: Mistake) {
        let error = #expect(throws: ScenarioError.self) { try plan(c.text, only: c.only) }
        #expect(error?.description == c.message)
    }

    @Test("a matrix that would run for weeks is refused at once")
    func tooMany() throws {
        let hosts = (0..<600).map { "  h\($0):\n" }.joined()
        let text = "defaults: { cpu: Haswell, kernel: debian-6.1 }\nhosts:\n\(hosts)workloads: all\n"
        let error = #expect(throws: ScenarioError.self) { try plan(text) }
        #expect(error == .tooManyCells(file: "s.yaml", cells: 1_440_000, limit: 100_000))
    }
}
