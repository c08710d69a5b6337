public import CRModel

/// Why a run could not be made or go on. What an experiment shows is never one of these.
public enum RunnerError: Explained, Equatable {
    /// A part of crlab itself is not where it should be.
    case incomplete(part: String, looked: String)
    /// No host of the scenario can be had.
    case noHosts(why: String)
    /// A file of the run could not be read or written.
    case fileFailed(path: String, why: String)
    /// The scenario's file cannot be read.
    case scenarioUnreadable(path: String, why: String)
    /// The whole run's own deadline passed; what was finished is kept.
    case deadline(seconds: Int)
    /// Someone asked it to stop; what was finished is kept.
    case interrupted
    /// A run that was asked to go on belongs to another crlab version or was made from other words.
    case notResumable(run: String, why: String)
    /// No run, cell or host of this name.
    case unknown(kind: String, name: String, known: [String])

    public var explanation: Explanation {
        switch self {
        case .incomplete(let part, let looked):
            Explanation(
                what: "crlab is incomplete: \(part) is missing", at: looked, why: "it is built beside the command",
                next: "run `make build workloads` in the checkout, or set CRLAB_HOME to it")
        case .noHosts(let why):
            Explanation(
                what: "no host of the scenario can be had", why: why,
                next: "`crlab probe` says what this lab machine lacks")
        case .fileFailed(let path, let why):
            Explanation(what: "cannot use a file of the run", at: path, why: why, next: "check space and permissions")
        case .scenarioUnreadable(let path, let why):
            Explanation(what: "cannot read the scenario", at: path, why: why, next: "check the path")
        case .deadline(let seconds):
            Explanation(
                what: "the run's deadline passed", why: "it may take \(seconds) s",
                next: "`crlab run --resume` goes on with what is left")
        case .interrupted:
            Explanation(
                what: "the run was interrupted", why: "a signal asked for it",
                next: "`crlab run --resume` goes on with what is left")
        case .notResumable(let run, let why):
            Explanation(what: "cannot go on with the run \(run)", why: why, next: "start a new one")
        case .unknown(let kind, let name, let known):
            Explanation(
                what: "there is no \(kind) \(name)",
                why: known.isEmpty ? "there are none" : "there are: \(known.prefix(30).joined(separator: ", "))")
        }
    }
}
