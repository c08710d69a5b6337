/// The cgroup freezer that holds a task, in either version.
public struct Freezer: Sendable, Hashable {
    /// One cgroup that somebody told to freeze.
    struct Switch: Sendable, Hashable {
        var folder: String
        var isUnified: Bool

        var file: String { folder + (isUnified ? "/cgroup.freeze" : "/freezer.state") }
    }

    var switches: [Switch]

    /// The cgroups above a task that are frozen of their own.
    ///
    /// - Returns: `nil` when the task is not frozen.
    public static func holding(_ task: Int32) throws(LinuxError) -> Freezer? {
        let mounts = try Cgroups.mounts()
        var switches: [Switch] = []
        for membership in try Cgroups.memberships(of: task) {
            let isUnified = membership.hierarchy.isEmpty
            guard isUnified || membership.hierarchy.split(separator: ",").contains("freezer") else { continue }
            var path = membership.path
            while path != "/", !path.isEmpty {
                let place = CgroupMembership(hierarchy: membership.hierarchy, path: path)
                if let folder = Cgroups.folder(place, mounts) {
                    let file = isUnified ? "/cgroup.freeze" : "/freezer.self_freezing"
                    if let text = try? Files.text(of: folder + file), text.hasPrefix("1") {
                        switches.append(Switch(folder: folder, isUnified: isUnified))
                    }
                }
                path = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
            }
        }
        return switches.isEmpty ? nil : Freezer(switches: switches)
    }

    /// The freezer of one cgroup, by its folder.
    public init(folder: String, isUnified: Bool) {
        switches = [Switch(folder: folder, isUnified: isUnified)]
    }

    private init(switches: [Switch]) { self.switches = switches }

    /// The processes that it holds, those of cgroups below included; 0 for some that this PID namespace does not see.
    public func processes() throws(LinuxError) -> Set<Int32> {
        var all: Set<Int32> = []
        var folders = switches.map(\.folder)
        while let folder = folders.popLast() {
            all.formUnion(ProcParser.numbers(try Files.text(of: folder + "/cgroup.procs")))
            for name in try Files.names(in: folder) {
                let below = "\(folder)/\(name)"
                if let status = try? Files.status(of: below), status.kind == .directory { folders.append(below) }
            }
        }
        return all
    }

    /// Whether it holds the tasks of a cgroup, by its folder.
    public func holds(_ folder: String) -> Bool {
        switches.contains { folder == $0.folder || folder.hasPrefix($0.folder + "/") }
    }

    /// Lets its tasks go on.
    public func thaw() throws(LinuxError) {
        for one in switches { try Files.write(Array((one.isUnified ? "0" : "THAWED").utf8), toExisting: one.file) }
    }

    /// Tells its tasks to stand still; they do so at the latest before they return to their programs.
    public func freeze() throws(LinuxError) {
        for one in switches { try Files.write(Array((one.isUnified ? "1" : "FROZEN").utf8), toExisting: one.file) }
    }

    /// Whether all its tasks stand still.
    public var isSettled: Bool {
        switches.allSatisfy { one in
            if one.isUnified {
                return ((try? Files.text(of: one.folder + "/cgroup.events")) ?? "").contains("frozen 1")
            }
            return ((try? Files.text(of: one.file)) ?? "").hasPrefix("FROZEN")
        }
    }
}
