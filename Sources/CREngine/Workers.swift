internal import LinuxKit

/// The same work on several processors.
enum Workers {
    /// How many processors this process may use, and no more than help: memory is what they wait for.
    static let processors = min(8, max(1, (try? Limits.affinity(of: 0))?.reduce(0) { $0 + $1.nonzeroBitCount } ?? 1))

    /// Runs `body` that many times at once, one of them here; fewer where no thread is to be had.
    ///
    /// - Postcondition: This process has as many threads as before: some calls about namespaces want it to have one.
    static func run(_ count: Int, _ body: @escaping @Sendable () -> Void) throws(EngineError) {
        var threads: [WorkerThread] = []
        for _ in 1..<max(count, 1) {
            guard let thread = try? WorkerThread(body) else { break }
            threads.append(thread)
        }
        body()
        for thread in threads { thread.join() }
        if threads.isEmpty { return }
        // A thread that was joined has yet to leave the kernel's list.
        let own = Int32(Kernel.attempt(.getpid))
        let deadline = Deadline(seconds: 10)
        while let tasks = try? Procfs.tasks(of: own), tasks.count > 1, deadline.remainingNanoseconds > 0 {
            _ = Kernel.attempt(.sched_yield)
        }
    }
}
