import CRModel
import LabStore
import Synchronization

/// What this execution of a run has learned and need not ask the records for again, so that a cell costs the same
/// however many hosts and dumps there are.
final class RunMemory: Sendable {
    private struct State {
        var fingerprints: [HostName: HostFingerprint] = [:]
        var dumps: [DumpKey: DumpRecord] = [:]
    }
    private let state = Mutex(State())

    var fingerprints: [HostName: HostFingerprint] { state.withLock { $0.fingerprints } }

    /// - Returns: Whether that is news.
    func learn(_ host: HostName, _ fingerprint: HostFingerprint) -> Bool {
        state.withLock { state in
            defer { state.fingerprints[host] = fingerprint }
            return state.fingerprints[host] != fingerprint
        }
    }

    func dump(_ key: DumpKey) -> DumpRecord? { state.withLock { $0.dumps[key] } }

    func keep(_ key: DumpKey, _ record: DumpRecord) { state.withLock { $0.dumps[key] = record } }
}
