/// One watch of an inotify instance.
public struct InotifyWatchValue: ImageValue {
    /// Watch descriptor, as inotify_add_watch(2) returned it.
    public var watch: Int32 = 0
    /// IN_… bits that it waits for, IN_ONESHOT and IN_EXCL_UNLINK included.
    public var mask: UInt32 = 0
    /// Absolute path of what it watches; empty when `inode` says it.
    public var path = ""
    /// Type bits of what it watches.
    public var mode: UInt32 = 0
    /// Number of an ``InodeRecord`` that has no path any more; 0 for none.
    public var inode: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("watch", &watch)
        try fields.number("mask", &mask)
        try fields.text("path", &path)
        try fields.number("mode", &mode)
        try fields.number("inode", &inode)
    }
}

/// What a handle of a task or of a namespace refers to.
public struct TaskHandleValue: ImageValue {
    /// TID in the workload's PID namespace; 0 when it is not known any more.
    public var task: Int32 = 0
    /// Whether the task was gone, reaped, at the dump.
    public var hasEnded = false
    /// Of an ended task, in the form of wait4(2)'s status word; 0 when the kernel does not tell.
    public var exitStatus: Int32 = 0
    /// Of an ended task: handles with the same number refer to the same one.
    public var identity: UInt64 = 0
    /// Below `/proc/TID`, empty for the folder itself; of a namespace its name in `/proc/TID/ns`.
    public var path = ""

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("handleTask", &task)
        try fields.flag("handleHasEnded", &hasEnded)
        try fields.number("handleExitStatus", &exitStatus)
        try fields.hex("handleIdentity", &identity)
        try fields.text("handlePath", &path)
    }
}
