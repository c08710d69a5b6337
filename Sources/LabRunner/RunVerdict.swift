public import CRModel

/// What a run as a whole says, and the status that the command exits with.
public enum RunVerdict: Sendable, Equatable {
    /// Every outcome is as expected, and something was restored.
    case asExpected
    /// Some outcomes contradict their expectation: trying again does not help.
    case unexpected(Int)
    /// Hosts took a damaged image for whole, so that their outcomes show nothing.
    case controlsFailed(Int)
    /// The lab could not find everything out: trying again may help.
    case labFailed(misses: Int)
    /// Everything went as written, yet no cell was restored: such a run shows nothing.
    case nothingRestored

    /// - Parameter allowFlaky: An outcome that is not as expected, and not the same each time, does not count.
    public init(_ results: Results, allowFlaky: Bool = false) {
        let counts = results.run.counts
        let unexpected =
            allowFlaky ? results.cells.count { $0.expected == false && !$0.isFlaky } : counts.unexpected
        let untrue = results.controls.count { $0.kind == .knownFault && $0.passed == false }
        if unexpected > 0 {
            self = .unexpected(unexpected)
        } else if untrue > 0 {
            self = .controlsFailed(untrue)
        } else if counts.misses > 0 || counts.cells == 0 && results.run.shard == nil {
            self = .labFailed(misses: counts.misses)
        } else if counts.restored == 0, results.run.shard == nil {
            // Of a part nothing follows: it may have no cell, or none that can be restored.
            self = .nothingRestored
        } else {
            self = .asExpected
        }
    }

    /// 0, 1 or 69, as the design's section on files says.
    public var exitStatus: Int32 {
        switch self {
        case .asExpected: 0
        case .unexpected, .controlsFailed, .nothingRestored: 1
        case .labFailed: 69
        }
    }

    /// One sentence for people.
    public var sentence: String {
        switch self {
        case .asExpected: "every outcome is as expected"
        case .unexpected(1): "1 outcome is not as expected"
        case .unexpected(let count): "\(count) outcomes are not as expected"
        case .controlsFailed(let count):
            "a damaged image was not refused (\(count) times), so what was restored there shows nothing"
        case .labFailed(0): "no cell was run"
        case .labFailed(let misses):
            "the lab failed in \(misses) cells; `crlab run --resume` does not repeat them, a new run does"
        case .nothingRestored: "nothing was restored, so the run shows nothing"
        }
    }
}
