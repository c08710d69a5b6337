/// Where a UNIX socket stands.
public enum UnixSocketState: UInt32, Sendable, Hashable {
    /// Neither listening nor connected.
    case idle = 1
    case listening = 2
    /// It has a peer, if only one that is gone.
    case connected = 3
}

/// What a UNIX socket has beside its ``SocketRecord``.
public struct UnixSocketRecord: ImageValue {
    /// Number of the ``SocketRecord``.
    public var socket: UInt32 = 0
    public var state = UnixSocketState.idle
    /// `sun_path` as getsockname(2) gives it: a path with its final zero, or a zero and an abstract name; empty for none.
    public var name: [UInt8] = []
    /// The file of a name that is a path: absolute, seen from the mount namespace's root; empty when the file has been
    /// deleted.
    public var path = ""
    public var fileMode: UInt32 = 0
    public var fileUid: UInt32 = 0
    public var fileGid: UInt32 = 0
    /// Number of the peer's ``SocketRecord``; 0 when it has none, has lost it, or waits to be accepted.
    public var peer: UInt32 = 0
    /// `sun_path` of a peer that is not in the image.
    public var peerName: [UInt8] = []
    /// Whether its peer lives outside the tree: the restore connects to what stands for it, or to `peerName`.
    public var isPeerOutside = false
    /// The name under which `--external` declared that peer; empty when none did.
    public var externalName = ""
    /// Of a listening socket.
    public var backlog: Int32 = 0
    /// Numbers of the sockets that wait to be accepted, the first one first.
    public var waiting: [UInt64] = []
    /// RCV_SHUTDOWN 1, SEND_SHUTDOWN 2.
    public var shutdown: UInt32 = 0
    /// Whether reading or writing fails once because the peer went away without reading everything.
    public var isReset = false
    /// SO_PEERCRED.
    public var peerCredentials = UnixCredentialsValue()
    /// SO_PEERGROUPS.
    public var peerGroups: [UInt64] = []
    /// What waits to be read, the oldest first.
    public var messages: [UnixMessageValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("socket", &socket)
        try fields.choice("state", &state)
        try fields.bytes("name", &name)
        try fields.text("path", &path)
        try fields.number("fileMode", &fileMode)
        try fields.number("fileUid", &fileUid)
        try fields.number("fileGid", &fileGid)
        try fields.number("peer", &peer)
        try fields.bytes("peerName", &peerName)
        try fields.flag("isPeerOutside", &isPeerOutside)
        try fields.text("externalName", &externalName)
        try fields.number("backlog", &backlog)
        try fields.words("waiting", &waiting)
        try fields.number("shutdown", &shutdown)
        try fields.flag("isReset", &isReset)
        try peerCredentials.transfer(&fields)
        try fields.words("peerGroups", &peerGroups)
        try fields.list("messages", &messages)
    }
}

extension UnixSocketRecord {
    /// Whether its name is a path (and not abstract).
    public var isPathName: Bool { name.first.map { $0 != 0 } ?? false }

    /// `peerName` as people write it, with `@` before an abstract one; empty for none.
    public var peerNameText: String {
        let text = String(decoding: peerName.drop { $0 == 0 }.prefix { $0 != 0 }, as: UTF8.self)
        return peerName.first == 0 ? "@" + text : text
    }
}

/// Who a UNIX socket says is at the other end.
public struct UnixCredentialsValue: ImageValue {
    public var isPresent = false
    /// PID in the workload's PID namespace.
    public var pid: Int32 = 0
    public var uid: UInt32 = 0
    public var gid: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.flag("hasCredentials", &isPresent)
        try fields.number("credentialsPid", &pid)
        try fields.number("credentialsUid", &uid)
        try fields.number("credentialsGid", &gid)
    }
}

/// A message that waits in a UNIX socket; of a stream, bytes that were sent together.
public struct UnixMessageValue: ImageValue {
    public var bytes: [UInt8] = []
    /// `sun_path` of the sender, of a datagram; empty for a sender without a name.
    public var sender: [UInt8] = []
    /// Numbers of the ``OpenFileRecord``s that travel with it (SCM_RIGHTS).
    public var files: [UInt64] = []
    /// What SCM_CREDENTIALS will say.
    public var credentials = UnixCredentialsValue()

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.bytes("bytes", &bytes)
        try fields.bytes("sender", &sender)
        try fields.words("files", &files)
        try credentials.transfer(&fields)
    }
}
