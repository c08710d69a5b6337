internal import CRImage
internal import LinuxKit

/// Acts in the name of those that a UNIX socket says are at its other end: the kernel notes PID, user and groups of
/// whoever calls socketpair(2), listen(2) or connect(2).
///
/// The root's stub acts for its own PID; for others, children of it that share its descriptors pass by. They end before
/// the tree is made, so that their PIDs are free again.
final class RestoreMakers {
    private let root: RestoreStub
    private let tree: RestoreTree
    private var children: [Int32: RestoreStub] = [:]
    private var ownGroups: [UInt64]
    /// `/proc/PID/uid_map` and `gid_map` of the root's stub: first inside, first outside, count.
    private let users: [[UInt64]]
    private let groups: [[UInt64]]
    private(set) var notes: [String] = []

    init(root: RestoreStub, tree: RestoreTree) throws(EngineError) {
        self.root = root
        self.tree = tree
        ownGroups = try EngineError.wrap("read the stub's groups", task: root.tid) { () throws(LinuxError) in
            try Procfs.status(root.outer).groups.map { UInt64($0) }
        }
        users = Self.map("/proc/\(root.outer)/uid_map")
        groups = Self.map("/proc/\(root.outer)/gid_map")
        ownGroups = ownGroups.map { Self.inside($0, groups) }
    }

    private static func map(_ path: String) -> [[UInt64]] {
        let lines = ((try? Files.text(of: path)) ?? "").split(separator: "\n")
        return lines.map { $0.split(separator: " ").compactMap { UInt64($0) } }.filter { $0.count == 3 }
    }

    /// What an ID that the engine sees is in the stub's user namespace; itself when it is not mapped.
    private static func inside(_ id: UInt64, _ map: [[UInt64]]) -> UInt64 {
        for line in map where id >= line[1] && id - line[1] < line[2] { return line[0] + (id - line[1]) }
        return id
    }

    /// Runs `body` in a stub that the kernel takes for the one that the credentials describe.
    func act<Value>(
        as credentials: UnixCredentialsValue, groups: [UInt64], _ object: String,
        _ body: (RestoreStub) throws(EngineError) -> Value
    ) throws(EngineError) -> Value {
        guard credentials.isPresent else { return try body(root) }
        let stub = try stub(for: credentials.pid, object)
        let user = Self.inside(UInt64(credentials.uid), users)
        let group = Self.inside(UInt64(credentials.gid), self.groups)
        let groups = groups.map { Self.inside($0, self.groups) }
        let switches = user != 0 || group != 0 || groups != ownGroups
        guard switches else { return try body(stub) }
        // Real and saved IDs stay, so that the way back is open.
        let groupsAreSet = try setGroups(stub, groups)
        let groupError = try stub.attempt(.setresgid, [.max, group, .max])
        let userError = try stub.attempt(.setresuid, [.max, user, .max])
        if !groupsAreSet || groupError != nil || userError != nil {
            notes.append("the other end of \(object) shows another user than before")
        }
        let value = try body(stub)
        try stub.call(.setresuid, [.max, 0, .max], doing: "become root again")
        try stub.call(.setresgid, [.max, 0, .max], doing: "become root's group again")
        _ = try setGroups(stub, ownGroups)
        return value
    }

    private func setGroups(_ stub: RestoreStub, _ groups: [UInt64]) throws(EngineError) -> Bool {
        guard groups.count <= 4096 else { return false }
        // gid_t has 32 bits.
        var bytes: [UInt8] = []
        for group in groups { bytes += [group].littleEndianBytes[..<4] }
        let list = try stub.put(bytes, at: 1024)
        return try stub.attempt(.setgroups, [UInt64(groups.count), list]) == nil
    }

    private func stub(for pid: Int32, _ object: String) throws(EngineError) -> RestoreStub {
        if pid == root.tid { return root }
        if let child = children[pid] { return child }
        if pid > 1 {
            do throws(EngineError) {
                let child = try tree.pass(by: root, pid: pid)
                children[pid] = child
                return child
            } catch .busy {
            } catch .system(_, _, _) {
                // A number above this machine's pid_max.
            }
        }
        notes.append("the other end of \(object) shows PID \(root.tid) instead of \(pid), which is in use")
        return root
    }

    /// Ends the children.
    func end() throws(EngineError) {
        for (pid, child) in children { try tree.dismiss(child, pid: pid, by: root) }
        children = [:]
    }
}
