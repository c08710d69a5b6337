internal import LinuxKit

/// Reads the mappings of many processes, which keeps the kernel busy, on a thread of its own: in their order, and some
/// ahead of whoever takes them.
///
/// SAFETY (`@unchecked Sendable` of what both share): a place belongs to the thread until it signals `full`, and to the
/// taker until that signals `free`.
final class MappingsAhead {
    private final class Shared: @unchecked Sendable {
        var places: [Result<[Mapping], LinuxError>?]
        var isEnd = false
        let free: CountingSemaphore
        let full: CountingSemaphore

        init(_ count: Int) throws(LinuxError) {
            places = [Result<[Mapping], LinuxError>?](repeating: nil, count: count)
            free = try CountingSemaphore(UInt64(count))
            full = try CountingSemaphore(0)
        }
    }

    private let processes: [Int32]
    private let shared: Shared
    private let thread: WorkerThread
    private var taken = 0
    private var isStopped = false

    /// - Returns: `nil` where it would not pay.
    init?(_ processes: [Int32]) {
        guard processes.count > 3, WorkerThread.processors > 1, let shared = try? Shared(16) else { return nil }
        let thread = try? WorkerThread {
            for (index, process) in processes.enumerated() {
                shared.free.wait()
                if shared.isEnd { return }
                let result: Result<[Mapping], LinuxError>
                do throws(LinuxError) { result = .success(try Procfs.mappings(process)) } catch {
                    result = .failure(error)
                }
                shared.places[index % shared.places.count] = result
                shared.full.signal()
            }
        }
        guard let thread else { return nil }
        self.processes = processes
        self.shared = shared
        self.thread = thread
    }

    deinit { stop() }

    /// The mappings of a process; `nil` when it is not the next one.
    func next(_ process: Int32) throws(LinuxError) -> [Mapping]? {
        guard taken < processes.count, processes[taken] == process else { return nil }
        shared.full.wait()
        let place = taken % shared.places.count
        taken += 1
        let result = shared.places[place]
        shared.places[place] = nil
        shared.free.signal()
        return try result?.get()
    }

    func stop() {
        if isStopped { return }
        isStopped = true
        shared.isEnd = true
        shared.free.signal()
        thread.join()
    }
}
