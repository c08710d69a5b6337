/// A pseudoterminal whose master side belongs to the tree, or did until it was closed.
public struct TerminalRecord: ImageValue {
    public var number: UInt32 = 0
    /// N of `/dev/pts/N`.
    public var index: UInt32 = 0
    /// Where the master was opened: `/dev/ptmx`, `/dev/pts/ptmx`.
    public var masterPath = "/dev/ptmx"
    /// The master is closed: whoever still has the slave reads its end.
    public var isHungUp = false
    /// Nobody has ever opened the slave; a master then waits instead of reading its end.
    public var isUnopened = false
    /// TIOCSPTLCK.
    public var isLocked = false
    /// TIOCPKT.
    public var isPacketMode = false
    /// TIOCEXCL of either side.
    public var isMasterExclusive = false
    public var isSlaveExclusive = false
    /// Output was stopped by Control-S or tcflow(3).
    public var isStopped = false
    /// Of the slave's node.
    public var mode: UInt32 = 0
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0
    /// `struct termios2`; empty when hung up.
    public var settings: [UInt8] = []
    /// TIOCGLCKTRMIOS; empty when nothing is locked.
    public var lockedSettings: [UInt8] = []
    /// `struct winsize`; empty when hung up.
    public var size: [UInt8] = []
    /// The foreground process group; 0 for none.
    public var foreground: Int32 = 0
    /// What was typed and not read: one element for each read(2) that it takes in canonical mode. An element that does
    /// not end in a newline was ended by an end-of-file mark.
    public var lines: [[UInt8]] = []
    /// Typed behind the last line end; everything when there are no lines.
    public var typed: [UInt8] = []
    /// Typed when there was no more room for it: the line discipline has not seen it.
    public var untreated: [UInt8] = []
    /// Written by programs and not yet read by the master.
    public var output: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.number("index", &index)
        try fields.text("masterPath", &masterPath)
        try fields.flag("isHungUp", &isHungUp)
        try fields.flag("isUnopened", &isUnopened)
        try fields.flag("isLocked", &isLocked)
        try fields.flag("isPacketMode", &isPacketMode)
        try fields.flag("isMasterExclusive", &isMasterExclusive)
        try fields.flag("isSlaveExclusive", &isSlaveExclusive)
        try fields.flag("isStopped", &isStopped)
        try fields.number("mode", &mode)
        try fields.number("uid", &uid)
        try fields.number("gid", &gid)
        try fields.bytes("settings", &settings)
        try fields.bytes("lockedSettings", &lockedSettings)
        try fields.bytes("size", &size)
        try fields.number("foreground", &foreground)
        try fields.list(ofBytes: "lines", &lines)
        try fields.bytes("typed", &typed)
        try fields.bytes("untreated", &untreated)
        try fields.bytes("output", &output)
    }
}
