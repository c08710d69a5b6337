internal import Synchronization

/// The namespaces of the engine's own task: leaving them for a while and coming back.
public enum Namespaces {
    /// CLONE_NEW… flags.
    public enum Flag {
        public static let time: UInt64 = 0x80
        public static let mount: UInt64 = 0x2_0000
        public static let cgroup: UInt64 = 0x200_0000
        public static let uts: UInt64 = 0x400_0000
        public static let ipc: UInt64 = 0x800_0000
        public static let user: UInt64 = 0x1000_0000
        public static let pid: UInt64 = 0x2000_0000
        public static let network: UInt64 = 0x4000_0000
    }

    /// Whether the working directory is the engine's own `/proc` while the root directory is another namespace's.
    private static let isAway = Atomic<Bool>(false)

    /// A path by which the engine reaches what it means: in a foreign mount namespace the engine's own `/proc` is the
    /// working directory, and `/proc/self` or `/proc/17` mean that one.
    static public func reachable(_ path: String) -> String {
        guard isAway.load(ordering: .relaxed), path.hasPrefix("/proc/") else { return path }
        let rest = path.dropFirst(6)
        guard let first = rest.utf8.first else { return path }
        let isNumber = first >= UInt8(ascii: "1") && first <= UInt8(ascii: "9")
        return isNumber || rest.hasPrefix("self/") || rest.hasPrefix("thread-self/") ? String(rest) : path
    }

    /// setns(2).
    ///
    /// - Parameter kind: A ``Flag``; 0 takes the descriptor's.
    public static func enter(_ fd: Int32, _ kind: UInt64) throws(LinuxError) {
        try Kernel.call(.setns, Kernel.number(fd), kind, on: "namespace fd \(fd)")
    }

    /// unshare(2).
    public static func leave(_ flags: UInt64) throws(LinuxError) {
        try Kernel.call(.unshare, flags, on: "namespaces 0x\(String(flags, radix: 16))")
    }

    /// A stay in namespaces of another task.
    public final class Visit {
        private static let order: [(name: String, flag: UInt64)] = [
            ("net", Flag.network), ("ipc", Flag.ipc), ("uts", Flag.uts), ("cgroup", Flag.cgroup), ("mnt", Flag.mount),
        ]

        private var homes: [(fd: Int32, flag: UInt64)] = []
        private var root: Int32 = -1
        private var folder: Int32 = -1
        /// Whether this visit starts in a foreign mount namespace already.
        private let wasAway = isAway.load(ordering: .relaxed)

        /// Enters the namespaces of `task` that `flags` selects and that are not the engine's already.
        ///
        /// In a foreign mount namespace the root directory is that namespace's, and the working directory the engine's own
        /// `/proc`.
        ///
        /// - Precondition: The calling process has one thread.
        public init(_ task: Int32, _ flags: UInt64) throws(LinuxError) {
            do {
                var targets: [(fd: Int32, flag: UInt64)] = []
                defer { for target in targets { Files.close(target.fd) } }
                for (name, flag) in Self.order where flags & flag != 0 {
                    // A kernel without this kind of namespace has no file for it.
                    guard let there = try? Files.link("/proc/\(task)/ns/\(name)"),
                        there != (try Files.link("/proc/self/ns/\(name)"))
                    else { continue }
                    homes.append((try Files.open("/proc/self/ns/\(name)", .readOnly), flag))
                    targets.append((try Files.open("/proc/\(task)/ns/\(name)", .readOnly), flag))
                }
                if targets.contains(where: { $0.flag == Flag.mount }) {
                    root = try Files.open("/", [.pathOnly, .directory])
                    folder = try Files.open(".", [.pathOnly, .directory])
                }
                let own = root < 0 ? -1 : try Files.open(wasAway ? "." : "/proc", [.pathOnly, .directory])
                defer { if own >= 0 { Files.close(own) } }
                for (fd, flag) in targets {
                    try enter(fd, flag)
                    if flag == Flag.mount {
                        try Kernel.call(.fchdir, Kernel.number(own), on: "/proc")
                        isAway.store(true, ordering: .relaxed)
                    }
                }
            } catch {
                end()
                throw error
            }
        }

        deinit { end() }

        /// Goes back to where the engine was.
        public func end() {
            for (fd, flag) in homes {
                // Entering a namespace that one is in already does nothing.
                try? enter(fd, flag)
                Files.close(fd)
                if flag == Flag.mount, root >= 0 {
                    _ = Kernel.attempt(.fchdir, Kernel.number(root))
                    Files.changeRoot(to: ".")
                    _ = Kernel.attempt(.fchdir, Kernel.number(folder))
                    isAway.store(wasAway, ordering: .relaxed)
                }
            }
            homes = []
            for fd in [root, folder] where fd >= 0 { Files.close(fd) }
            root = -1
            folder = -1
        }
    }

    /// Makes mount namespaces of the engine's own inside a visit: the engine then has a copy to take apart.
    public static func copyMounts() throws(LinuxError) {
        let own = try Files.open(".", [.pathOnly, .directory])
        defer { Files.close(own) }
        try leave(Flag.mount)
        try Kernel.call(.fchdir, Kernel.number(own), on: "/proc")
    }
}

/// What `ioctl_ns(2)` tells about a namespace.
public enum NamespaceHandle {
    /// How another namespace is related to one.
    public enum Relation: UInt64, Sendable {
        /// NS_GET_USERNS.
        case owner = 0xb701
        /// NS_GET_PARENT, of user and PID namespaces.
        case parent = 0xb702
    }

    /// The link (`user:[4026531837]`) of a related namespace.
    ///
    /// - Parameter path: `/proc/PID/ns/NAME`.
    /// - Returns: `nil` when it is above the engine's own.
    public static func related(_ path: String, _ relation: Relation) throws(LinuxError) -> String? {
        let fd = try Files.open(path, .readOnly)
        defer { Files.close(fd) }
        let answer = Kernel.attempt(.ioctl, Kernel.number(fd), relation.rawValue)
        if let errno = Kernel.errno(of: answer) {
            if errno == .notPermitted { return nil }
            throw .call("ioctl(NS_GET_…)", object: path, errno)
        }
        let other = Int32(answer)
        defer { Files.close(other) }
        return try Files.link("/proc/self/fd/\(other)")
    }
}
