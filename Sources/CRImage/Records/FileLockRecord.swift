/// Who a file lock belongs to.
public enum FileLockKind: UInt32, Sendable, Hashable {
    /// fcntl(F_SETLK): to the descriptor table.
    case posix = 1
    /// flock(2): to the open file.
    case flock = 2
    /// fcntl(F_OFD_SETLK): to the open file, with a range.
    case openFile = 3
    /// fcntl(F_SETLEASE).
    case lease = 4
}

/// One lock that is held on a file.
public struct FileLockRecord: ImageValue {
    public var kind = FileLockKind.posix
    /// F_RDLCK 0, F_WRLCK 1; of a lease that is being broken what the breaker wants, F_UNLCK 2 included.
    public var type: UInt32 = 0
    /// Of a lease: whether somebody waits for it to be given up.
    public var isBreaking = false
    /// First and last byte; `Int64.max` for the end of the file, wherever it will be.
    public var first: UInt64 = 0
    public var last: UInt64 = 0
    /// The task that sets it again: a process, or a thread with a table of its own.
    public var process: Int32 = 0
    /// That process's descriptor of the file.
    public var fd: Int32 = 0
    /// Number of the ``OpenFileRecord``.
    public var openFile: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.choice("kind", &kind)
        try fields.number("type", &type)
        try fields.flag("isBreaking", &isBreaking)
        try fields.number("first", &first)
        try fields.number("last", &last)
        try fields.number("process", &process)
        try fields.number("fd", &fd)
        try fields.number("openFile", &openFile)
    }
}
