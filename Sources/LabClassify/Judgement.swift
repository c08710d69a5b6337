public import CRModel

/// What an attempt comes to: the outcome, where it showed, and why.
public struct Judgement: Codable, Hashable, Sendable {
    /// `nil` exactly when `health` is `miss`.
    public var outcome: Outcome?
    /// The stage at which a failure showed; `nil` for a restored attempt and for a lab failure before any stage.
    public var stage: Stage?
    public var health: Health
    /// `nil` for a restored attempt.
    public var finding: Finding?

    public init(outcome: Outcome?, stage: Stage? = nil, health: Health, finding: Finding? = nil) {
        self.outcome = outcome
        self.stage = stage
        self.health = health
        self.finding = finding
    }

    /// The attempt restored and verified.
    public static let restored = Judgement(outcome: .restored, health: .ok)
}
