/// One table of descriptors.
public struct FileTableRecord: ImageValue {
    public var number: UInt32 = 0
    /// Ascending by descriptor.
    public var entries: [DescriptorValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.list("entries", &entries)
    }
}

/// One descriptor.
public struct DescriptorValue: ImageValue {
    public var fd: Int32 = 0
    /// Number of its ``OpenFileRecord``.
    public var openFile: UInt32 = 0
    public var closeOnExec = false

    public init() {}

    public init(fd: Int32, openFile: UInt32, closeOnExec: Bool) {
        self.fd = fd
        self.openFile = openFile
        self.closeOnExec = closeOnExec
    }

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("fd", &fd)
        try fields.number("openFile", &openFile)
        try fields.flag("closeOnExec", &closeOnExec)
    }
}

/// Working directory, root directory and umask.
public struct FileSystemRecord: ImageValue {
    public var number: UInt32 = 0
    /// Absolute paths, seen from the mount namespace's root.
    public var workingDirectory = "/"
    public var root = "/"
    public var umask: UInt32 = 0
    /// Number of an ``OpenFileRecord`` of the folder where the path does not lead to it (any more); 0 for none.
    public var workingDirectoryFile: UInt32 = 0
    public var rootFile: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.text("workingDirectory", &workingDirectory)
        try fields.text("root", &root)
        try fields.number("umask", &umask)
        try fields.number("workingDirectoryFile", &workingDirectoryFile)
        try fields.number("rootFile", &rootFile)
    }
}

/// What a process does on each signal.
public struct SignalTableRecord: ImageValue {
    public var number: UInt32 = 0
    /// Signals 1 to 64.
    public var actions: [SignalActionValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.list("actions", &actions)
    }
}

/// The kernel's `struct sigaction`.
public struct SignalActionValue: ImageValue {
    /// SIG_DFL 0, SIG_IGN 1, or an address.
    public var handler: UInt64 = 0
    public var flags: UInt64 = 0
    public var restorer: UInt64 = 0
    public var mask: UInt64 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.hex("handler", &handler)
        try fields.hex("flags", &flags)
        try fields.hex("restorer", &restorer)
        try fields.hex("mask", &mask)
    }
}
