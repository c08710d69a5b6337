import CRModel
import Foundation
import LabScenario
import LabStore
import Testing

@testable import StoreVictim

/// A run that is cut into shards and merged again is the run that was never cut.
struct MergeTests {
    static let scenario = """
        defaults: { kernel: debian-6.1 }
        hosts: { a: { cpu: Haswell }, b: { cpu: Nehalem }, c: { cpu: SandyBridge }, d: { cpu: EPYC } }
        workloads: [counter, pipes]
        runtimes: [native, criu]
        exclude: [{ runtime: criu, source: [b, c] }, { workload: pipes, source: c, destination: a }]
        matrix: { chains: [[a, b, a], [b, c, d]] }
        expect: [{ outcome: restored, because: so }]

        """

    static func plan() throws -> Plan {
        let catalogue = Catalogue(workloads: ["counter", "pipes", "threads"])
        let scenario = try Scenario.parse(Self.scenario, file: "s.yaml", catalogue: catalogue)
        return try Plan(scenario, today: CalendarDate(secondsSince1970: 1_795_000_000))
    }

    static func stored(_ plan: Plan) -> RunPlan {
        RunPlan(
            hosts: plan.hosts,
            cells: plan.cells.map { RunPlan.PlannedCell(cell: $0.cell, expectation: $0.expectation) })
    }

    /// What becomes of a cell, whoever runs it.
    static func result(_ cell: Cell, run: String, outcome: Outcome?? = nil) -> CellResult {
        let number = cell.id.utf8.reduce(7) { ($0 &* 31 &+ Int($1)) & 0xffff }
        let usual: Outcome = cell.isControl || number % 4 > 0 ? .restored : number % 8 == 0 ? .broke : .refused
        var result = sampleResult(cell, outcome: outcome ?? usual)
        if let outcome = result.outcome, outcome != .restored {
            result.stage = .restore
            result.finding = Finding(
                reason: .cpuInstructionMissing, confidence: .suspected, summary: "\(cell)", evidence: [])
        }
        result.reproduce = "crlab repro \(run) \(cell.id)"
        return result
    }

    static func host(_ spec: HostSpec, kernel: String = "6.1.0") -> HostResult {
        HostResult(
            spec: spec,
            fingerprint: HostFingerprint(
                cpu: CPUFingerprint(
                    vendor: "v", brand: "b", family: 1, model: 1, stepping: 1, features: ["fpu", spec.cpu], xcr0: 7,
                    xstateBytes: 832, physicalAddressBits: 40, virtualAddressBits: 48, tscKilohertz: 1),
                kernel: KernelFingerprint(
                    release: kernel, version: "#1", commandLine: "", probe: [:], vdso: "", vdsoSymbols: []),
                userland: UserlandFingerprint(name: "Debian", libc: "2.36", diskImage: "d"), runtimes: [:],
                memoryBytes: 1),
            packages: ["linux": kernel])
    }

    /// Records a run of a part as the runner would.
    static func run(
        _ id: String, _ whole: Plan, shard: Shard?, in folder: TemporaryFolder, costs: Costs = .documented,
        text: String = scenario, kernel: String = "6.1.0", finished: Bool = true,
        outcome: (Cell) -> Outcome?? = { _ in nil }
    ) async throws -> String {
        let part = shard.map { whole.shard($0, costs: costs) } ?? whole
        let path = folder.file(id)
        let store = try RunStore.create(
            at: path,
            run: RunDescription(
                id: id, scenarioName: "s", title: "", scenarioText: text, scenarioFile: "s.yaml",
                workloads: whole.scenario.workloads, startedAt: "2026-11-21T10:15:30Z", accelerator: "tcg",
                qemuVersion: "10", shard: shard, wholePlanHash: try shard.map { _ in try stored(whole).hash() }),
            plan: stored(part))
        for host in part.hosts {
            try await store.recordBoot(host: host.name, purpose: "dump", milliseconds: 5)
            try await store.recordHost(Self.host(host, kernel: kernel))
        }
        for key in part.dumps {
            try await store.recordDump(
                key, DumpRecord(evidence: StageEvidence(stage: .dump, ending: .done), image: nil, boot: 1))
        }
        for cell in part.cells.map(\.cell).dropLast(finished ? 0 : 1) {
            try await store.recordAttempt(sampleAttempt(cell, boot: part.hosts.count))
            try await store.recordCell(result(cell, run: id, outcome: outcome(cell)))
        }
        if finished { try await store.finish() }
        try await store.close()
        return path
    }

    /// Everything but what a run of its own has: identifier, boots, time.
    private static func comparable(_ path: String, id: String) throws -> String {
        var results = try RunReader.open(at: path).results()
        results.run.id = ""
        results.run.durationSeconds = 0
        results.run.boots = 0
        results.run.mergedFrom = nil
        for index in results.cells.indices {
            results.cells[index].reproduce = results.cells[index].reproduce.replacing(id, with: "RUN")
        }
        return try JSONCoder.text(of: results, pretty: true)
    }

    @Test("one result whichever way it was cut and in whatever order it is merged", arguments: [1, 3, 7, 60])
    func anyCut(count: Int) async throws {
        let folder = try TemporaryFolder()
        let plan = try Self.plan()
        let whole = try await Self.run("whole", plan, shard: nil, in: folder)
        var runs: [String] = []
        for index in 1...count {
            runs.append(
                try await Self.run("part-\(index)", plan, shard: Shard(index: index, of: count), in: folder))
        }
        let expected = try Self.comparable(whole, id: "whole")
        for order in [runs, runs.reversed(), runs.filter { $0.hasSuffix("2") } + runs] {
            let merged = folder.file("merged-\(UUID().uuidString)")
            try await RunMerge(folders: order).write(to: merged, id: "merged", runName: "merged")
            #expect(try Self.comparable(merged, id: "merged") == expected)
            let reader = try RunReader.open(at: merged)
            #expect(try reader.pendingCells() == [])
            #expect(try reader.results().run.mergedFrom?.count == count)
            for cell in plan.cells.map(\.cell) { #expect(try reader.attempts(of: cell).count == 1) }
            #expect(try reader.dumps().keys.sorted() == plan.dumps)
            let boots = Set(try reader.boots().map(\.id))
            #expect(try reader.dumps().values.allSatisfy { $0.boot.map(boots.contains) ?? false })
        }
    }

    private static func problem(_ folders: [String]) -> MergeProblem? {
        do {
            _ = try RunMerge(folders: folders)
            return nil
        } catch {
            if case .merge(let problem) = error { return problem }
            return nil
        }
    }

    @Test("what cannot be merged is named")
    func mistakes() async throws {
        let folder = try TemporaryFolder()
        let plan = try Self.plan()
        let half = { (index: Int) in try #require(Shard(index: index, of: 2)) }
        let one = try await Self.run("one", plan, shard: half(1), in: folder)
        let two = try await Self.run("two", plan, shard: half(2), in: folder)
        #expect(Self.problem([one, two]) == nil)
        #expect(Self.problem([]) == MergeProblem.none)
        #expect(Self.problem([two]) == .missing([1], of: 2))
        let whole = try await Self.run("whole", plan, shard: nil, in: folder)
        #expect(Self.problem([one, whole]) == .notAShard(run: "whole"))
        let third = try await Self.run("third", plan, shard: Shard(index: 2, of: 3), in: folder)
        #expect(Self.problem([one, third]) == .differ(what: "number of shards", first: "one", second: "third"))
        let other = try await Self.run("other", plan, shard: half(2), in: folder, text: Self.scenario + "# new\n")
        #expect(Self.problem([one, other]) == .differ(what: "scenario", first: "one", second: "other"))
        let fewer = try Plan(
            plan.scenario, today: CalendarDate(secondsSince1970: 0), only: [CellSelection(parsing: "workload=counter")])
        let only = try await Self.run("only", fewer, shard: half(2), in: folder)
        #expect(Self.problem([one, only]) == .differ(what: "plan", first: "one", second: "only"))
        let kernel = try await Self.run("kernel", plan, shard: half(2), in: folder, kernel: "6.1.1")
        #expect(
            [one, kernel].permuted.compactMap(Self.problem).allSatisfy { problem in
                if case .host(_, "kernel", "one", "kernel") = problem { true } else { false }
            })
    }

    @Test("a shard that was killed counts when it was continued, or another run of it was finished")
    func killed() async throws {
        let folder = try TemporaryFolder()
        let plan = try Self.plan()
        let half = { (index: Int) in try #require(Shard(index: index, of: 2)) }
        let one = try await Self.run("one", plan, shard: half(1), in: folder)
        let killed = try await Self.run("killed", plan, shard: half(2), in: folder, finished: false)
        #expect(Self.problem([one, killed]) == .unfinished(run: "killed", shard: try half(2), cells: 1))
        let again = try await Self.run("again", plan, shard: half(2), in: folder)
        #expect(Self.problem([one, killed, again]) == nil)
    }

    @Test("of two runs of a shard the outcome counts, not the lab failure; two outcomes must agree")
    func repeated() async throws {
        let folder = try TemporaryFolder()
        let plan = try Self.plan()
        let half = { (index: Int) in try #require(Shard(index: index, of: 2)) }
        let one = try await Self.run("one", plan, shard: half(1), in: folder)
        let cell = try #require(plan.shard(half(2)).cells.last?.cell)
        let missed = try await Self.run("a-missed", plan, shard: half(2), in: folder) { $0 == cell ? .some(nil) : nil }
        let good = try await Self.run("b-good", plan, shard: half(2), in: folder)
        let merged = folder.file("merged")
        try await RunMerge(folders: [one, missed, good]).write(to: merged, id: "m", runName: "m")
        let outcome = try RunReader.open(at: merged).results().cells.first { $0.cell == cell }?.outcome
        #expect(outcome == Self.result(cell, run: "").outcome)
        let wrong = try await Self.run("c-wrong", plan, shard: half(2), in: folder) { $0 == cell ? .some(.broke) : nil }
        let problem = Self.problem([one, missed, good, wrong])
        guard case .cell(let found, _, "b-good", _, "c-wrong") = problem else {
            Issue.record("\(String(describing: problem))")
            return
        }
        #expect(found == cell)
    }
}

extension [String] {
    fileprivate var permuted: [[String]] { [self, reversed()] }
}
