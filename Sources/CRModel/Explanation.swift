/// What a person needs to know about an error: what failed, where, why, and the next step.
public struct Explanation: Sendable, Equatable {
    public let what: String
    /// The object: a path, a host, a line; empty when `what` names it.
    public let place: String
    public let why: String
    /// What to do next; empty when nothing can be done.
    public let next: String

    public init(what: String, at place: String = "", why: String, next: String = "") {
        self.what = what
        self.place = place
        self.why = why
        self.next = next
    }

    /// One line: `cannot boot the guest (haswell): QEMU exited with 1; see console.log`.
    public var line: String {
        what + (place.isEmpty ? "" : " (\(place))") + ": " + why + (next.isEmpty ? "" : "; \(next)")
    }
}

/// An error that can say what, where, why, and what to do next. One enum per module conforms.
public protocol Explained: Error, Sendable, CustomStringConvertible {
    var explanation: Explanation { get }
}

extension Explained {
    public var description: String { explanation.line }
}
