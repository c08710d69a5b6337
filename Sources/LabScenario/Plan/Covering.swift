import CRModel

/// Chooses few of the allowed cells so that every combination of values which any `strength` factors can have together
/// still occurs.
///
/// Factors are runtime, workload, spec, and for source and destination host each what the hosts differ in. Choosing from
/// the cells themselves makes every constraint of a scenario hold by construction: a combination that no allowed cell
/// has cannot be asked for. Greedy: always a cell that adds the most combinations, the first in order among equals; so
/// the choice is the same every time.
struct Covering {
    /// More than this asks for nearly everything anyway.
    static let maximumStrength = 4

    private let rowCount: Int
    /// Combinations of factors, and so numbers in each row.
    private let width: Int
    /// Row after row: for each combination of factors the number of the combination of values that the row has.
    private let numbers: [Int32]
    private let numberCount: Int

    /// - Parameters:
    ///   - cells: The candidates, sorted.
    ///   - strength: How many factors; more than there are count as all.
    init(_ cells: [Cell], hosts: HostFactors, strength: Int) {
        var runtimes = Numbering<RuntimeName>()
        var workloads = Numbering<WorkloadName>()
        var specs = Numbering<SpecName>()
        let factors = 3 + 2 * hosts.names.count
        let chosen = Self.combinations(of: factors, taking: min(max(1, strength), Self.maximumStrength, factors))
        // Every value is below 2^16 (a scenario has fewer names than that), so that four fit a word.
        var combinations = [Numbering<UInt64>](repeating: Numbering(), count: chosen.count)
        var local: [Int32] = []
        local.reserveCapacity(cells.count * chosen.count)
        for cell in cells {
            let row =
                [runtimes[cell.runtime], workloads[cell.workload], specs[cell.spec]]
                + (hosts.values[cell.source] ?? []) + (hosts.values[cell.destination] ?? [])
            for (place, columns) in chosen.enumerated() {
                let key = columns.reduce(UInt64(0)) { $0 << 16 | UInt64(row[$1]) }
                local.append(Int32(combinations[place][key]))
            }
        }
        var bases: [Int32] = []
        var next: Int32 = 0
        for combination in combinations {
            bases.append(next)
            next += Int32(combination.count)
        }
        rowCount = cells.count
        width = chosen.count
        for index in local.indices { local[index] += bases[index % max(1, width)] }
        numbers = local
        numberCount = Int(next)
    }

    /// How many combinations the candidates have together.
    var combinations: Int { numberCount }

    private func row(_ index: Int) -> ArraySlice<Int32> { numbers[index * width..<(index + 1) * width] }

    /// Positions of the chosen cells, sorted.
    ///
    /// - Parameter first: Positions that are in the choice in any case.
    func choose(including first: [Int]) -> [Int] {
        var covered = [Bool](repeating: false, count: numberCount)
        func gain(_ index: Int) -> Int { row(index).count { !covered[Int($0)] } }
        var chosen = first
        for index in first { for number in row(index) { covered[Int(number)] = true } }
        // What a candidate adds only ever falls, so one that was looked at need not be looked at again before the
        // others have fallen as low.
        var waiting: [[Int]] = [[]]
        for index in 0..<rowCount {
            let gain = gain(index)
            while waiting.count <= gain { waiting.append([]) }
            waiting[gain].append(index)
        }
        for level in waiting.indices.reversed() where level > 0 {
            var fallen: [Int: [Int]] = [:]
            for index in waiting[level].sorted() {
                let gain = gain(index)
                if gain < level {
                    fallen[gain, default: []].append(index)
                    continue
                }
                chosen.append(index)
                for number in row(index) { covered[Int(number)] = true }
            }
            for (gain, indices) in fallen where gain > 0 { waiting[gain] += indices }
        }
        return Set(chosen).sorted()
    }

    private static func combinations(of count: Int, taking: Int) -> [[Int]] {
        guard taking > 0 else { return [[]] }
        return (0..<count).flatMap { last in
            combinations(of: last, taking: taking - 1).map { $0 + [last] }
        }
    }
}

/// Gives equal values equal numbers, from 0.
private struct Numbering<Value: Hashable> {
    private var numbers: [Value: Int] = [:]

    var count: Int { numbers.count }

    subscript(_ value: Value) -> Int {
        mutating get {
            if let number = numbers[value] { return number }
            numbers[value] = numbers.count
            return numbers.count - 1
        }
    }
}
