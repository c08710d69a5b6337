internal import CRImage
internal import LinuxKit

/// Writes an image to a descriptor. Lanes with a thread each take turns: while one writes, the others read and check the
/// next pages.
///
/// A lane takes records as bytes, and pages by where they are (``PagePiece``): it reads them itself, leaves out those of
/// zeros, and seals them. Only taking numbers and writing happen in the order of the stream.
final class DumpSink: ImageSink {
    private let lanes: [DumpLane]
    private let output: DumpOutput
    private let turns: DumpTurns
    private var threads: [WorkerThread] = []
    private var current = 0

    /// Why writing failed, for an error that names the errno. Ends the lanes.
    var failure: Errno? {
        stop()
        return output.failure
    }

    init(fd: Int32, wakeups: UInt64) throws(LinuxError) {
        let count = 3
        let turns = try DumpTurns(lanes: count)
        let output = DumpOutput(fd: fd, wakeups: wakeups)
        var lanes: [DumpLane] = []
        for _ in 0..<count { lanes.append(try DumpLane()) }
        self.lanes = lanes
        self.output = output
        self.turns = turns
        for (index, lane) in lanes.enumerated() {
            threads.append(
                try WorkerThread {
                    while lane.work(index, turns, output) {}
                })
        }
        lanes[0].free.wait()
    }

    deinit { stop() }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        var done = 0
        while done < bytes.count {
            if lanes[current].hasPages || lanes[current].room == 0 { try submit() }
            let count = min(bytes.count - done, lanes[current].room)
            // SAFETY: the piece lies inside `bytes`.
            lanes[current].copy(UnsafeRawBufferPointer(rebasing: bytes[done..<(done + count)]))
            done += count
        }
    }

    /// Adds pages to the stream, whose ledger the sink keeps from ``takeOver(_:)`` to ``giveBack()``.
    func add(_ piece: PagePiece) throws(ImageError) {
        var rest = piece
        while rest.count > 0 {
            if lanes[current].pageRoom == 0 { try submit() }
            var part = rest
            part.count = min(rest.count, lanes[current].pageRoom)
            lanes[current].add(part)
            rest.start += UInt64(part.count)
            rest.count -= part.count
        }
    }

    /// Keeps the ledger while pages are added.
    func takeOver(_ ledger: ImageLedger) throws(ImageError) {
        try drain()
        turns.start(ledger)
    }

    /// Waits until all pages are written.
    func giveBack() throws(ImageError) -> ImageLedger {
        try drain()
        return turns.end()
    }

    private func submit() throws(ImageError) {
        lanes[current].full.signal()
        current = (current + 1) % lanes.count
        lanes[current].free.wait()
        if let failure = lanes[current].failure { throw failure.error }
    }

    /// Waits until everything is written and all lanes are free.
    func drain() throws(ImageError) {
        try submit()
        for (index, lane) in lanes.enumerated() where index != current {
            lane.free.wait()
            lane.free.signal()
        }
        for lane in lanes { if let failure = lane.failure { throw failure.error } }
    }

    /// What a lane could not read; for an error that names it.
    var readFailure: LinuxError? {
        stop()
        for lane in lanes { if case .read(let error) = lane.failure { return error } }
        return nil
    }

    /// Waits until everything is written, and ends the lanes.
    func flush() throws(ImageError) {
        try drain()
        stop()
    }

    private func stop() {
        if threads.isEmpty { return }
        for offset in lanes.indices {
            let lane = lanes[(current + offset) % lanes.count]
            // The current one is with this thread; the others come back when they have written.
            if offset > 0 { lane.free.wait() }
            lane.isEnd = true
            lane.full.signal()
        }
        for thread in threads { thread.join() }
        threads = []
    }
}

/// What happens in the order of the stream: one lane after the other takes numbers, and writes.
///
/// SAFETY: whoever has a turn has its part to itself; the filling thread touches the ledger only when all lanes are free.
final class DumpTurns: @unchecked Sendable {
    var ledger = ImageLedger()
    /// The next run's place. Not in the ledger, in which another lane enters its runs at the same time.
    private var place: UInt64 = 0
    private let numbering: [CountingSemaphore]
    private let writing: [CountingSemaphore]

    init(lanes: Int) throws(LinuxError) {
        var semaphores: [CountingSemaphore] = []
        for index in 0..<(2 * lanes) { semaphores.append(try CountingSemaphore(index % lanes == 0 ? 1 : 0)) }
        numbering = Array(semaphores[..<lanes])
        writing = Array(semaphores[lanes...])
    }

    /// - Precondition: All lanes are free.
    func start(_ ledger: ImageLedger) {
        self.ledger = ledger
        place = ledger.index
    }

    /// - Precondition: All lanes are free.
    func end() -> ImageLedger {
        ledger.index = place
        return ledger
    }

    /// Takes the places of the next runs, in a turn of ``number(_:_:)``.
    ///
    /// - Returns: The first one's.
    func reserve(_ count: Int) -> UInt64 {
        defer { place += UInt64(count) }
        return place
    }

    func number(_ lane: Int, _ body: () -> Void) { turn(numbering, lane, body) }
    func write(_ lane: Int, _ body: () -> Void) { turn(writing, lane, body) }

    private func turn(_ semaphores: [CountingSemaphore], _ lane: Int, _ body: () -> Void) {
        semaphores[lane].wait()
        body()
        semaphores[(lane + 1) % semaphores.count].signal()
    }
}
