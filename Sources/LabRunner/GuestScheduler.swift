/// Gives guests to the hosts that have work: as many at once as the lab machine bears, first where others wait for the
/// outcome, then where most is left to do. A host with much work gets several guests.
struct GuestScheduler: Sendable {
    /// One host's work of one kind.
    struct Lane: Sendable {
        /// Other lanes' work comes from this one's.
        let feedsOthers: Bool
        /// Seconds of work that no guest has begun; 0 when there is none.
        let waitingSeconds: @Sendable () async -> Double
        /// Starts one guest and does what waits.
        let serve: @Sendable () async throws -> Void
    }

    private enum Event: Sendable {
        case ended(lane: Int, (any Error)?)
        case added
    }

    let guestsAtOnce: Int
    /// So much work must wait for each guest that a lane has before it gets one more: a guest costs its start.
    let secondsPerGuest: Double
    private let events: AsyncStream<Event>
    private let bell: AsyncStream<Event>.Continuation

    init(guestsAtOnce: Int, secondsPerGuest: Double) {
        self.guestsAtOnce = max(1, guestsAtOnce)
        self.secondsPerGuest = secondsPerGuest
        (events, bell) = AsyncStream.makeStream(of: Event.self)
    }

    /// Says that some lane has more work now.
    func workAdded() { bell.yield(.added) }

    /// Serves the lanes until no work waits and none is done any more.
    ///
    /// - Throws: What a lane threw first; all others are cancelled then.
    /// - Precondition: Called once.
    func run(_ lanes: [Lane]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var running: [Int: Int] = [:]
            var count = 0
            try await fill(&group, lanes, &running, &count)
            guard count > 0 else { return }
            for await event in events {
                if case .ended(let lane, let error) = event {
                    if let error { throw error }
                    running[lane, default: 1] -= 1
                    count -= 1
                }
                try await fill(&group, lanes, &running, &count)
                if count == 0 { return }
            }
            // The stream ends early when this task is cancelled.
            try Task.checkCancellation()
        }
    }

    private func fill(
        _ group: inout ThrowingTaskGroup<Void, any Error>, _ lanes: [Lane], _ running: inout [Int: Int],
        _ count: inout Int
    ) async throws {
        while count < guestsAtOnce, let lane = await choose(lanes, running) {
            try Task.checkCancellation()
            running[lane, default: 0] += 1
            count += 1
            group.addTask {
                do {
                    try await lanes[lane].serve()
                    bell.yield(.ended(lane: lane, nil))
                } catch {
                    bell.yield(.ended(lane: lane, error))
                }
            }
        }
    }

    private func choose(_ lanes: [Lane], _ running: [Int: Int]) async -> Int? {
        var best: (lane: Int, feeds: Bool, seconds: Double)?
        for (index, lane) in lanes.enumerated() {
            let guests = Double(running[index] ?? 0)
            let waiting = await lane.waitingSeconds()
            guard waiting > 0, guests == 0 || waiting >= secondsPerGuest * guests else { continue }
            let seconds = waiting / (guests + 1)
            if let best, (best.feeds ? 1 : 0, best.seconds) >= (lane.feedsOthers ? 1 : 0, seconds) { continue }
            best = (index, lane.feedsOthers, seconds)
        }
        return best?.lane
    }
}
