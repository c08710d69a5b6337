internal import LinuxKit

/// The same work on several processors.
enum Workers {
    /// How many processors this process may use, and no more than help: memory is what they wait for.
    static let processors = min(8, max(1, (try? Limits.affinity(of: 0))?.reduce(0) { $0 + $1.nonzeroBitCount } ?? 1))

    /// Fewer pieces of work than this are done before another thread has started.
    static let fewest = 64

    /// Does something with each item, with several at once where there are many.
    ///
    /// - Returns: The answers in the order of the items.
    static func map<Item: Sendable, Answer: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) -> Answer
    ) throws(EngineError) -> [Answer] {
        if items.count < fewest || processors == 1 { return items.map(body) }
        let helping = 16
        let count = (items.count + helping - 1) / helping
        let progress = Shared((next: 0, answers: [[Answer]](repeating: [], count: count)))
        try run(min(processors, count)) {
            while true {
                let index = progress.withLock { progress in
                    defer { progress.next += 1 }
                    return progress.next
                }
                if index >= count { return }
                let first = index * helping
                let answers = items[first..<min(first + helping, items.count)].map(body)
                progress.withLock { $0.answers[index] = answers }
            }
        }
        return progress.withLock { $0.answers.flatMap { $0 } }
    }

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
