internal import LinuxKit

/// Places at which tests let the engine be killed, to show that a workload is untouched or restored and never half.
///
/// With `CRENGINE_FAULT=NAME` in its environment the engine kills itself with SIGKILL when it comes to that place.
enum FaultPoint: String, CaseIterable {
    case dumpFrozen = "dump-frozen"
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
    case restoreReleased = "restore-released"

    private static let wanted: String? = {
        guard let bytes = try? Files.contents(of: "/proc/self/environ") else { return nil }
        let prefix = Array("CRENGINE_FAULT=".utf8)
        return bytes.split(separator: 0).first { $0.starts(with: prefix) }
            .map { String(decoding: $0.dropFirst(prefix.count), as: UTF8.self) }
    }()

    /// Ends the engine when this is the place that was asked for.
    func reach() {
        if Self.wanted == rawValue { try? Signals.send(Signals.kill, to: Int32(Kernel.attempt(.getpid))) }
    }
}
