import CRModel

/// The expectations that count today. The last rule that matches a cell decides: general rules first, exceptions after.
struct RuleBook {
    let all: [ExpectationRule]
    let today: CalendarDate
    private let counting: [ExpectationRule]
    private let patterns: [CompiledPattern]

    init(_ rules: [ExpectationRule], today: CalendarDate) {
        all = rules
        self.today = today
        counting = rules.filter { !$0.isExpired(on: today) }
        patterns = counting.map { CompiledPattern($0.pattern) }
    }

    /// For each cell the rule that decides; `nil` when none matches.
    func deciding(_ cells: [Cell]) -> [Int?] {
        cells.map { cell in patterns.lastIndex { $0.matches(cell) } }
    }

    func expectation(_ rule: Int?) -> Expectation? { rule.map { counting[$0].expectation } }

    func notes(for cells: [Cell], deciding: [Int?]) -> [String] {
        let deciding = Set(deciding.compactMap(\.self))
        var notes: [String] = []
        for rule in all {
            if let expires = rule.expires, rule.isExpired(on: today) {
                notes.append(
                    "\(rule.place): this expectation expired after \(expires) and no longer counts: "
                        + rule.expectation.because)
                continue
            }
            guard let index = counting.firstIndex(of: rule), !deciding.contains(index) else { continue }
            let matches = cells.contains { rule.pattern.matches($0) }
            notes.append(
                "\(rule.place): this expectation "
                    + (matches ? "decides nothing: later ones match all its cells" : "matches no cell"))
        }
        return notes
    }
}
