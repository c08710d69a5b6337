internal import CRImage
internal import CRModel
internal import LinuxKit

/// Puts a mount namespace together.
///
/// In the stub's copy of the namespace that it came from, a stage (a tmpfs) holds the new root and one mount of every file
/// system that is made anew. Each mount of the image is a clone of one of those, or of what the engine sees outside. At the
/// end the new root takes the place of the old one, and everything else goes with it.
final class RestoreMounts {
    private static let folderMode: UInt64 = 0o755
    private static let slave: UInt64 = 1 << 19
    private static let privately: UInt64 = 1 << 18
    private static let shared: UInt64 = 1 << 20
    private static let unbindable: UInt64 = 1 << 17

    /// Any folder will do: what it hides is not needed once everything outside has been cloned.
    private var stage = "/proc"
    private var root: String { stage + "/r" }
    private let record: NamespaceRecord
    private let peers: [RestoreMounts]
    private let options: RestoreOptions
    private let groups: NamespaceRecord?
    /// Mount of the image to a descriptor of it.
    private var mounted: [UInt32: Int32] = [:]
    private var staged: [Int: String] = [:]
    private var trees: [RestoreFileTree] = []
    /// Clones of what is outside.
    private var clones: [UInt32: Int32] = [:]
    /// Further clones of those, for mounts that show a folder below.
    private var spares: [UInt32: Int32] = [:]
    /// Where the stage shows them.
    private var shown: [UInt32: String] = [:]
    private var missing: Set<UInt32> = []
    private(set) var notes: [String] = []

    /// - Parameter peers: Namespaces of the tree that stand already and may share mount events with this one.
    init(
        _ record: NamespaceRecord, _ contents: ImageContents, _ options: RestoreOptions, peers: [RestoreMounts]
    ) {
        self.record = record
        self.peers = peers
        self.options = options
        groups = contents.namespaces.first { $0.kind == .user && $0.number == record.owner }
    }

    var contentFiles: [UInt32: (fd: Int32, sizeBytes: UInt64)] {
        trees.reduce(into: [:]) { all, tree in all.merge(tree.contentFiles) { first, _ in first } }
    }

    func close() {
        for fd in Array(mounted.values) + Array(clones.values) + Array(spares.values) { Files.close(fd) }
        mounted = [:]
        clones = [:]
        spares = [:]
        for tree in trees { tree.close() }
    }

    func finish() throws(EngineError) {
        for tree in trees { try tree.finish() }
    }

    // MARK: Building

    func build(_ stub: RestoreStub) throws(EngineError) {
        for mount in record.mounts { try cloneExternal(mount, stub) }
        for folder in ["/proc", "/sys", "/dev", "/run", "/tmp", "/etc", "/usr"] {
            guard let status = try? Files.status(of: folder, follow: false), status.kind == .directory else { continue }
            stage = folder
            break
        }
        // MS_REC | MS_SLAVE: from here on nothing that happens in the stub's namespace reaches another one.
        let top = try stub.put(text: "/")
        try stub.call(.mount, [0, top, 0, Self.slave | 1 << 14, 0], doing: "keep mounts to itself")
        try mountNew(stub, "tmpfs", "tmpfs", at: stage, flags: 0, data: "mode=755")
        // The engine arranges everything in there; only what is mounted anew must be the stub's.
        let visit = try EngineError.wrap("enter a new mount namespace", task: stub.tid) { () throws(LinuxError) in
            try Namespaces.Visit(stub.outer, Namespaces.Flag.mount)
        }
        defer { visit.end() }
        try makeFolder(root)
        for position in record.fileSystems.indices { try stageFileSystem(position, stub) }
        for mount in record.mounts { try attach(mount) }
        // A shared root could not be moved about.
        try pivot(stub)
        try propagate()
        visit.end()
        try joinPeers(stub)
        for tree in trees { try tree.fill() }
    }

    private func makeFolder(_ path: String) throws(EngineError) {
        try asOwner("create \(path)") { () throws(LinuxError) in try Files.makeFolder(path) }
    }

    /// The stage belongs to the stub's user namespace, and takes files only of users that are mapped there.
    private func asOwner(_ doing: String, _ body: () throws(LinuxError) -> Void) throws(EngineError) {
        if let groups { Files.actAs(uid: groups.userMap.outside(0) ?? 0, gid: groups.groupMap.outside(0) ?? 0) }
        defer { if groups != nil { Files.actAs(uid: 0, gid: 0) } }
        try EngineError.wrap(doing, task: nil, body)
    }

    private func mountNew(
        _ stub: RestoreStub, _ type: String, _ source: String, at path: String, flags: UInt64, data: String
    ) throws(EngineError) {
        let arguments = [
            try stub.put(text: source), try stub.put(text: path, at: 4096), try stub.put(text: type, at: 8192), flags,
            data.isEmpty ? 0 : try stub.put(text: data, at: 12288),
        ]
        if let errno = try stub.attempt(.mount, arguments) {
            throw .remote(call: "mount", task: stub.tid, errno, doing: "mount a new \(type) (\(data)) on \(path)")
        }
    }

    private func externalPath(_ mount: MountValue) throws(EngineError) -> String {
        if mount.parent == 0, let path = options.root { return path }
        if let path = options.externals[mount.externalName] ?? options.externals[mount.mountPoint] { return path }
        if !mount.externalName.isEmpty, mount.externalPath.isEmpty {
            throw .refused(
                Refusal(
                    reason: Reason.filesystemMissing.rawValue, object: "mount \(mount.mountPoint)",
                    message: "it comes from outside; say from where: --external \(mount.externalName)=PATH"))
        }
        return mount.externalPath
    }

    private func cloneExternal(_ mount: MountValue, _ stub: RestoreStub) throws(EngineError) {
        let path = try externalPath(mount)
        if path.isEmpty { return }
        do {
            let fd = try Files.cloneMount(path)
            clones[mount.id] = fd
            // The clone is a peer of what it was cloned from; mounts upon it must not appear there.
            try Files.setMount(fd, propagation: mount.isMasterExternal ? Self.slave : Self.privately)
            let isNeeded = record.mounts.contains {
                $0.fileSystem == mount.fileSystem && $0.externalPath.isEmpty && $0.externalName.isEmpty
            }
            if isNeeded {
                let spare = try Files.cloneMount(path)
                spares[mount.id] = spare
                try Files.setMount(spare, propagation: Self.privately)
            }
        } catch {
            let type = record.fileSystems[Int(mount.fileSystem)].type
            if error.errno == .noEntry, Self.optional.contains(type), mount.parent != 0 {
                missing.insert(mount.id)
                notes.append("\(mount.mountPoint) (\(type)) is not mounted: \(path) is not here")
                return
            }
            throw .refused(
                Refusal(
                    reason: Reason.filesystemMissing.rawValue, object: "mount \(mount.mountPoint)",
                    message: "\(path), which it shows, cannot be had (\(error.errno.map { "\($0)" } ?? "")); "
                        + "--external \(mount.externalName.isEmpty ? mount.mountPoint : mount.externalName)=PATH "
                        + "names another place"))
        }
    }

    /// Views of the kernel that workloads rarely miss, and that differ between hosts.
    private static let optional: Set<String> = [
        "securityfs", "debugfs", "tracefs", "fusectl", "configfs", "pstore", "efivarfs", "hugetlbfs", "binfmt_misc",
        "bpf",
        "cgroup", "cgroup2", "autofs", "rpc_pipefs", "sysfs", "mqueue", "devtmpfs",
    ]

    /// Superblock flags among the options of mountinfo, which mount(2) takes as bits.
    private static let superFlags: [Substring: UInt64] = [
        "sync": 16, "dirsync": 128, "mand": 64, "lazytime": 1 << 25,
    ]

    private func stageFileSystem(_ position: Int, _ stub: RestoreStub) throws(EngineError) {
        let system = record.fileSystems[position]
        guard system.isOwn else { return }
        let path = "\(stage)/s\(position)"
        try makeFolder(path)
        var flags: UInt64 = 0
        var words: [String] = []
        var isReadOnly = false
        for word in system.options.split(separator: ",") {
            if word == "ro" { isReadOnly = true }
            if let flag = Self.superFlags[word] {
                flags |= flag
            } else if word != "rw" && word != "ro" && word != "seclabel" {
                words.append(inside(word))
            }
        }
        let isFilled = DumpCollector.inMemory.contains(system.type)
        if isReadOnly, !isFilled { flags |= 1 }
        do {
            try mountNew(stub, system.type, system.source, at: path, flags: flags, data: words.joined(separator: ","))
        } catch {
            // A kernel that does not know an option of the source's.
            guard case .remote(_, _, .invalid, _) = error, !isFilled, system.type != "overlay" else { throw error }
            try mountNew(stub, system.type, system.source, at: path, flags: flags, data: "")
        }
        staged[position] = path
        if isFilled {
            let fd = try EngineError.wrap("open \(path)") { () throws(LinuxError) in
                try Files.open(path, [.pathOnly, .directory])
            }
            trees.append(RestoreFileTree(system, fd: fd, user: groups, makesReadOnly: isReadOnly))
            try trees[trees.count - 1].fillFolders()
        }
    }

    /// The kernel shows IDs among the options as the engine sees them, and takes them as the stub does.
    private func inside(_ option: Substring) -> String {
        let parts = option.split(separator: "=")
        guard let groups, parts.count == 2, let id = UInt32(parts[1]) else { return String(option) }
        switch parts[0] {
        case "uid": return "uid=\(groups.userMap.inside(id))"
        case "gid": return "gid=\(groups.groupMap.inside(id))"
        default: return String(option)
        }
    }

    /// What to clone for a mount that is not external: a path in the stub's namespace.
    private func source(_ mount: MountValue) throws(EngineError) -> String {
        if let path = staged[Int(mount.fileSystem)] { return mount.root == "/" ? path : path + mount.root }
        for other in record.mounts where other.fileSystem == mount.fileSystem {
            guard let rest = DumpCollector.below(mount.root, other.root) else { continue }
            if let path = shown[other.id] { return path + rest }
            guard let fd = spares[other.id] else { continue }
            spares[other.id] = nil
            defer { Files.close(fd) }
            let path = "\(stage)/m\(mount.id)"
            if other.isFolder {
                try makeFolder(path)
            } else {
                try makeFile(path)
            }
            try move(fd, to: path, object: mount.mountPoint)
            shown[other.id] = path
            return path + rest
        }
        throw .image("mount \(mount.mountPoint)", why: "nothing shows the folder \(mount.root)")
    }

    private func makeFile(_ path: String) throws(EngineError) {
        try asOwner("create \(path)") { () throws(LinuxError) in
            Files.close(try Files.open(path, [.writeOnly, .create, .exclusive]))
        }
    }

    private func move(_ fd: Int32, to path: String, object: String) throws(EngineError) {
        try EngineError.wrap("mount \(object)") { () throws(LinuxError) in try Files.moveMount(fd, to: path) }
    }

    private func attach(_ mount: MountValue) throws(EngineError) {
        if missing.contains(mount.id) { return }
        if let above = record.mounts.first(where: { $0.id == mount.parent }), missing.contains(above.id) {
            missing.insert(mount.id)
            return
        }
        let target = root + (mount.mountPoint == "/" ? "" : mount.mountPoint)
        var removed: String?
        if let clone = clones[mount.id] {
            mounted[mount.id] = clone
            clones[mount.id] = nil
        } else {
            let path = try source(mount)
            if mount.isRootRemoved {
                if mount.isFolder { try makeFolder(path) } else { try makeFile(path) }
            }
            mounted[mount.id] = try EngineError.wrap("clone \(path) for \(mount.mountPoint)") {
                () throws(LinuxError) in
                try Files.cloneMount(path)
            }
            if mount.isRootRemoved { removed = path }
        }
        guard let fd = mounted[mount.id] else { return }
        // Without mount_setattr (before 5.12) only a mount that has its place can be changed.
        let isSet = (try? Files.setMount(fd, flags: mount.flags)) != nil
        try move(fd, to: target, object: mount.mountPoint)
        if !isSet {
            try EngineError.wrap("set the flags of mount \(mount.mountPoint)") { () throws(LinuxError) in
                try Files.setMount(fd, flags: mount.flags)
            }
        }
        if let removed {
            // What it shows is there for the workload only through this mount.
            try EngineError.wrap("remove \(removed)") { () throws(LinuxError) in
                try Files.remove(removed, isFolder: mount.isFolder)
            }
        }
    }

    // MARK: Propagation

    private func propagate() throws(EngineError) {
        let live = record.mounts.filter { mounted[$0.id] != nil }
        var ready: Set<UInt32> = []
        // Groups of other namespaces, and who gets events from them, come last: the engine reaches both sides then.
        var waiting = live.filter { ($0.group != 0 || $0.master != 0 && !$0.isMasterExternal) && !isAway($0) }
        var members: [UInt32: [MountValue]] = [:]
        while !waiting.isEmpty {
            let turn = waiting.filter { $0.master == 0 || $0.isMasterExternal || ready.contains($0.master) }
            if turn.isEmpty { throw .image("mounts", why: "peer groups are their own masters") }
            // Who shows the most first: the others can be set from it.
            for mount in turn.sorted(by: { ($0.root.utf8.count, $0.id) < ($1.root.utf8.count, $1.id) }) {
                if mount.group != 0, let first = best(members[mount.group] ?? [], mount) {
                    try setGroup(from: first, to: mount)
                } else {
                    if mount.master != 0, !mount.isMasterExternal {
                        guard let master = best(members[mount.master] ?? [], mount) else {
                            throw .image("mount \(mount.mountPoint)", why: "its master shows another folder")
                        }
                        try setGroup(from: master, to: mount)
                        try change(mount, Self.slave)
                    }
                    if mount.group != 0 { try change(mount, Self.shared) }
                }
                if mount.group != 0 {
                    members[mount.group, default: []].append(mount)
                    ready.insert(mount.group)
                }
            }
            let done = Set(turn.map(\.id))
            waiting.removeAll { done.contains($0.id) }
        }
        for mount in live where mount.isUnbindable { try change(mount, Self.unbindable) }
    }

    private func isAway(_ mount: MountValue) -> Bool {
        peers.contains { peer in
            peer.record.mounts.contains {
                $0.group != 0 && ($0.group == mount.group || !mount.isMasterExternal && $0.group == mount.master)
            }
        }
    }

    /// Lets mounts share events with mounts of other namespaces of the tree.
    private func joinPeers(_ stub: RestoreStub) throws(EngineError) {
        let away = record.mounts.filter { mounted[$0.id] != nil && isAway($0) }
        if away.isEmpty { return }
        let all = peers.flatMap { peer in
            peer.record.mounts.compactMap { mount in peer.mounted[mount.id].map { (mount, $0) } }
        }
        for mount in away.sorted(by: { $0.id < $1.id }) {
            let group = all.contains { $0.0.group == mount.group && mount.group != 0 } ? mount.group : mount.master
            guard
                let source = all.first(where: {
                    $0.0.group == group && DumpCollector.below(mount.root, $0.0.root) != nil
                })
            else { throw .image("mount \(mount.mountPoint)", why: "its peers show another folder") }
            // Not by its path, which may lead to another one that hides it.
            guard let target = mounted[mount.id] else { continue }
            try EngineError.wrap("let \(mount.mountPoint) share its mount events", task: stub.tid) {
                () throws(LinuxError) in
                try Files.shareMount(from: source.1, to: target)
                let visit = try Namespaces.Visit(stub.outer, Namespaces.Flag.mount)
                defer { visit.end() }
                if group != mount.group {
                    try Files.setMount(target, propagation: Self.slave)
                    if mount.group != 0 { try Files.setMount(target, propagation: Self.shared) }
                }
            }
        }
    }

    /// A peer can only be set from a mount that shows a folder at or above the same one.
    private func best(_ members: [MountValue], _ mount: MountValue) -> MountValue? {
        members.first { DumpCollector.below(mount.root, $0.root) != nil }
    }

    private func setGroup(from: MountValue, to: MountValue) throws(EngineError) {
        guard let source = mounted[from.id], let target = mounted[to.id] else { return }
        try EngineError.wrap("let \(to.mountPoint) share its mount events with \(from.mountPoint)") {
            () throws(LinuxError) in try Files.shareMount(from: source, to: target)
        }
    }

    private func change(_ mount: MountValue, _ propagation: UInt64) throws(EngineError) {
        guard let fd = mounted[mount.id] else { return }
        try EngineError.wrap("set how \(mount.mountPoint) shares mount events") { () throws(LinuxError) in
            try Files.setMount(fd, propagation: propagation)
        }
    }

    // MARK: The new root

    private func pivot(_ stub: RestoreStub) throws(EngineError) {
        let path = try stub.put(text: root)
        let here = try stub.put(text: ".", at: 64)
        let top = try stub.put(text: "/", at: 128)
        try stub.call(.chdir, [path], doing: "enter the new root")
        try stub.call(.pivot_root, [here, here], doing: "make it the root")
        try stub.call(.umount2, [here, 2], doing: "leave the old root")
        try stub.call(.chdir, [top], doing: "enter the root")
    }
}
