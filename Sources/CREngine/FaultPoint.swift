internal import LinuxKit

/// Places at which tests let something happen to the engine, to show that a workload is untouched or restored and never
/// half.
///
/// `CRENGINE_FAULT=NAME[:ACTION]` in its environment says where and what.
enum FaultPoint: String, CaseIterable {
    case dumpFrozen = "dump-frozen"
    case dumpAsking = "dump-asking"
    case dumpAskingThreads = "dump-asking-threads"
    case dumpCollected = "dump-collected"
    case dumpMetadata = "dump-metadata"
    case dumpWritten = "dump-written"
    case dumpCommitted = "dump-committed"
    case dumpEnding = "dump-ending"
    case restoreRead = "restore-read"
    case restoreFiles = "restore-files"
    case restoreTasks = "restore-tasks"
    case restorePages = "restore-pages"
    case restoreDescriptors = "restore-descriptors"
    case restoreState = "restore-state"
    case restoreArmed = "restore-armed"
    case restoreAwake = "restore-awake"
    case restoreReleased = "restore-released"

    enum Action: String {
        /// SIGKILL.
        case kill
        /// SIGSTOP: the test does something to the tree, and sends SIGCONT.
        case stop
        /// An error, as if the kernel had answered EIO.
        case fail
    }

    private static let wanted: (point: Substring, action: Action)? = {
        guard let bytes = try? Files.contents(of: "/proc/self/environ") else { return nil }
        let prefix = Array("CRENGINE_FAULT=".utf8)
        guard let entry = bytes.split(separator: 0).first(where: { $0.starts(with: prefix) }) else { return nil }
        let words = String(decoding: entry.dropFirst(prefix.count), as: UTF8.self).split(separator: ":")
        guard let point = words.first else { return nil }
        return (point, words.count > 1 ? Action(rawValue: String(words[1])) ?? .kill : .kill)
    }()

    /// Does what was asked for here.
    ///
    /// - Throws: Only for ``Action/fail``.
    func reach() throws(EngineError) {
        guard let wanted = Self.wanted, wanted.point == rawValue else { return }
        let own = Int32(Kernel.attempt(.getpid))
        switch wanted.action {
        case .kill: try? Signals.send(Signals.kill, to: own)
        case .stop: try? Signals.send(Signals.stop, to: own)
        case .fail:
            throw .system(.call("fault", object: rawValue, .inputOutput), task: nil, doing: "go past a fault point")
        }
    }
}
