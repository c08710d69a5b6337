import CRModel
import Testing

@testable import LabScenario

struct ShardTests {
    static let texts = [
        threeHosts,
        PlanTests.two + "matrix: { chains: back }\nruntimes: [native, criu]\n",
        "defaults: { kernel: debian-6.1 }\ngrid: { cpu: [Haswell, Nehalem, EPYC, qemu64, max], memory: [256, 512, 1024] }\n"
            + "workloads: all\nmatrix: { around: Haswell_512 }\n",
    ]

    @Test(
        "every cell is in exactly one part, and each part has what its cells need", arguments: texts, [1, 2, 3, 7, 50])
    func exact(text: String, count: Int) throws {
        let plan = try plan(text)
        let parts = ShardCut(plan, costs: .documented).parts(count)
        #expect(parts.joined().sorted() == plan.cells.map(\.cell))
        #expect(parts.count == min(count, plan.cells.count))
        #expect(parts.allSatisfy { !$0.isEmpty })
        for index in 1...count {
            let shard = plan.shard(try #require(Shard(index: index, of: count)))
            let cells = Set(shard.cells.map(\.cell))
            for cell in cells { #expect(cells.isSuperset(of: cell.needs)) }
            #expect(cells == Set(index <= parts.count ? parts[index - 1].flatMap { [$0] + $0.needs } : []))
            for cell in shard.cells { #expect(plan.cells.contains(cell)) }
            #expect(try plan.shard(#require(Shard(index: index, of: count))) == shard)
        }
    }

    @Test("parts take about the same time, and dumps are hardly made twice")
    func balanced() throws {
        let plan = try plan(Self.texts[2])
        let costs = Costs(boot: 1, ready: 1, dump: 1, carry: 0, restore: 1, verify: 0)
        for count in [2, 4] {
            let parts = try (1...count).map { try plan.shard(#require(Shard(index: $0, of: count)), costs: costs) }
            let seconds = parts.map { Double($0.dumps.count * 2 + $0.cells.count + $0.hosts.count) }
            let (longest, mean) = (seconds.max() ?? 0, seconds.reduce(0, +) / Double(count))
            #expect(longest <= 1.15 * mean, "\(seconds)")
            #expect(parts.map(\.dumps.count).reduce(0, +) <= plan.dumps.count + count - 1)
        }
    }

    @Test("measured costs move the cut")
    func measured() throws {
        let plan = try plan(PlanTests.hosts + "workloads: [counter, pipes]\nmatrix: { sources: a }\n")
        var costs = Costs.documented
        costs.measured = [Costs.Work(runtime: .native, workload: "pipes"): .init(dump: 100, restore: 100)]
        let light = try plan.shard(#require(Shard(index: 1, of: 2)), costs: costs)
        let even = try plan.shard(#require(Shard(index: 1, of: 2)))
        #expect(light.cells.count > even.cells.count)
    }

    @Test(
        "shards are written I/N",
        arguments: [
            ("1/1", true), ("2/4", true), ("0/4", false), ("5/4", false), ("2", false), ("2/4/1", false),
            ("-1/4", false), ("1/99999", false), ("a/b", false),
        ])
    func text(text: String, valid: Bool) {
        #expect(Shard(text)?.description == (valid ? text : nil))
    }
}
