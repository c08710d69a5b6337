import CRModel

/// The expectations that count today. The last rule that matches a cell decides: general rules first, exceptions after.
struct RuleBook {
    let all: [ExpectationRule]
    let today: CalendarDate
    private let counting: [ExpectationRule]

    init(_ rules: [ExpectationRule], today: CalendarDate) {
        all = rules
        self.today = today
        counting = rules.filter { !$0.isExpired(on: today) }
    }

    func expectation(for cell: Cell) -> Expectation? {
        counting.last { $0.pattern.matches(cell) }?.expectation
    }

    func notes(for cells: [Cell]) -> [String] {
        let deciding = Set(cells.compactMap { cell in counting.lastIndex { $0.pattern.matches(cell) } })
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
