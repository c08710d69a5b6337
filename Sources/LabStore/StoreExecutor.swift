internal import Dispatch

/// Runs an actor's work on a thread outside Swift's pool: SQLite waits for the disk, and waiting there would take a
/// thread from the guests.
final class StoreExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "crlab.store")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
