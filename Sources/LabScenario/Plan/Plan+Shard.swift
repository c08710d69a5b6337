public import CRModel

extension Plan {
    /// One part of the plan: its share of the cells, and those that they need.
    ///
    /// Every cell belongs to exactly one shard. The same plan, count and costs give the same parts on every machine.
    /// A shard may be empty, when there are more shards than cells.
    ///
    /// - Parameter costs: The same for every shard; what an earlier run measured balances better than what is documented.
    public func shard(_ shard: Shard, costs: Costs = .documented) -> Plan {
        let parts = ShardCut(self, costs: costs).parts(shard.count)
        guard shard.index <= parts.count else { return Plan(scenario, cells: [], notes: notes) }
        var wanted: Set<Cell> = []
        for cell in parts[shard.index - 1] { wanted.formUnion([cell] + cell.needs) }
        return Plan(scenario, cells: cells.filter { wanted.contains($0.cell) }, notes: notes)
    }

    /// The part of the plan that has these cells.
    public func keeping(_ kept: Set<Cell>) -> Plan {
        Plan(scenario, cells: cells.filter { kept.contains($0.cell) }, notes: notes)
    }
}

/// Cuts a plan into parts that take about the same time.
///
/// The cells stand in a row, sorted by source host and dump, and parts are cut out of the row: so a source host boots in
/// few shards, and a dump is made twice only where a cut goes through its cells. Where to cut is found by bisection:
/// the lowest limit under which the row fits into the shards, what a shard repeats included.
struct ShardCut {
    private struct Entry {
        let cell: Cell
        /// Numbers of the hosts, dumps and cells that it takes, each with milliseconds.
        let steps: [(number: Int, milliseconds: Int)]
    }

    private let row: [Entry]
    private let stepCount: Int

    init(_ plan: Plan, costs: Costs) {
        var numbers: [Step: Int] = [:]
        func steps(_ cell: Cell) -> [Step] {
            var steps: [Step] = [.boot(cell.destination), .restore(cell)]
            var key: DumpKey? = cell.dump
            while let dump = key {
                steps += [.boot(dump.host), .dump(dump)]
                key = dump.previous
            }
            return steps
        }
        // The control first: it belongs to the part that has its dump's first cells.
        let sorted = plan.cells.map { (cell: $0.cell, control: $0.cell.control) }.sorted { one, other in
            guard one.control == other.control else {
                return (one.control.source, one.control) < (other.control.source, other.control)
            }
            let (left, right) = (one.cell, other.cell)
            return (left.isControl ? 0 : 1, left.via.count, left) < (right.isControl ? 0 : 1, right.via.count, right)
        }
        row = sorted.map { cell, _ in
            let all = ([cell] + cell.needs).flatMap(steps)
            return Entry(
                cell: cell,
                steps: all.map { step in
                    let number = numbers[step] ?? numbers.count
                    numbers[step] = number
                    return (number, Int((costs.seconds(step) * 1000).rounded()))
                })
        }
        stepCount = numbers.count
    }

    /// The cells of each part; at most `count` parts, none of them empty.
    func parts(_ count: Int) -> [[Cell]] {
        guard !row.isEmpty else { return [] }
        var parts = cut(0..<row.count, into: count)
        // The limit may be met with fewer parts; then the longest ones become shorter still.
        while parts.count < count {
            let costs = parts.map { $0.count > 1 ? cost($0) : 0 }
            guard let longest = costs.max(), longest > 0, let index = costs.firstIndex(of: longest) else { break }
            let halves = cut(parts[index], into: 2)
            guard halves.count == 2 else { break }
            parts.replaceSubrange(index...index, with: halves)
        }
        return parts.map { range in row[range].map(\.cell) }
    }

    /// The parts whose longest is as short as it can be.
    private func cut(_ range: Range<Int>, into count: Int) -> [Range<Int>] {
        var low = 0
        var high = cost(range)
        while low < high {
            let middle = low + (high - low) / 2
            if cuts(range, limit: middle).count <= count { high = middle } else { low = middle + 1 }
        }
        return cuts(range, limit: high)
    }

    /// Fills one part after the other up to a limit; a cell that is over it alone has a part of its own.
    private func cuts(_ range: Range<Int>, limit: Int) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        // For each step the start of the part that has it.
        var seen = [Int](repeating: -1, count: stepCount)
        var (start, load) = (range.lowerBound, 0)
        for index in range {
            let added = row[index].steps.reduce(0) { $0 + (seen[$1.number] == start ? 0 : $1.milliseconds) }
            if index > start, load + added > limit {
                parts.append(start..<index)
                (start, load) = (index, 0)
            }
            for step in row[index].steps where seen[step.number] != start {
                seen[step.number] = start
                load += step.milliseconds
            }
        }
        parts.append(start..<range.upperBound)
        return parts
    }

    /// What a part takes, each of its steps once.
    private func cost(_ range: Range<Int>) -> Int {
        var seen: Set<Int> = []
        return row[range].lazy.flatMap(\.steps).reduce(0) {
            $0 + (seen.insert($1.number).inserted ? $1.milliseconds : 0)
        }
    }
}

/// Something that a shard does once, however many of its cells need it.
enum Step: Hashable, Sendable {
    case boot(HostName)
    case dump(DumpKey)
    case restore(Cell)
}
