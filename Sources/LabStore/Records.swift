public import CRModel

/// A file of the image store.
public struct StoredImage: Codable, Hashable, Sendable {
    /// SHA-256 of the content, hexadecimal.
    public var digest: String
    public var bytes: UInt64

    public init(digest: String, bytes: UInt64) {
        self.digest = digest
        self.bytes = bytes
    }
}

/// What one dump left behind.
public struct DumpRecord: Codable, Hashable, Sendable {
    public var evidence: StageEvidence
    /// `nil` when the dump made no image.
    public var image: StoredImage?
    /// The boot of the source host that it was made in; `nil` when there was none.
    public var boot: Int?

    public init(evidence: StageEvidence, image: StoredImage?, boot: Int?) {
        self.evidence = evidence
        self.image = image
        self.boot = boot
    }
}

/// One execution of a cell.
public struct AttemptRecord: Codable, Hashable, Sendable {
    public var cell: Cell
    /// Counted from 1 for each cell; the store gives it, whatever was set.
    public var number: Int
    /// The boot of the destination host; `nil` when it never booted.
    public var boot: Int?
    /// ISO 8601, UTC.
    public var startedAt: String
    public var milliseconds: StageTimes
    /// In a fresh guest that ran nothing else.
    public var alone: Bool
    public var evidence: AttemptEvidence
    /// It repeats a failure that an earlier attempt showed; `nil` for no.
    public var confirms: Bool?

    public init(
        cell: Cell, number: Int = 0, boot: Int?, startedAt: String, milliseconds: StageTimes, alone: Bool,
        evidence: AttemptEvidence, confirms: Bool? = nil
    ) {
        self.cell = cell
        self.number = number
        self.boot = boot
        self.startedAt = startedAt
        self.milliseconds = milliseconds
        self.alone = alone
        self.evidence = evidence
        self.confirms = confirms
    }
}

/// One boot of a host.
public struct BootRecord: Codable, Hashable, Sendable {
    public var id: Int
    public var host: HostName
    /// ``template``, or what the guest was for: `dump`, `restore`…, after ``clonePrefix`` when it was cloned.
    public var purpose: String
    /// How long it took to the agent's answer; `nil` when it did not come to that.
    public var milliseconds: Int?

    /// A guest that was booted to be cloned and did nothing else.
    public static let template = "template"
    /// Before the purpose of a guest that was not booted but cloned.
    public static let clonePrefix = "clone: "
}

/// Something that happened and is no cell's own: a tainted guest, a resumed run.
public struct EventRecord: Codable, Hashable, Sendable {
    /// ISO 8601, UTC.
    public var at: String
    public var kind: String
    public var text: String
}
