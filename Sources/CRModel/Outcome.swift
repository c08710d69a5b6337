/// What an attempt showed.
public enum Outcome: String, Codable, Sendable, CaseIterable {
    /// The workload was restored and verified itself.
    case restored
    /// A runtime said no, at dump or at restore.
    case refused
    /// The runtime said yes, then the workload died, hung or gave a wrong answer.
    case broke
}

/// Part of an attempt.
public enum Stage: String, Codable, Sendable, CaseIterable {
    case dump, restore, verify
}

/// Whether the attempt says anything at all.
public enum Health: String, Codable, Sendable, CaseIterable {
    case ok
    /// A runtime or a workload's own tool crashed.
    case error
    /// The lab failed: no boot, no channel, deadline. Never an outcome, never an incompatibility.
    case miss
}

/// How sure a finding is.
public enum Confidence: String, Codable, Sendable, CaseIterable {
    /// By experiment: with only this factor put back, it works.
    case proven
    /// Several independent pieces of evidence agree.
    case supported
    /// One piece of evidence says so.
    case suspected
}

/// Why an attempt ended as it did.
public struct Finding: Codable, Hashable, Sendable {
    public var category: Category
    public var reason: Reason
    public var confidence: Confidence
    /// One sentence that names the fact that differs and the host it differs on.
    public var summary: String
    /// What to do about it, one sentence.
    public var remedy: String
    public var evidence: [EvidenceItem]

    public init(
        reason: Reason, confidence: Confidence, summary: String, remedy: String? = nil, evidence: [EvidenceItem]
    ) {
        category = reason.category
        self.reason = reason
        self.confidence = confidence
        self.summary = summary
        self.remedy = remedy ?? reason.remedy
        self.evidence = evidence
    }
}

/// One piece of evidence, as text for people; `kind` says what it is for programs.
public struct EvidenceItem: Codable, Hashable, Sendable {
    /// `signal`, `instruction`, `mapping`, `symbol`, `cpu-difference`, `kernel-difference`, `runtime-log`,
    /// `kernel-log`, `workload`, `file-difference`, `control`, `refusal`, `console`.
    public var kind: String
    public var text: String

    public init(kind: String, text: String) {
        self.kind = kind
        self.text = text
    }
}
