import CRModel
import LabScenario
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
        var spent: [Work: Spent] = [:]
    }
    /// What is done with a workload, on whatever host.
    private struct Work: Hashable {
        var runtime: RuntimeName
        var workload: WorkloadName
        var isDump: Bool
    }
    private struct Spent {
        var seconds = 0.0
        var times = 0.0
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

    /// Remembers how long a dump took, carrying its image included.
    func spent(_ time: Duration, on key: DumpKey) {
        spent(time / .seconds(1), on: Work(runtime: key.runtime, workload: key.workload, isDump: true))
    }

    /// Remembers how long a restore took, carrying and verifying included.
    func spent(milliseconds: Int, on cell: Cell) {
        spent(Double(milliseconds) / 1000, on: Work(runtime: cell.runtime, workload: cell.workload, isDump: false))
    }

    private func spent(_ seconds: Double, on work: Work) {
        state.withLock { state in
            state.spent[work, default: Spent()].seconds += seconds
            state.spent[work, default: Spent()].times += 1
        }
    }

    /// Seconds that dumps of the same workload took in this run, on average; as documented before the first.
    func seconds(of key: DumpKey) -> Double {
        mean(Work(runtime: key.runtime, workload: key.workload, isDump: true)) ?? Self.dumpSeconds
    }

    /// Seconds that restores of the same workload took in this run, on average; as documented before the first.
    func seconds(of cell: Cell) -> Double {
        mean(Work(runtime: cell.runtime, workload: cell.workload, isDump: false)) ?? Self.restoreSeconds
    }

    private func mean(_ work: Work) -> Double? {
        state.withLock { state in state.spent[work].map { $0.seconds / $0.times } }
    }

    private static let dumpSeconds = Costs.documented.ready + Costs.documented.dump + Costs.documented.carry
    private static let restoreSeconds =
        Costs.documented.carry + Costs.documented.restore + Costs.documented.verify

    func keep(_ key: DumpKey, _ record: DumpRecord) { state.withLock { $0.dumps[key] = record } }
}
