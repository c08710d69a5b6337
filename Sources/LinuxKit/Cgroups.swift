/// One line of `/proc/PID/cgroup`.
public struct CgroupMembership: Sendable, Hashable {
    /// Controllers, or `name=…`; empty for version 2.
    public var hierarchy: String
    /// As the reader's cgroup namespace shows it.
    public var path: String

    public init(hierarchy: String, path: String) {
        self.hierarchy = hierarchy
        self.path = path
    }
}

/// Where a hierarchy is mounted.
public struct CgroupMount: Sendable, Hashable {
    /// Empty for version 2.
    public var hierarchies: Set<String>
    public var isUnified: Bool
    public var mountPoint: String
    /// The cgroup that the mount shows.
    public var root: String
}

/// Cgroups of both versions.
public enum Cgroups {
    /// The cgroups of a task, one for each hierarchy.
    public static func memberships(of task: Int32) throws(LinuxError) -> [CgroupMembership] {
        let text = try Files.text(of: "/proc/\(task)/cgroup")
        return text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            let path = parts[2].hasSuffix(" (deleted)") ? parts[2].dropLast(10) : parts[2]
            return CgroupMembership(hierarchy: String(parts[1]), path: String(path))
        }
    }

    /// The hierarchies that the engine sees.
    public static func mounts() throws(LinuxError) -> [CgroupMount] {
        try Procfs.ownMounts().filter { $0.fileSystem.hasPrefix("cgroup") }.map { entry in
            CgroupMount(
                hierarchies: Set(entry.superOptions.split(separator: ",").map(String.init)),
                isUnified: entry.fileSystem == "cgroup2", mountPoint: entry.mountPoint, root: entry.root)
        }
    }

    /// The folder of a cgroup; `nil` when its hierarchy is not mounted, or not that part of it.
    public static func folder(_ membership: CgroupMembership, _ mounts: [CgroupMount]) -> String? {
        for mount in mounts {
            let words = Set(membership.hierarchy.split(separator: ",").map(String.init))
            guard mount.isUnified == membership.hierarchy.isEmpty, words.isSubset(of: mount.hierarchies) else {
                continue
            }
            var rest = membership.path == "/" ? "" : membership.path
            if mount.root != "/" {
                guard rest == mount.root || rest.hasPrefix(mount.root + "/") else { continue }
                rest = String(rest.dropFirst(mount.root.utf8.count))
            }
            return mount.mountPoint + rest
        }
        return nil
    }
}
