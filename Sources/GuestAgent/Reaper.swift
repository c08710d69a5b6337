import LinuxKit

/// What PID 1 of a cell owes to its tasks: it waits for every one that ends, its own children and orphans alike.
final class Reaper {
    private(set) var ended: [Int32: WaitStatus] = [:]

    /// Takes every child that has ended, after waiting for the next one at most so long.
    func step(nanoseconds: UInt64) {
        collect()
        if nanoseconds == 0 { return }
        if Signals.take(Signals.mask([Signals.child]), timeoutNanoseconds: nanoseconds) != nil { collect() }
    }

    private func collect() {
        while true {
            do throws(LinuxError) {
                guard let found = try Wait.poll(-1) else { return }
                if found.status.isEnd { ended[found.task] = found.status }
            } catch {
                return
            }
        }
    }

    /// Waits for one child.
    ///
    /// - Returns: `nil` when it has not ended at the deadline.
    func wait(for process: Int32, deadline: Deadline) -> WaitStatus? {
        while true {
            if let status = ended[process] { return status }
            let remaining = deadline.remainingNanoseconds
            if remaining == 0 { return nil }
            step(nanoseconds: min(remaining, 50_000_000))
        }
    }
}
