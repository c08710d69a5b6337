public import CRModel
public import LinuxKit

/// Why the engine said no before it changed anything: data for the lab, not a failure of the engine.
public struct Refusal: Sendable, Hashable {
    /// From the taxonomy (`cpu.xstate-missing`), or `workload-unsupported`.
    public var reason: String
    /// The task that has what cannot be done; `nil` when it concerns the whole host or image.
    public var task: Int32?
    /// The kernel object by name: `fd 5: socket:[123]`; empty when `message` says it.
    public var object: String
    /// One sentence for a person.
    public var message: String
    /// What differs between the hosts, for refusals that compare: `["avx2", "bmi2"]`.
    public var differences: [String]

    public init(reason: String, task: Int32? = nil, object: String = "", message: String, differences: [String] = []) {
        self.reason = reason
        self.task = task
        self.object = object
        self.message = message
        self.differences = differences
    }

    /// A refusal of something that the engine has no representation for.
    public static func unsupported(task: Int32?, object: String, _ message: String) -> Refusal {
        Refusal(reason: "workload-unsupported", task: task, object: object, message: message)
    }
}

/// Everything that `CREngine` throws.
public enum EngineError: Explained {
    /// The engine said no; nothing was changed. Exit code 1.
    case refused(Refusal)
    /// A system call of the engine itself failed while it was `doing` something.
    case system(LinuxError, task: Int32?, doing: String)
    /// A system call in a traced task failed.
    case remote(call: String, task: Int32, Errno, doing: String)
    /// A traced task did something else than what it was told to.
    case derailed(task: Int32, String)
    /// The image cannot be read or does not hold together. Exit code 66.
    case image(String, why: String)
    /// The image could not be written: full disk, closed pipe.
    case output(String, Errno)
    /// SIGTERM or SIGINT came; everything was put back.
    case interrupted(signal: Int32)
    /// It would work at another moment: a PID in use. Exit code 75.
    case busy(String, task: Int32?, next: String)

    public var explanation: Explanation {
        switch self {
        case .refused(let refusal):
            Explanation(
                what: "refused", at: Self.place(refusal.task, refusal.object),
                why: "\(refusal.message) [\(refusal.reason)]"
                    + (refusal.differences.isEmpty ? "" : ": " + refusal.differences.joined(separator: ", ")))
        case .system(let error, let task, let doing):
            Explanation(
                what: "cannot \(doing)", at: Self.place(task, ""), why: error.explanation.line,
                next: error.explanation.next)
        case .remote(let call, let task, let errno, let doing):
            Explanation(what: "cannot \(doing)", at: "task \(task)", why: "\(call) in the task gave \(errno)")
        case .derailed(let task, let what):
            Explanation(
                what: "lost control of a task", at: "task \(task)", why: what,
                next: "see that nothing else kills or traces it, and repeat")
        case .image(let place, let why):
            Explanation(what: "cannot use the image", at: place, why: why, next: "dump again")
        case .output(let place, let errno):
            Explanation(
                what: "cannot write the image", at: place, why: "\(errno)", next: "the workload runs on; give it room")
        case .interrupted(let signal):
            Explanation(
                what: "stopped before the end", why: "\(Signals.name(signal)) came",
                next: "the workload was left as it was; repeat")
        case .busy(let what, let task, let next):
            Explanation(what: "not possible now", at: Self.place(task, ""), why: what, next: next)
        }
    }

    private static func place(_ task: Int32?, _ object: String) -> String {
        switch (task, object.isEmpty) {
        case (nil, _): object
        case (let task?, true): "task \(task)"
        case (let task?, false): "task \(task), \(object)"
        }
    }

    /// Runs `body` and turns a `LinuxError` into `system` with what only the caller knows.
    public static func wrap<Value>(
        _ doing: @autoclosure () -> String, task: Int32? = nil, _ body: () throws(LinuxError) -> Value
    ) throws(EngineError) -> Value {
        do {
            return try body()
        } catch {
            throw .system(error, task: task, doing: doing())
        }
    }
}
