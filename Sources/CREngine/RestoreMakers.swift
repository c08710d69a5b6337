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
    private(set) var notes: [String] = []

    init(root: RestoreStub, tree: RestoreTree) throws(EngineError) {
        self.root = root
        self.tree = tree
        ownGroups = try EngineError.wrap("read the stub's groups", task: root.tid) { () throws(LinuxError) in
            try Procfs.status(root.outer).groups.map { UInt64($0) }
        }
    }

    /// Runs `body` in a stub that the kernel takes for the one that the credentials describe.
    func act<Value>(
        as credentials: UnixCredentialsValue, groups: [UInt64], _ object: String,
        _ body: (RestoreStub) throws(EngineError) -> Value
    ) throws(EngineError) -> Value {
        guard credentials.isPresent else { return try body(root) }
        let stub = try stub(for: credentials.pid, object)
        let switches = credentials.uid != 0 || credentials.gid != 0 || groups != ownGroups
        guard switches else { return try body(stub) }
        // Real and saved IDs stay, so that the way back is open.
        let groupsAreSet = try setGroups(stub, groups)
        let group = try stub.attempt(.setresgid, [.max, UInt64(credentials.gid), .max])
        let user = try stub.attempt(.setresuid, [.max, UInt64(credentials.uid), .max])
        if !groupsAreSet || group != nil || user != nil {
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
