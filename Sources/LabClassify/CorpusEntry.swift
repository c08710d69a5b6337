public import CRModel

/// One failure of the corpus: evidence with the answer that classification must give, so that rules are tested without
/// any VM. `Tests/LabClassifyTests/Corpus/NAME.json`; `crlab` writes one from a run.
public struct CorpusEntry: Codable, Hashable, Sendable {
    /// Where the evidence comes from, as far as it can be trusted.
    public enum Origin: String, Codable, Sendable, CaseIterable {
        /// Left behind by an attempt of crlab between two guests.
        case run
        /// Taken from a real program or guest by hand, with host facts added.
        case captured
        /// The decisive log line is quoted from a public report; the rest is made up around it.
        case reported
        /// Made up after documentation, or after the strings of a program.
        case constructed
    }

    /// The answer.
    public struct Expected: Codable, Hashable, Sendable {
        /// `nil` for a lab failure.
        public var outcome: Outcome?
        public var category: Category
        public var reason: Reason
        /// `nil` accepts any.
        public var confidence: Confidence?

        public init(outcome: Outcome?, category: Category, reason: Reason, confidence: Confidence? = nil) {
            self.outcome = outcome
            self.category = category
            self.reason = reason
            self.confidence = confidence
        }
    }

    public var name: String
    public var origin: Origin
    /// What is known about it beyond the evidence: run, machine, link; empty when nothing is.
    public var note: String
    public var expected: Expected
    /// The judgement of the control cell; `nil` when there is none.
    public var control: Judgement?
    public var evidence: AttemptEvidence

    public init(
        name: String, origin: Origin, note: String, expected: Expected, control: Judgement?, evidence: AttemptEvidence
    ) {
        self.name = name
        self.origin = origin
        self.note = note
        self.expected = expected
        self.control = control
        self.evidence = evidence
    }

    /// An entry for an attempt of a run, with the answer that a person confirms before it is kept.
    public init(
        exporting evidence: AttemptEvidence, control: Judgement?, judgement: Judgement, note: String
    ) {
        let reason = judgement.finding?.reason ?? .unclassified
        self.init(
            name: evidence.cell.id.map { $0 == "/" ? "-" : String($0) }.joined(), origin: .run, note: note,
            expected: Expected(
                outcome: judgement.outcome, category: reason.category, reason: reason, confidence: nil),
            control: control, evidence: evidence)
    }

    /// The file's text: pretty JSON with sorted keys.
    ///
    /// - Throws: What the encoder throws, for a floating-point value that JSON cannot hold; entries have none.
    public func json() throws -> String {
        try JSONCoder.text(of: self, pretty: true)
    }

    /// Reads the file's text.
    ///
    /// - Throws: `JSONError`, or the decoding error of the member that does not fit.
    public init(json: String) throws {
        self = try JSONCoder.decode(CorpusEntry.self, from: json)
    }
}
