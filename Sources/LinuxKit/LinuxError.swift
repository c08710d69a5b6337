public import CRModel

/// What LinuxKit throws: a system call that the kernel refused, text of the kernel that reads unlike its documentation,
/// or something that did not happen in time.
public enum LinuxError: Explained, Equatable {
    /// A system call failed. `object` says on what: `task 17`, a path, `fd 5`.
    case call(String, object: String, Errno)
    /// A file of `/proc` or an ELF file does not have the shape that the kernel documents.
    case malformed(String, why: String)
    /// A wait reached its deadline.
    case deadline(String, seconds: Double)
    /// The task ended while it was looked at.
    case ended(task: Int32, doing: String)

    public var explanation: Explanation {
        switch self {
        case .call(let name, let object, let errno):
            Explanation(what: "\(name) failed", at: object, why: "\(errno)", next: Self.advice(name, errno))
        case .malformed(let file, let why):
            Explanation(what: "cannot understand what the kernel says", at: file, why: why)
        case .deadline(let what, let seconds):
            Explanation(what: "gave up waiting", at: what, why: "nothing happened within \(seconds) s")
        case .ended(let task, let doing):
            Explanation(what: "task ended", at: "task \(task)", why: "it was gone at: \(doing)")
        }
    }

    /// The errno of a failed call; `nil` for the other cases.
    public var errno: Errno? {
        if case .call(_, _, let errno) = self { errno } else { nil }
    }

    private static func advice(_ name: String, _ errno: Errno) -> String {
        switch errno {
        case .notPermitted, .access: "run as root, or with CAP_SYS_PTRACE, CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE"
        case .notImplemented: "this kernel has no \(name)"
        default: ""
        }
    }
}
