internal import LinuxKit

/// Places in shared memory where stubs find calls to make, each for one stub at a time. While some make theirs, the
/// engine prepares others'.
final class RemoteLanes {
    static let count = 32
    /// Arguments, then the table of calls.
    static let heldBytes: UInt64 = 4 * 4096
    static let tableBytes: UInt64 = 3 * 4096
    static let laneBytes = heldBytes + tableBytes
    static let capacity = Int(tableBytes) / RemoteProgram.entryBytes

    let pages: SharedPages
    /// Address of ``RemoteProgram/trapping``.
    let code: UInt64
    private let start: UInt64
    private var owners = [RemoteTask?](repeating: nil, count: RemoteLanes.count)
    private var next = 0

    init(_ pages: SharedPages, start: UInt64, code: UInt64) {
        self.pages = pages
        self.start = start
        self.code = code
    }

    func held(_ lane: Int) -> UInt64 { start + UInt64(lane) * Self.laneBytes }
    func table(_ lane: Int) -> UInt64 { held(lane) + Self.heldBytes }

    /// Gives a lane to a task; whoever has had one for longest makes its calls before, when all are taken.
    func acquire(for task: RemoteTask) throws(EngineError) -> Int {
        for distance in 0..<Self.count {
            let lane = (next + distance) % Self.count
            if owners[lane] == nil {
                take(lane, task)
                return lane
            }
        }
        let lane = next
        try owners[lane]?.flush()
        take(lane, task)
        return lane
    }

    private func take(_ lane: Int, _ task: RemoteTask) {
        owners[lane] = task
        next = (lane + 1) % Self.count
    }

    func release(_ lane: Int) { owners[lane] = nil }

    /// Waits until every task has made its calls.
    func settle() throws(EngineError) {
        for owner in owners { try owner?.flush() }
    }
}
