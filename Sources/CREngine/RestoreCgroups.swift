internal import CRImage
internal import LinuxKit

/// Puts stubs into the cgroups of the image.
final class RestoreCgroups {
    private let records: [UInt32: CgroupRecord]
    private var mounts: [CgroupMount]?
    private var opened: [Int32] = []
    var notes: [String] = []

    init(_ contents: ImageContents) {
        records = Dictionary(contents.cgroups.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// A way to a cgroup that works in whatever mount namespace the engine is.
    private func folder(_ membership: CgroupMembership) -> String? {
        if mounts == nil {
            mounts = ((try? Cgroups.mounts()) ?? []).compactMap { mount in
                guard let fd = try? Files.open(mount.mountPoint, [.pathOnly, .directory]) else { return nil }
                opened.append(fd)
                var mount = mount
                mount.mountPoint = "/proc/self/fd/\(fd)"
                return mount
            }
        }
        return Cgroups.folder(membership, mounts ?? [])
    }

    func close() {
        for fd in opened { Files.close(fd) }
        opened = []
    }

    /// Freezes the cgroups whose freezer held the tasks at the dump: they stand still as soon as they are let go.
    func freeze() {
        for record in records.values where record.isFrozen {
            let membership = CgroupMembership(hierarchy: record.hierarchy, path: record.path)
            guard let folder = folder(membership) else { continue }
            try? Freezer(folder: folder, isUnified: record.hierarchy.isEmpty).freeze()
        }
    }

    /// Moves a stub into cgroups by number.
    ///
    /// - Parameter isThread: Leave the other tasks of its process where they are.
    func join(_ stub: RestoreStub, _ numbers: [UInt32], isThread: Bool = false) throws(EngineError) {
        let wanted = numbers.compactMap { records[$0] }
        if wanted.isEmpty { return }
        let now = (try? Cgroups.memberships(of: stub.outer)) ?? []
        for record in wanted {
            let membership = CgroupMembership(hierarchy: record.hierarchy, path: record.path)
            if now.contains(membership) { continue }
            // A hierarchy that this host does not have.
            guard now.contains(where: { $0.hierarchy == record.hierarchy }) else { continue }
            try move(stub, membership, record, isThread: isThread)
        }
    }

    /// Moves a stub into the roots that its cgroup namespace will show.
    func join(_ stub: RestoreStub, roots: [SettingValue]) throws(EngineError) {
        let now = (try? Cgroups.memberships(of: stub.outer)) ?? []
        for root in roots {
            let membership = CgroupMembership(
                hierarchy: root.name, path: String(decoding: root.value, as: UTF8.self))
            if now.contains(membership) || !now.contains(where: { $0.hierarchy == root.name }) { continue }
            try move(stub, membership, nil)
        }
    }

    private func move(
        _ stub: RestoreStub, _ membership: CgroupMembership, _ record: CgroupRecord?, isThread: Bool = false
    ) throws(EngineError) {
        let name = "cgroup \(membership.hierarchy):\(membership.path)"
        guard !membership.path.split(separator: "/").contains(".."), let folder = folder(membership) else {
            notes.append("task \(stub.tid) stays in the engine's cgroup: \(name) is not mounted here")
            return
        }
        do {
            if (try? Files.status(of: folder)) == nil { try make(folder, record) }
            let file = !isThread ? "cgroup.procs" : membership.hierarchy.isEmpty ? "cgroup.threads" : "tasks"
            try Files.write(Array("\(stub.outer)".utf8), toExisting: folder + "/" + file)
        } catch {
            notes.append(
                "task \(stub.tid) stays in the engine's cgroup: \(name): \(error.errno.map { "\($0)" } ?? "")")
        }
    }

    /// Makes a cgroup and those above it, and limits it as it was.
    private func make(_ folder: String, _ record: CgroupRecord?) throws(LinuxError) {
        // From the lowest folder that is there on down.
        var missing: [String] = []
        var path = folder
        while (try? Files.status(of: path)) == nil, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            missing.append(path)
            path = String(path[..<slash])
        }
        for path in missing.reversed() {
            try Files.makeFolder(path)
            inheritSets(path)
        }
        guard let record else { return }
        if record.isThreaded { try? Files.write(Array("threaded".utf8), toExisting: folder + "/cgroup.type") }
        for setting in record.settings {
            let file = "\(folder)/\(setting.name)"
            guard !setting.name.contains("/"), let now = try? Files.contents(of: file), now != setting.value else {
                continue
            }
            // Some files take one line at a time.
            for line in setting.value.split(separator: 0x0a) {
                do { try Files.write(Array(line), toExisting: file) } catch {
                    notes.append("\(file) could not be set: \(error.errno.map { "\($0)" } ?? "")")
                }
            }
        }
    }

    /// A cpuset of version 1 takes no task before it has CPUs and memory.
    private func inheritSets(_ folder: String) {
        let above = folder.lastIndex(of: "/").map { String(folder[..<$0]) } ?? folder
        for name in ["cpuset.cpus", "cpuset.mems"] {
            guard let own = try? Files.contents(of: "\(folder)/\(name)"), own.count <= 1,
                let value = try? Files.contents(of: "\(above)/\(name)")
            else { continue }
            try? Files.write(value, toExisting: "\(folder)/\(name)")
        }
    }
}
