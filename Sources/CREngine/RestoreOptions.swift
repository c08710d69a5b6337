/// How to restore.
public struct RestoreOptions: Sendable {
    /// Restore in a PID namespace of its own, so that the image's PIDs are free whatever runs on the host.
    public var newPidNamespace = false
    /// Reasons of the taxonomy whose checks are skipped, so that the lab can measure which checks are too strict.
    public var forced: Set<String> = []
    /// Whether the tasks go on when the engine ends.
    public var detach = false
    /// What becomes the root of a mount namespace that the image brings; `nil` for where it was at the dump.
    public var root: String?
    /// What stands for things outside the tree: name, or mount point, to a path here.
    public var externals: [String: String] = [:]
    /// Blocked signals that end the restore early.
    public var wakeups: UInt64 = 0
    /// What happens to TCP connections that the image holds.
    public var tcp = TCPConnections.keep

    public init() {}
}

/// A tree that runs again.
public struct RestoredTree: Sendable {
    /// PID of the root process as the engine sees it.
    public var pid: Int32
    /// PID to wait for: the root's, or that of its namespace's first process, which ends with the root's status.
    public var waitPid: Int32
    public var taskCount: Int
    public var pageCount: UInt64
    public var imageBytes: UInt64
    /// Phase and how long it took, in order.
    public var milliseconds: [(phase: String, value: Double)]
    /// What could not be given back exactly, one sentence each.
    public var notes: [String]
}
