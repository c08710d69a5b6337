import Testing

@testable import GuestAgent

@Suite("what an operation leaves behind in a guest")
struct GuestHealthTests {
    private static func health(
        total: Int = 480 << 10, available: Int = 400 << 10, mounts: Int = 3, clock: Int64 = 5
    ) -> GuestHealth {
        GuestHealth(
            memory: "MemTotal:       \(total) kB\nMemFree:  1 kB\nMemAvailable:   \(available) kB\n",
            mounts: String(repeating: "24 1 0:22 / /proc rw - proc proc rw\n", count: mounts), clockNanoseconds: clock)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var after: GuestHealth
        var words: [String]
    }

    static let cases = [
        Case(testDescription: "nothing", after: health(), words: []),
        Case(testDescription: "some memory", after: health(available: 340 << 10), words: []),
        Case(testDescription: "more memory than before", after: health(available: 470 << 10), words: []),
        Case(testDescription: "much memory", after: health(available: 330 << 10), words: ["memory"]),
        Case(testDescription: "a mount", after: health(mounts: 4), words: ["mounts"]),
        Case(testDescription: "a mount less", after: health(mounts: 2), words: ["mounts"]),
        Case(testDescription: "a clock that was set forth", after: health(clock: 2_000_000_005), words: ["clock"]),
        Case(testDescription: "a clock that was set back", after: health(clock: -2_000_000_005), words: ["clock"]),
        Case(testDescription: "a clock read a little later", after: health(clock: 900_000_000), words: []),
    ]

    @Test("is a taint where it matters", arguments: cases)
    func taints(_ c: Case) { #expect(Self.health().taints(of: c.after).map(\.word) == c.words) }

    @Test("a large guest may lose more memory")
    func large() {
        let before = Self.health(total: 4 << 20, available: 3 << 20)
        #expect(before.taints(of: Self.health(total: 4 << 20, available: 3 << 20 - 500 << 10)).isEmpty)
        #expect(before.taints(of: Self.health(total: 4 << 20, available: 2 << 20)).map(\.word) == ["memory"])
    }

    @Test(
        "kernel messages",
        arguments: [
            ("WARNING: CPU: 0 PID: 7 at kernel/exit.c:1 do_exit+0x1/0x2", nil, "warning"),
            ("BUG: kernel NULL pointer dereference", "oops", "oops"),
            ("Oops: 0000 [#1] PREEMPT SMP", "oops", "oops"),
            ("INFO: task crengine:12 blocked for more than 60 seconds.", "hung-task", "hung-task"),
            ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s!", "oops", "oops"),
            ("traps: counter[3] trap invalid opcode", nil, nil),
        ] as [(String, String?, String?)])
    func messages(_ text: String, _ always: String?, _ during: String?) {
        let message = KernelMessage(level: 4, text: text)
        #expect(message.taint == always)
        #expect(message.operationTaint == during)
    }
}
