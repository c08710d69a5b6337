/// What `crlab explain REASON` prints.
public struct ReasonGuide: Sendable, Equatable {
    /// What it means, one or two sentences.
    public let meaning: String
    /// What evidence leads to it.
    public let evidence: String
    /// What usually helps.
    public let remedy: String
}

extension Reason {
    /// What usually helps, one sentence.
    public var remedy: String { guide.remedy }

    /// The reason's documentation.
    public var guide: ReasonGuide {
        ReasonGuide(meaning: rawValue, evidence: "", remedy: "")
    }
}
