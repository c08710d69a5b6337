/// Finds what a person meant to type.
enum Spelling {
    /// The known name nearest to `name`; `nil` when none is near enough to be a slip of the finger.
    static func closest(to name: String, among known: [String]) -> String? {
        let lowered = Array(name.lowercased().unicodeScalars.prefix(64))
        // One slip per three letters: fewer makes short names match anything.
        let allowed = max(1, lowered.count / 3)
        let best = known.map { (distance(lowered, Array($0.lowercased().unicodeScalars.prefix(64))), $0) }.min {
            $0 < $1
        }
        guard let best, best.0 <= allowed else { return nil }
        return best.1
    }

    /// Edits (insert, delete, replace, swap neighbours) between two names.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in 1...left.count {
            var current = [row] + Array(repeating: 0, count: right.count)
            for column in 1...right.count {
                let cost = left[row - 1] == right[column - 1] ? 0 : 1
                current[column] = min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + cost)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    current[column] = min(current[column], beforePrevious[column - 2] + 1)
                }
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
