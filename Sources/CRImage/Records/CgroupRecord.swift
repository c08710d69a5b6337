/// A cgroup that tasks of the tree are in.
public struct CgroupRecord: ImageValue {
    public var number: UInt32 = 0
    /// Controllers as `/proc/PID/cgroup` names them: `freezer`, `name=systemd`; empty for version 2.
    public var hierarchy = ""
    /// From the hierarchy's root as the engine sees it.
    public var path = "/"
    /// Whether the restore makes it when it is missing.
    public var isCreated = false
    /// `cgroup.type` of version 2 is `threaded`.
    public var isThreaded = false
    /// Whether its freezer held its tasks.
    public var isFrozen = false
    /// Files of the folder with their text, for a cgroup that has to be made.
    public var settings: [SettingValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.text("hierarchy", &hierarchy)
        try fields.text("path", &path)
        try fields.flag("isCreated", &isCreated)
        try fields.flag("isThreaded", &isThreaded)
        try fields.flag("isFrozen", &isFrozen)
        try fields.list("settings", &settings)
    }
}
