/// What a namespace holds apart from the others.
public enum NamespaceKind: UInt32, Sendable, Hashable, CaseIterable {
    case user = 1
    case mount = 2
    case network = 3
    case uts = 4
    case ipc = 5
    case time = 6
    case cgroup = 7
    case pid = 8
}

/// A namespace that the restore has to create. Namespaces that the tree shares with the engine have no record.
public struct NamespaceRecord: ImageValue {
    public var number: UInt32 = 0
    public var kind = NamespaceKind.uts
    /// Number of the user namespace that owns it (for a user namespace: its parent); 0 for the engine's.
    public var owner: UInt32 = 0
    /// Of a PID namespace: number of the one above; 0 for the engine's.
    public var parent: UInt32 = 0
    /// Of a UTS namespace.
    public var hostName: [UInt8] = []
    /// Of a UTS namespace.
    public var domainName: [UInt8] = []
    /// Of a user namespace: lines of `uid_map` and `gid_map` as the engine's user namespace sees them.
    public var userMap: [IDMapValue] = []
    public var groupMap: [IDMapValue] = []
    /// Of a user namespace: whether setgroups(2) is forbidden in it.
    public var deniesSetgroups = false
    /// Of a time namespace: offsets to the host's clocks.
    public var monotonicOffsetNanoseconds: Int64 = 0
    public var boottimeOffsetNanoseconds: Int64 = 0
    /// Of an IPC or network namespace: files below `/proc/sys` with their text.
    public var settings: [SettingValue] = []
    /// Of a network namespace.
    public var links: [LinkValue] = []
    /// Of a network namespace: payloads of netlink messages (RTM_NEWADDR, RTM_NEWROUTE, …) as the kernel gave them.
    public var addresses: [[UInt8]] = []
    public var routes: [[UInt8]] = []
    public var rules: [[UInt8]] = []
    public var neighbours: [[UInt8]] = []
    /// Of a mount namespace; parents before children, the root first.
    public var mounts: [MountValue] = []
    /// Of a mount namespace: what its mounts show, one entry per file system.
    public var fileSystems: [MountedFileSystemValue] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("number", &number)
        try fields.choice("kind", &kind)
        try fields.number("owner", &owner)
        try fields.number("parent", &parent)
        try fields.bytes("hostName", &hostName)
        try fields.bytes("domainName", &domainName)
        try fields.list("userMap", &userMap)
        try fields.list("groupMap", &groupMap)
        try fields.flag("deniesSetgroups", &deniesSetgroups)
        try fields.number("monotonicOffsetNanoseconds", &monotonicOffsetNanoseconds)
        try fields.number("boottimeOffsetNanoseconds", &boottimeOffsetNanoseconds)
        try fields.list("settings", &settings)
        try fields.list("links", &links)
        try fields.list(ofBytes: "addresses", &addresses)
        try fields.list(ofBytes: "routes", &routes)
        try fields.list(ofBytes: "rules", &rules)
        try fields.list(ofBytes: "neighbours", &neighbours)
        try fields.list("mounts", &mounts)
        try fields.list("fileSystems", &fileSystems)
    }
}

/// One line of `/proc/PID/uid_map`.
public struct IDMapValue: ImageValue {
    public var inside: UInt32 = 0
    public var outside: UInt32 = 0
    public var count: UInt32 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("inside", &inside)
        try fields.number("outside", &outside)
        try fields.number("count", &count)
    }
}

/// One file below `/proc/sys`.
public struct SettingValue: ImageValue {
    /// Relative to `/proc/sys`: `net/ipv4/ip_forward`.
    public var name = ""
    public var value: [UInt8] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.text("name", &name)
        try fields.bytes("value", &value)
    }
}

/// One network interface.
public struct LinkValue: ImageValue {
    public var index: Int32 = 0
    public var name = ""
    /// IFLA_INFO_KIND; empty for the loopback.
    public var kind = ""
    /// IFF_… flags.
    public var flags: UInt32 = 0
    public var mtu: UInt32 = 0
    public var queueLength: UInt32 = 0
    public var address: [UInt8] = []
    /// Index of the bridge or bond that it belongs to; 0 for none.
    public var master: Int32 = 0
    /// Index of the interface that it is built on, in the same namespace; 0 for none.
    public var base: Int32 = 0
    /// IFLA_INFO_DATA as the kernel gave it.
    public var details: [UInt8] = []
    /// Of a veth: index of the other end in its own namespace; 0 when not known.
    public var peerIndex: Int32 = 0
    /// Of a veth: number of the namespace that holds the other end; 0 for the engine's.
    public var peerNamespace: UInt32 = 0
    /// Of a veth whose other end is in the engine's namespace: that end's name, flags, MTU and hardware address.
    public var peerName = ""
    public var peerFlags: UInt32 = 0
    public var peerMtu: UInt32 = 0
    public var peerAddress: [UInt8] = []
    /// The bridge that the other end belongs to in the engine's namespace; empty for none.
    public var peerMaster = ""

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("index", &index)
        try fields.text("name", &name)
        try fields.text("kind", &kind)
        try fields.number("linkFlags", &flags)
        try fields.number("mtu", &mtu)
        try fields.number("queueLength", &queueLength)
        try fields.bytes("address", &address)
        try fields.number("master", &master)
        try fields.number("base", &base)
        try fields.bytes("details", &details)
        try fields.number("peerIndex", &peerIndex)
        try fields.number("peerNamespace", &peerNamespace)
        try fields.text("peerName", &peerName)
        try fields.number("peerFlags", &peerFlags)
        try fields.number("peerMtu", &peerMtu)
        try fields.bytes("peerAddress", &peerAddress)
        try fields.text("peerMaster", &peerMaster)
    }
}

extension RecordFields {
    /// A list of 32-bit numbers, written as words.
    mutating func numbers<Number: FixedWidthInteger>(
        _ name: StaticString, _ value: inout [Number]
    ) throws(ImageError) {
        var all = value.map { UInt64(truncatingIfNeeded: $0) & 0xffff_ffff }
        try words(name, &all)
        value = all.map { Number(truncatingIfNeeded: $0) }
    }
}
