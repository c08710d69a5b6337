import CRModel
import Foundation
import LabStore
import LabVM
import Synchronization

/// New failures are repeated, to tell what is flaky from what is broken.
extension Runner {
    /// Repeats every new failure so often as the run asks for, each time in a fresh guest of its own, and records it.
    func confirmFailures(_ judge: CellJudge) async throws {
        let cells = await judge.newFailures
        guard let times = store.run.confirm?.times, !cells.isEmpty else { return }
        emit(.note("new failures: \(cells.count); each is repeated \(times) times"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            var waiting = cells[...]
            for _ in 0..<max(1, options.guestsAtOnce) {
                guard let cell = waiting.popFirst() else { break }
                group.addTask { try await confirm(cell, times: times, judge) }
            }
            while try await group.next() != nil {
                guard let cell = waiting.popFirst() else { continue }
                group.addTask { try await confirm(cell, times: times, judge) }
            }
        }
    }

    private func confirm(_ cell: Cell, times: Int, _ judge: CellJudge) async throws {
        let done = try await store.attempts(of: cell).count { $0.confirms == true }
        for _ in min(done, times)..<times {
            let found: Restored
            do {
                found = try await again(cell)
            } catch {
                try Task.checkCancellation()
                guard let failure = (error as? VMError)?.labFailure else { throw error }
                found = Restored(evidence: AttemptEvidence(cell: cell, labFailure: failure), alone: true)
            }
            try await store.recordAttempt(attempt(found, confirms: true))
        }
        let attempts = try await store.attempts(of: cell)
        try await judge.take(
            confirming: attempts.filter { $0.confirms == true }, of: cell, attempts: attempts.count)
    }

    /// Repeats a cell from where it failed: the restore from the image that there is, or else the dump first.
    private func again(_ cell: Cell) async throws -> Restored {
        let dump = try await dumpRecord(cell.dump)
        if dump?.image != nil {
            return try await inGuest(cell.destination) { guest, boot in
                try await restore(cell, in: guest, boot: boot, alone: true).value
            }
        }
        let made = try await inGuest(cell.source) { guest, boot in
            try await self.dump(cell.dump, in: guest, boot: boot).value
        }
        let hosts = memory.fingerprints
        guard let archive = made.archive else {
            return Restored(
                evidence: AttemptEvidence(
                    cell: cell, dump: made.evidence, sourceHost: hosts[cell.source],
                    destinationHost: hosts[cell.destination]), boot: made.boot, alone: true)
        }
        defer { try? FileManager.default.removeItem(atPath: archive) }
        return try await inGuest(cell.destination) { guest, boot in
            try await restore(cell, dump: made.evidence, from: archive, in: guest, boot: boot, alone: true).value
        }
    }

    private func inGuest<Value: Sendable>(
        _ host: HostName, _ body: @escaping @Sendable (Guest, Int) async throws -> Value
    ) async throws -> Value {
        let found = Mutex<Value?>(nil)
        try await withGuest(host, purpose: "confirm") { guest, boot in
            let value = try await body(guest, boot)
            found.withLock { $0 = value }
        }
        guard let value = found.withLock({ $0 }) else {
            throw VMError.agentDied(host: host, why: "the host is not to be had", console: "")
        }
        return value
    }
}

extension WorkResult {
    /// Whatever became of the guest.
    var value: Value {
        switch self {
        case .done(let value), .tainted(let value, _): value
        }
    }
}
