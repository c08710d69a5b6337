import CRModel
import Synchronization
import Testing

@testable import LabRunner

private struct GuestDied: Error {}

/// A lab machine in memory: guests are numbers, and a script says what happens in them.
private final class FakeLab: Sendable {
    struct Log: Sendable {
        var boots = 0
        var done: [String] = []
        var recorded: [String] = []
        var missed: [String] = []
        var retried: [String] = []
    }

    let log = Mutex(Log())
    /// What happens when a piece of work is done for the n-th time (from 1).
    let script: @Sendable (_ item: String, _ time: Int) throws -> WorkResult<String>
    let bootFails: @Sendable (_ boot: Int) -> Bool

    init(
        bootFails: @escaping @Sendable (Int) -> Bool = { _ in false },
        script: @escaping @Sendable (String, Int) throws -> WorkResult<String>
    ) {
        self.bootFails = bootFails
        self.script = script
    }

    func run(
        _ items: [String], itemsPerGuest: Int = .max,
        precedes: @escaping @Sendable (String, String) -> Bool = { _, _ in false }
    ) async throws -> Log {
        let actions = WorkQueue<Int, String, String>.Actions(
            withGuest: { body in
                let boot = self.log.withLock { log in
                    log.boots += 1
                    return log.boots
                }
                if self.bootFails(boot) { throw GuestDied() }
                try await body(boot, boot)
            },
            perform: { item, _, boot, alone in
                let time = self.log.withLock { log in
                    log.done.append("\(item)@\(boot)\(alone ? " alone" : "")")
                    return log.done.count { $0.hasPrefix("\(item)@") }
                }
                return try self.script(item, time)
            },
            guestFailure: { $0 is GuestDied ? LabFailure(reason: .harnessAgent, summary: "died") : nil },
            record: { item, value in self.log.withLock { $0.recorded.append("\(item)=\(value)") } },
            miss: { item, _ in self.log.withLock { $0.missed.append(item) } },
            retrying: { item, _ in self.log.withLock { $0.retried.append(item) } })
        let queue = WorkQueue(actions: actions, itemsPerGuest: itemsPerGuest, precedes: precedes)
        await queue.add(items)
        while await queue.waitingSeconds > 0 { try await queue.serve() }
        return log.withLock { $0 }
    }
}

struct WorkQueueTests {
    @Test("clean work shares one boot")
    func oneBoot() async throws {
        let log = try await FakeLab { item, _ in .done(item) }.run(["a", "b", "c"])
        #expect(log.boots == 1)
        #expect(log.recorded == ["a=a", "b=b", "c=c"])
    }

    @Test("work that taints a guest is believed only when it is done again alone")
    func tainted() async throws {
        let log = try await FakeLab { item, time in
            item == "b" && time == 1 ? .tainted("bad", why: "oops") : .done("good")
        }.run(["a", "b", "c"])
        #expect(log.done == ["a@1", "b@1", "c@2", "b@3 alone"])
        #expect(log.recorded == ["a=good", "c=good", "b=good"])
        #expect(log.retried == ["b"])
        #expect(log.missed.isEmpty)
    }

    @Test("a taint that comes again alone is believed")
    func taintedTwice() async throws {
        let log = try await FakeLab { _, _ in .tainted("bad", why: "oops") }.run(["a"])
        #expect(log.recorded == ["a=bad"])
    }

    @Test("a guest that dies twice under the same work is a miss, once, and the others go on")
    func dies() async throws {
        let log = try await FakeLab { item, _ in
            if item == "a" { throw GuestDied() }
            return .done(item)
        }.run(["a", "b"])
        #expect(log.missed == ["a"])
        #expect(log.recorded == ["b=b"])
        #expect(log.boots == 3)
    }

    @Test("a host that does not boot is given up after two tries, and every piece of work is a miss")
    func noBoot() async throws {
        let log = try await FakeLab(bootFails: { _ in true }) { item, _ in .done(item) }.run(["a", "b"])
        #expect(log.boots == 2)
        #expect(log.missed == ["a", "b"])
    }

    @Test("what goes first is asked when work is taken, for what it has cost by then")
    func order() async throws {
        let costs = Mutex(["a1": 1, "b1": 1, "a2": 1, "b2": 1])
        let lab = FakeLab { item, _ in
            // The first one shows that its kind is the cheaper one.
            costs.withLock { costs in for name in costs.keys where name.first == item.first { costs[name] = 0 } }
            return .done(item)
        }
        let log = try await lab.run(["a1", "a2", "b1", "b2"]) { one, other in
            costs.withLock { $0[one, default: 0] > $0[other, default: 0] }
        }
        #expect(log.done == ["a1@1", "b1@1", "a2@1", "b2@1"])
    }

    @Test("a guest does no more than its share")
    func share() async throws {
        let log = try await FakeLab { item, _ in .done(item) }.run(["a", "b", "c"], itemsPerGuest: 1)
        #expect(log.done == ["a@1", "b@2", "c@3"])
    }

    @Test("work that a starting guest will take asks for no second guest")
    func taken() async throws {
        let seen = Mutex<[Double]>([])
        let queue = Mutex<WorkQueue<Int, String, String>?>(nil)
        let actions = WorkQueue<Int, String, String>.Actions(
            withGuest: { body in
                let waiting = await queue.withLock { $0 }?.waitingSeconds ?? -1
                seen.withLock { $0.append(waiting) }
                try await body(1, 1)
            },
            perform: { item, _, _, _ in .done(item) }, guestFailure: { _ in nil }, record: { _, _ in },
            miss: { _, _ in }, retrying: { _, _ in })
        let made = WorkQueue(actions: actions, itemsPerGuest: 1)
        queue.withLock { $0 = made }
        await made.add(["a", "b"])
        try await made.serve()
        #expect(seen.withLock { $0 } == [1])
        #expect(await made.waitingSeconds == 1)
    }

    @Test("one failed boot loses nothing")
    func secondBoot() async throws {
        let log = try await FakeLab(bootFails: { $0 == 1 }) { item, _ in .done(item) }.run(["a"])
        #expect(log.recorded == ["a=a"])
    }

    @Test("an error of the lab itself ends the run")
    func fatal() async throws {
        await #expect(throws: CancellationError.self) {
            _ = try await FakeLab { _, _ in throw CancellationError() }.run(["a"])
        }
    }
}
