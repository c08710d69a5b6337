/// One mount of a namespace.
public struct MountValue: ImageValue {
    /// Numbers the mounts of one namespace, from 1.
    public var id: UInt32 = 0
    /// The mount that it is mounted on; 0 for the namespace's root.
    public var parent: UInt32 = 0
    /// Absolute, from the namespace's root.
    public var mountPoint = ""
    /// Which folder or file of its file system it shows.
    public var root = ""
    /// Whether that was removed after it had been mounted.
    public var isRootRemoved = false
    /// Whether that is a folder.
    public var isFolder = true
    /// Index into ``NamespaceRecord/fileSystems``.
    public var fileSystem: UInt32 = 0
    /// MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_NODIRATIME, MS_RELATIME, MS_NOSYMFOLLOW.
    public var flags: UInt64 = 0
    /// Number of its peer group within the image; 0 when it is not shared.
    public var group: UInt32 = 0
    /// Number of the peer group that it gets events from; 0 when it is no slave.
    public var master: UInt32 = 0
    /// Whether that group is outside the tree: then it comes with the external mount.
    public var isMasterExternal = false
    public var isUnbindable = false
    /// Where the namespace that the tree came from shows the same folder; empty when it shows it nowhere.
    public var externalPath = ""
    /// The name under which `--external` maps it; empty when none was declared.
    public var externalName = ""

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("id", &id)
        try fields.number("parent", &parent)
        try fields.text("mountPoint", &mountPoint)
        try fields.text("root", &root)
        try fields.flag("isRootRemoved", &isRootRemoved)
        try fields.flag("isFolder", &isFolder)
        try fields.number("fileSystem", &fileSystem)
        try fields.hex("flags", &flags)
        try fields.number("group", &group)
        try fields.number("master", &master)
        try fields.flag("isMasterExternal", &isMasterExternal)
        try fields.flag("isUnbindable", &isUnbindable)
        try fields.text("externalPath", &externalPath)
        try fields.text("externalName", &externalName)
    }
}

/// One mounted file system (superblock).
public struct MountedFileSystemValue: ImageValue {
    /// `tmpfs`, `proc`, `overlay`.
    public var type = ""
    public var source = ""
    /// As mountinfo shows them: `rw,size=65536k`.
    public var options = ""
    /// Whether the restore makes it anew instead of taking it from outside.
    public var isOwn = false
    /// What is in it, parents before children; only for file systems in memory.
    public var entries: [FileEntryValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.text("type", &type)
        try fields.text("source", &source)
        try fields.text("options", &options)
        try fields.flag("isOwn", &isOwn)
        try fields.list("entries", &entries)
    }
}

/// One name in a file system whose content the image carries.
public struct FileEntryValue: ImageValue {
    /// Relative to the file system's root; empty for the root itself.
    public var path = ""
    /// Type and permission bits.
    public var mode: UInt32 = 0
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    /// Of a device node, `major << 32 | minor`.
    public var device: UInt64 = 0
    public var modifiedNanoseconds: Int64 = 0
    public var sizeBytes: UInt64 = 0
    /// Number under which page runs hold the content of a regular file; 0 when `content` holds it.
    public var number: UInt32 = 0
    /// Content of a small file, or where a symbolic link leads.
    public var content: [UInt8] = []
    /// An earlier entry that is the same file; empty for the first name.
    public var hardLink = ""
    public var attributes: [FileAttributeValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.text("path", &path)
        try fields.number("mode", &mode)
        try fields.number("uid", &uid)
        try fields.number("gid", &gid)
        try fields.hex("device", &device)
        try fields.number("modifiedNanoseconds", &modifiedNanoseconds)
        try fields.number("sizeBytes", &sizeBytes)
        try fields.number("number", &number)
        try fields.bytes("content", &content)
        try fields.text("hardLink", &hardLink)
        try fields.list("attributes", &attributes)
    }
}

/// One extended attribute.
public struct FileAttributeValue: ImageValue {
    public var name = ""
    public var value: [UInt8] = []

    public init() {}

    public init(name: String, value: [UInt8]) {
        self.name = name
        self.value = value
    }

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.text("name", &name)
        try fields.bytes("value", &value)
    }
}
