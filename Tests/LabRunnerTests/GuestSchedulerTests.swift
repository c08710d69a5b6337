import Synchronization
import Testing

@testable import LabRunner

@Suite("guests for hosts that have work")
struct GuestSchedulerTests {
    /// Lanes in memory: what waits in each, and what was served in which order.
    private final class Lanes: Sendable {
        struct State: Sendable {
            var waiting: [String: [String]]
            var served: [String] = []
            var running = 0
            var most = 0
        }
        let state: Mutex<State>
        init(_ waiting: [String: [String]]) { state = Mutex(State(waiting: waiting)) }

        func lane(
            _ name: String, feeds: Bool = false, perGuest: Int = 100,
            then: @escaping @Sendable (String) throws -> Void = { _ in }
        ) -> GuestScheduler.Lane {
            GuestScheduler.Lane(
                feedsOthers: feeds,
                waitingSeconds: { self.state.withLock { Double($0.waiting[name]?.count ?? 0) } },
                serve: {
                    self.state.withLock { state in
                        state.running += 1
                        state.most = max(state.most, state.running)
                    }
                    for _ in 0..<perGuest {
                        await Task.yield()
                        let item = self.state.withLock { state -> String? in
                            guard let item = state.waiting[name]?.first else { return nil }
                            state.waiting[name]?.removeFirst()
                            state.served.append(item)
                            return item
                        }
                        guard let item else { break }
                        try then(item)
                    }
                    self.state.withLock { $0.running -= 1 }
                })
        }
    }

    @Test("a restore is served when the dump that it needs is there, and never before")
    func feeding() async throws {
        let lanes = Lanes(["dumps": ["d1", "d2"], "restores": []])
        let scheduler = GuestScheduler(guestsAtOnce: 2, secondsPerGuest: 10)
        try await scheduler.run([
            lanes.lane("restores"),
            lanes.lane("dumps", feeds: true) { dump in
                lanes.state.withLock { $0.waiting["restores"]?.append("r-" + dump) }
                scheduler.workAdded()
            },
        ])
        let served = lanes.state.withLock { $0.served }
        #expect(served.sorted() == ["d1", "d2", "r-d1", "r-d2"])
        for dump in ["d1", "d2"] {
            let (before, after) = (served.firstIndex(of: dump), served.firstIndex(of: "r-" + dump))
            #expect((before ?? 9) < (after ?? 0))
        }
    }

    @Test("what feeds others goes first, then the longest")
    func order() async throws {
        let lanes = Lanes(["short": ["s"], "long": ["l", "l", "l"], "feeds": ["f"]])
        try await GuestScheduler(guestsAtOnce: 1, secondsPerGuest: 10).run([
            lanes.lane("short"), lanes.lane("long"), lanes.lane("feeds", feeds: true),
        ])
        #expect(lanes.state.withLock { $0.served } == ["f", "l", "l", "l", "s"])
    }

    @Test("never more guests than allowed; a long lane gets several, a short one does not")
    func bounds() async throws {
        for (items, perGuest, most) in [(40, 10.0, 3), (5, 10.0, 1), (40, 0.0, 3)] {
            let lanes = Lanes(["a": Array(repeating: "x", count: items)])
            try await GuestScheduler(guestsAtOnce: 3, secondsPerGuest: perGuest).run([lanes.lane("a", perGuest: 4)])
            #expect(lanes.state.withLock { $0.served.count } == items)
            #expect(lanes.state.withLock { $0.most } <= most, "\(items) items")
        }
    }

    @Test("nothing to do ends at once, an error ends all")
    func ends() async throws {
        try await GuestScheduler(guestsAtOnce: 2, secondsPerGuest: 1).run([Lanes([:]).lane("a")])
        let lanes = Lanes(["a": ["x"], "b": ["y"]])
        await #expect(throws: CancellationError.self) {
            try await GuestScheduler(guestsAtOnce: 2, secondsPerGuest: 1).run([
                lanes.lane("a") { _ in throw CancellationError() }, lanes.lane("b"),
            ])
        }
    }
}
