import CRModel
import LabStore
import Synchronization

/// What this execution of a run has learned and need not ask the records for again, so that a cell costs the same
/// however many hosts and dumps there are.
final class RunMemory: Sendable {
    private struct Place: Hashable {
        let workload: WorkloadName
        let host: HostName
    }
    private struct State {
        var fingerprints: [HostName: HostFingerprint] = [:]
        var dumps: [DumpKey: DumpRecord] = [:]
        var controls: Set<String> = []
        var alone: [Place: StageEvidence] = [:]
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

    /// - Returns: Whether nobody has taken on this control before.
    func takeOn(control id: String) -> Bool { state.withLock { $0.controls.insert(id).inserted } }

    /// What a workload did on a host with neither dump nor restore; `nil` when it was not tried.
    func alone(_ workload: WorkloadName, on host: HostName) -> StageEvidence? {
        state.withLock { $0.alone[Place(workload: workload, host: host)] }
    }

    func keep(alone evidence: StageEvidence, _ workload: WorkloadName, on host: HostName) {
        state.withLock { $0.alone[Place(workload: workload, host: host)] = evidence }
    }

    func keep(_ key: DumpKey, _ record: DumpRecord) { state.withLock { $0.dumps[key] = record } }
}
