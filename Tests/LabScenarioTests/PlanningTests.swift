import CRModel
import Testing

@testable import LabScenario

/// Ways to plan less than everything, and more than pairs.
struct PlanningTests {
    static let catalogue = Catalogue(
        workloads: ["counter", "object-a", "object-b", "pipes"], sets: ["objects": ["object-a", "object-b"]],
        runtimes: ["criu-3.17", "criu-4.1", "native"], kernels: ["debian-5.10", "debian-6.1", "debian-newest"],
        userlands: ["debian-12", "debian-13"])

    static func read(_ text: String) throws -> Scenario { try scenario(text, catalogue: catalogue) }

    static func planned(_ text: String) throws -> Plan { try Plan(read(text), today: day("2026-11-21")) }

    static let grid = """
        grid:
          cpu: { haswell: Haswell, nehalem: Nehalem }
          kernel: [debian-*, '!debian-newest']
          userland: debian-*

        """

    @Test("a grid has a host for every combination, named by its values")
    func hostGrid() throws {
        let read = try Self.read(Self.grid + "workloads: counter\n")
        #expect(
            read.hosts.map(\.name.rawValue) == [
                "haswell_debian-5.10_debian-12", "haswell_debian-5.10_debian-13", "haswell_debian-6.1_debian-12",
                "haswell_debian-6.1_debian-13", "nehalem_debian-5.10_debian-12", "nehalem_debian-5.10_debian-13",
                "nehalem_debian-6.1_debian-12", "nehalem_debian-6.1_debian-13",
            ])
        #expect(read.host("nehalem_debian-6.1_debian-13")?.cpu == "Nehalem")
        #expect(read.host("nehalem_debian-6.1_debian-13")?.userland == "debian-13")
    }

    @Test("values name hosts without what names cannot have, and stand beside listed hosts and defaults")
    func gridNames() throws {
        let read = try Self.read(
            """
            defaults: { kernel: debian-6.1, memory: 256 }
            hosts: { plain: { cpu: qemu64 } }
            grid: { cpu: ['Haswell,-avx2', 'SandyBridge,+avx2'], memory: [512, 1024] }
            workloads: counter
            """)
        #expect(
            read.hosts.map { "\($0.name) \($0.cpu) \($0.kernel) \($0.memoryMebibytes)" } == [
                "plain qemu64 debian-6.1 256", "Haswell-avx2_512 Haswell,-avx2 debian-6.1 512",
                "Haswell-avx2_1024 Haswell,-avx2 debian-6.1 1024",
                "SandyBridge+avx2_512 SandyBridge,+avx2 debian-6.1 512",
                "SandyBridge+avx2_1024 SandyBridge,+avx2 debian-6.1 1024",
            ])
    }

    @Test("around a host: every host that differs in exactly one factor, both directions")
    func around() throws {
        let text = Self.grid + "workloads: counter\nmatrix: { around: haswell_debian-6.1_debian-12 }\n"
        let cells = try Self.planned(text).cells.filter { !$0.isAddedControl }
            .map { "\($0.cell.source) \($0.cell.destination)" }
        let near = ["haswell_debian-5.10_debian-12", "haswell_debian-6.1_debian-13", "nehalem_debian-6.1_debian-12"]
        let reference = "haswell_debian-6.1_debian-12"
        #expect(Set(cells) == Set(near.flatMap { ["\(reference) \($0)", "\($0) \(reference)"] }))
        let oneWay = try Self.planned(text.replacing("debian-12 }\n", with: "debian-12, sources: \(reference) }\n"))
        #expect(Set(oneWay.cells.filter { !$0.cell.isControl }.map(\.cell.source)) == [HostName(reference)])
        #expect(oneWay.cells.count == 4)
    }

    static let three = "defaults: { cpu: Haswell, kernel: debian-6.1 }\nhosts: { a: , b: , c: }\nworkloads: counter\n"

    @Test("a chain brings its control and every shorter chain, and a dump for each stop")
    func chains() throws {
        let plan = try Self.planned(
            Self.three + "matrix: { pairs: [[c, c]], chains: [[a, b, c, a], [a, a, b]] }\n")
        #expect(
            plan.cells.map { ($0.isAddedControl ? "+" : "") + $0.cell.id } == [
                "+native/counter/a/a", "native/counter/a:b:c/a", "+native/counter/a/b", "native/counter/a:a/b",
                "+native/counter/a:b/c", "native/counter/c/c",
            ])
        #expect(
            plan.dumpsByHost.mapValues { $0.map { ($0.via.map(\.rawValue)) } } == [
                "a": [[], ["a"]], "b": [["b"]], "c": [["b", "c"], []],
            ])
        for cell in plan.cells.map(\.cell) { #expect(Cell(id: cell.id) == cell) }
    }

    @Test("there and back for every pair of the matrix, and patterns that know chains")
    func backAndPatterns() throws {
        let text = Self.three + "matrix: { pairs: [[a, b], [a, c]], chains: back }\n"
        let ids = try Self.planned(text).cells.map(\.cell.id)
        #expect(
            ids == [
                "native/counter/a/a", "native/counter/a:b/a", "native/counter/a:c/a", "native/counter/a/b",
                "native/counter/a/c",
            ])
        let without = try Self.planned(text + "exclude: [{ via: b }]\n").cells.map(\.cell.id)
        #expect(without == ids.filter { $0 != "native/counter/a:b/a" })
        let rules =
            "expect: [{ outcome: restored, because: x }, { match: { chain: true }, outcome: broke, because: y }]\n"
        #expect(try Self.planned(text + rules).cells.filter { $0.expectation?.outcome == .broke }.count == 2)
        let one = try Plan(
            Self.read(text), today: day("2026-11-21"), only: [CellSelection(parsing: "native/counter/a:c/a")])
        #expect(one.cells.map(\.cell.id) == ["native/counter/a/a", "native/counter/a:c/a", "native/counter/a/c"])
    }

    struct Cover: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let strength: Int
        let constraints: String
    }

    static let covers = [
        Cover(testDescription: "each value", strength: 1, constraints: ""),
        Cover(testDescription: "pairwise", strength: 2, constraints: ""),
        Cover(testDescription: "three-way", strength: 3, constraints: ""),
        Cover(
            testDescription: "pairwise with constraints", strength: 2,
            constraints:
                "exclude: [{ runtime: criu-*, workload: objects }, { source: nehalem_*, destination: haswell_* }]\n"
        ),
        Cover(
            testDescription: "pairwise with a row that must be in it", strength: 2,
            constraints: "exclude: [{ workload: pipes }]\ninclude: [{ workload: pipes, runtime: native, "
                + "source: nehalem_debian-5.10_debian-13, destination: haswell_debian-6.1_debian-12 }]\n"),
    ]

    /// Written anew, from the definition: the combinations of `strength` factors' values in cross-host cells.
    private static func combinations(_ plan: Plan, strength: Int) -> Set<[String]> {
        var found: Set<[String]> = []
        for cell in plan.cells.map(\.cell) where !cell.isControl {
            let hosts = [("source", cell.source), ("destination", cell.destination)].flatMap { role, name in
                name.rawValue.split(separator: "_").enumerated().map { "\(role) \($0): \($1)" }
            }
            let values = ["\(cell.runtime)", "\(cell.workload)"] + hosts
            func add(_ from: Int, _ taken: [String]) {
                if taken.count == strength { found.insert(taken) }
                guard taken.count < strength else { return }
                for index in from..<max(from, values.count) { add(index + 1, taken + [values[index]]) }
            }
            add(0, [])
        }
        return found
    }

    @Test("every combination that any allowed cell has still occurs, in few cells", arguments: covers)
    func covering(_ c: Cover) throws {
        let text = Self.grid + "workloads: all\nruntimes: '*'\n" + c.constraints
        let whole = try Self.planned(text)
        let thin = try Self.planned(text + "matrix: { cover: \(c.strength) }\n")
        let cross = { (plan: Plan) in plan.cells.map(\.cell).filter { !$0.isControl } }
        #expect(Self.combinations(thin, strength: c.strength) == Self.combinations(whole, strength: c.strength))
        #expect(Set(cross(thin)).isSubset(of: cross(whole)))
        // The least possible is the product of the largest factors: 3 runtimes, 4 workloads, 2 each of the hosts' six.
        let least = [1: 4, 2: 12, 3: 24][c.strength] ?? 0
        #expect(cross(thin).count <= 2 * least, "\(cross(thin).count) of \(cross(whole).count) cells")
        #expect(try Self.planned(text + "matrix: { cover: \(c.strength) }\n") == thin)
        if c.constraints.contains("include") { #expect(cross(thin).contains { $0.workload == "pipes" }) }
    }

    static let choices: [(words: [String], names: [String])] = [
        (["a-1"], ["a-1"]), (["a-*"], ["a-1", "a-2"]), (["*-1"], ["a-1", "b-1"]), (["*"], ["a-1", "a-2", "b-1"]),
        (["!b-1"], ["a-1", "a-2"]), (["b-1", "a-*", "!*-1"], ["a-2"]), (["a*1"], ["a-1"]),
        (["b-1", "*"], ["b-1", "a-1", "a-2"]),
        (["!c-*"], ["a-1", "a-2", "b-1"]), (["!c"], []), (["a-1*1"], []), (["c-*"], []),
    ]

    @Test("words choose from names", arguments: choices)
    func choice(words: [String], names: [String]) {
        #expect(Choice.names(words, among: ["a-1", "a-2", "b-1"]).names == names)
    }
}
