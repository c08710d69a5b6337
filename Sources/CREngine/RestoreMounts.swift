internal import CRImage
internal import CRModel
internal import LinuxKit

/// Puts a mount namespace together.
///
/// In the stub's copy of the namespace that it came from, a stage (a tmpfs) holds the new root and one mount of every file
/// system that is made anew. Each mount of the image is a clone of one of those, or of what the engine sees outside. At the
/// end the new root takes the place of the old one, and everything else goes with it.
final class RestoreMounts {
    private static let stage = "/proc"
    private static let root = "/proc/r"
    private static let folderMode: UInt64 = 0o755
    private static let slave: UInt64 = 1 << 19
    private static let privately: UInt64 = 1 << 18
    private static let shared: UInt64 = 1 << 20
    private static let unbindable: UInt64 = 1 << 17

    private let record: NamespaceRecord
    private let options: RestoreOptions
    private let groups: NamespaceRecord?
    /// Mount of the image to a descriptor of it.
    private var mounted: [UInt32: Int32] = [:]
    private var staged: [Int: String] = [:]
    private var trees: [RestoreFileTree] = []
    /// Clones of what is outside.
    private var clones: [UInt32: Int32] = [:]
    private var missing: Set<UInt32> = []
    private(set) var notes: [String] = []

    init(_ record: NamespaceRecord, _ contents: ImageContents, _ options: RestoreOptions) {
        self.record = record
        self.options = options
        groups = contents.namespaces.first { $0.kind == .user && $0.number == record.owner }
    }

    var contentFiles: [UInt32: (fd: Int32, sizeBytes: UInt64)] {
        trees.reduce(into: [:]) { all, tree in all.merge(tree.contentFiles) { first, _ in first } }
    }

    func close() {
        for fd in Array(mounted.values) + Array(clones.values) { Files.close(fd) }
        mounted = [:]
        clones = [:]
        for tree in trees { tree.close() }
    }

    func finish() throws(EngineError) {
        for tree in trees { try tree.finish() }
    }

    // MARK: Building

    func build(_ stub: RestoreStub) throws(EngineError) {
        for mount in record.mounts { try cloneExternal(mount, stub) }
        // MS_REC | MS_SLAVE: from here on nothing that happens in the stub's namespace reaches another one.
        let top = try stub.put(text: "/")
        try stub.call(.mount, [0, top, 0, Self.slave | 1 << 14, 0], doing: "keep mounts to itself")
        try mountNew(stub, "tmpfs", "tmpfs", at: Self.stage, flags: 0, data: "mode=755")
        try makeFolder(stub, Self.root)
        for position in record.fileSystems.indices { try stageFileSystem(position, stub) }
        for mount in record.mounts { try attach(mount, stub) }
        try propagate(stub)
        try pivot(stub)
        for tree in trees { try tree.fill() }
    }

    private func makeFolder(_ stub: RestoreStub, _ path: String) throws(EngineError) {
        try stub.call(.mkdir, [try stub.put(text: path), Self.folderMode], doing: "create \(path)")
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
        if mount.parent == 0, let root = options.root { return root }
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
        let path = "\(Self.stage)/\(position)"
        try makeFolder(stub, path)
        var flags: UInt64 = 0
        var words: [Substring] = []
        var isReadOnly = false
        for word in system.options.split(separator: ",") {
            if word == "ro" { isReadOnly = true }
            if let flag = Self.superFlags[word] {
                flags |= flag
            } else if word != "rw" && word != "ro" && word != "seclabel" {
                words.append(word)
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
            // open_tree(2) without OPEN_TREE_CLONE: a plain O_PATH descriptor, which the engine shares.
            let fd = try stub.call(
                .open_tree, [RestoreStub.word(-100), try stub.put(text: path), 0o2000000], doing: "open \(path)")
            trees.append(RestoreFileTree(system, fd: Int32(fd), user: groups, makesReadOnly: isReadOnly))
            try trees[trees.count - 1].fillFolders()
        }
    }

    /// What to clone for a mount that is not external: a path in the stub's namespace.
    private func source(_ mount: MountValue, _ stub: RestoreStub) throws(EngineError) -> String {
        if let path = staged[Int(mount.fileSystem)] { return mount.root == "/" ? path : path + mount.root }
        let others = record.mounts.filter { $0.fileSystem == mount.fileSystem && clones[$0.id] != nil }
        for other in others {
            guard let rest = DumpCollector.below(mount.root, other.root) else { continue }
            let outside = try externalPath(other)
            let fd = try EngineError.wrap("clone \(outside)") { () throws(LinuxError) in
                let fd = try Files.cloneMount(outside)
                try Files.setMount(fd, propagation: Self.privately)
                return fd
            }
            defer { Files.close(fd) }
            let path = "\(Self.stage)/m\(mount.id)"
            if other.isFolder {
                try makeFolder(stub, path)
            } else {
                try stub.call(.mknod, [try stub.put(text: path), 0o100600, 0], doing: "create \(path)")
            }
            try move(stub, fd, to: path, object: mount.mountPoint)
            return path + rest
        }
        throw .image("mount \(mount.mountPoint)", why: "nothing shows the folder \(mount.root)")
    }

    private func move(_ stub: RestoreStub, _ fd: Int32, to path: String, object: String) throws(EngineError) {
        let empty = try stub.put(text: "")
        let target = try stub.put(text: path, at: 64)
        // MOVE_MOUNT_F_EMPTY_PATH
        let answer = try stub.attempt(
            .move_mount, [RestoreStub.word(fd), empty, RestoreStub.word(-100), target, 4])
        if let errno = answer {
            throw .remote(call: "move_mount", task: stub.tid, errno, doing: "mount \(object)")
        }
    }

    private func attach(_ mount: MountValue, _ stub: RestoreStub) throws(EngineError) {
        if missing.contains(mount.id) { return }
        if let above = record.mounts.first(where: { $0.id == mount.parent }), missing.contains(above.id) {
            missing.insert(mount.id)
            return
        }
        let target = Self.root + (mount.mountPoint == "/" ? "" : mount.mountPoint)
        if let clone = clones[mount.id] {
            mounted[mount.id] = clone
            clones[mount.id] = nil
        } else {
            let path = try source(mount, stub)
            if mount.isRootRemoved { try makeRemoved(path, mount, stub) }
            let fd = try stub.call(
                .open_tree, [RestoreStub.word(-100), try stub.put(text: path), 0o2000001],
                doing: "clone \(path) for \(mount.mountPoint)")
            mounted[mount.id] = Int32(fd)
            if mount.isRootRemoved {
                let name = try stub.put(text: path)
                try stub.call(mount.isFolder ? .rmdir : .unlink, [name], doing: "remove \(path)")
            }
        }
        guard let fd = mounted[mount.id] else { return }
        do {
            try Files.setMount(fd, flags: mount.flags)
        } catch {
            notes.append("the flags of mount \(mount.mountPoint) could not be set")
        }
        try move(stub, fd, to: target, object: mount.mountPoint)
    }

    private func makeRemoved(_ path: String, _ mount: MountValue, _ stub: RestoreStub) throws(EngineError) {
        let name = try stub.put(text: path)
        let errno =
            mount.isFolder
            ? try stub.attempt(.mkdir, [name, Self.folderMode]) : try stub.attempt(.mknod, [name, 0o100644, 0])
        if let errno {
            throw .remote(call: "mkdir", task: stub.tid, errno, doing: "create the removed \(mount.root) again")
        }
    }

    // MARK: Propagation

    private func propagate(_ stub: RestoreStub) throws(EngineError) {
        let live = record.mounts.filter { mounted[$0.id] != nil }
        var ready: Set<UInt32> = []
        var waiting = live.filter { $0.group != 0 || $0.master != 0 && !$0.isMasterExternal }
        var members: [UInt32: [MountValue]] = [:]
        while !waiting.isEmpty {
            let turn = waiting.filter { $0.master == 0 || $0.isMasterExternal || ready.contains($0.master) }
            if turn.isEmpty { throw .image("mounts", why: "peer groups are their own masters") }
            for mount in turn {
                if mount.group != 0, let first = best(members[mount.group] ?? [], mount) {
                    try setGroup(stub, from: first, to: mount)
                } else {
                    if mount.master != 0, !mount.isMasterExternal {
                        guard let master = best(members[mount.master] ?? [], mount) else {
                            throw .image("mount \(mount.mountPoint)", why: "its master shows another folder")
                        }
                        try setGroup(stub, from: master, to: mount)
                        try change(stub, mount, Self.slave)
                    }
                    if mount.group != 0 { try change(stub, mount, Self.shared) }
                }
                if mount.group != 0 {
                    members[mount.group, default: []].append(mount)
                    ready.insert(mount.group)
                }
            }
            let done = Set(turn.map(\.id))
            waiting.removeAll { done.contains($0.id) }
        }
        for mount in live where mount.isUnbindable { try change(stub, mount, Self.unbindable) }
    }

    /// A peer can only be set from a mount that shows a folder at or above the same one.
    private func best(_ members: [MountValue], _ mount: MountValue) -> MountValue? {
        members.first { DumpCollector.below(mount.root, $0.root) != nil }
    }

    private func setGroup(_ stub: RestoreStub, from: MountValue, to: MountValue) throws(EngineError) {
        guard let source = mounted[from.id], let target = mounted[to.id] else { return }
        let empty = try stub.put(text: "")
        // MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH (5.15)
        let answer = try stub.attempt(
            .move_mount, [RestoreStub.word(source), empty, RestoreStub.word(target), empty, 0x144])
        if let errno = answer {
            throw .remote(
                call: "move_mount", task: stub.tid, errno,
                doing: "let \(to.mountPoint) share its mount events with \(from.mountPoint)")
        }
    }

    private func change(_ stub: RestoreStub, _ mount: MountValue, _ propagation: UInt64) throws(EngineError) {
        guard let fd = mounted[mount.id] else { return }
        let empty = try stub.put(text: "")
        // struct mount_attr: attr_set, attr_clr, propagation, userns_fd; AT_EMPTY_PATH
        let attributes = try stub.put(words: [0, 0, propagation, 0], at: 64)
        let answer = try stub.attempt(.mount_setattr, [RestoreStub.word(fd), empty, 0x1000, attributes, 32])
        guard let errno = answer else { return }
        if errno == .notImplemented {
            // Before 5.12: by name, which is right unless something is mounted upon it.
            let path = try stub.put(text: Self.root + (mount.mountPoint == "/" ? "" : mount.mountPoint))
            try stub.call(.mount, [0, path, 0, propagation, 0], doing: "set how \(mount.mountPoint) shares events")
            return
        }
        throw .remote(
            call: "mount_setattr", task: stub.tid, errno, doing: "set how \(mount.mountPoint) shares mount events")
    }

    // MARK: The new root

    private func pivot(_ stub: RestoreStub) throws(EngineError) {
        let path = try stub.put(text: Self.root)
        let here = try stub.put(text: ".", at: 64)
        let top = try stub.put(text: "/", at: 128)
        try stub.call(.chdir, [path], doing: "enter the new root")
        // A shared root cannot be moved about; its group goes on when it stands.
        let rootMount = record.mounts.first { $0.parent == 0 }
        if let rootMount, rootMount.group != 0 { try change(stub, rootMount, Self.privately) }
        try stub.call(.pivot_root, [here, here], doing: "make it the root")
        try stub.call(.umount2, [here, 2], doing: "leave the old root")
        try stub.call(.chdir, [top], doing: "enter the root")
        guard let rootMount, rootMount.group != 0 else { return }
        if let peer = record.mounts.first(where: { $0.group == rootMount.group && $0.id != rootMount.id }) {
            try setGroup(stub, from: peer, to: rootMount)
        } else {
            try change(stub, rootMount, Self.shared)
        }
    }
}
