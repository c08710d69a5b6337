public import CRModel

/// What a scenario expects of the cells that a pattern matches. Of several rules that match, the last one counts.
public struct ExpectationRule: Sendable, Hashable {
    public var pattern: CellPattern
    public var expectation: Expectation
    /// The last day on which the rule counts; `nil` for ever. After it the rule is as if it were not there.
    public var expires: CalendarDate?
    public var place: Place

    public init(pattern: CellPattern, expectation: Expectation, expires: CalendarDate?, place: Place) {
        self.pattern = pattern
        self.expectation = expectation
        self.expires = expires
        self.place = place
    }

    public func isExpired(on today: CalendarDate) -> Bool {
        expires.map { $0 < today } ?? false
    }
}
