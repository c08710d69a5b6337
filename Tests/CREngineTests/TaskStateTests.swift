import LinuxKit
import Testing

@testable import CREngine

@Suite("what belongs to a task")
struct TaskStateTests {
    @Test("filters that all threads begin with are shared")
    func commonFilters() {
        #expect(Array(RestoreSeccomp.common([[1, 2], [1, 2, 3], [1, 2]])) == [1, 2])
        #expect(Array(RestoreSeccomp.common([[1, 2], [1, 3]])) == [1])
        #expect(RestoreSeccomp.common([[1], []]).isEmpty)
        #expect(RestoreSeccomp.common([]).isEmpty)
    }

    @Test("a restartable sequence is aborted only between its ends")
    func restartableSequence() {
        let descriptor = [UInt64(0), 0x1000, 0x20, 0x9000].littleEndianBytes
        #expect(FreezeSettle.abortAddress(descriptor: descriptor, 0xfff) == nil)
        #expect(FreezeSettle.abortAddress(descriptor: descriptor, 0x1000) == 0x9000)
        #expect(FreezeSettle.abortAddress(descriptor: descriptor, 0x101f) == 0x9000)
        #expect(FreezeSettle.abortAddress(descriptor: descriptor, 0x1020) == nil)
    }

    @Test("offsets of a time namespace survive the kernel's text")
    func offsets() {
        let text = "monotonic         -2  500000000\nboottime           7          0\n"
        let offsets = TimeOffsets.parse(text)
        #expect(offsets == TimeOffsets(monotonic: -1_500_000_000, boottime: 7_000_000_000))
        #expect(TimeOffsets.parse(offsets.text) == offsets)
        #expect(TimeOffsets.parse("nonsense") == TimeOffsets())
    }

    static let list = """
        Timer List Version: v0.10
        now at 14472592091711 nsecs

        cpu: 0
         clock 0:
        active timers:
         #0: <0000000012ca61ea>, hrtimer_wakeup, S:01
         # expires at 14472595059438-14472595109438 nsecs [in 2967727 to 3017727 nsecs]
         #1: <000000003122b480>, tick_nohz_handler, S:01
         # expires at 14472596000000-14472596000000 nsecs [in 3908289 to 3908289 nsecs]
         clock 1:
        active timers:
         #0: <00000000a15e41a5>, hrtimer_wakeup, S:01
         # expires at 1700000000000000000-1700000000000000000 nsecs [in 5 to 5 nsecs]
        """

    @Test("timers that wake a task, of the monotonic clock only")
    func timerList() {
        let found = SleepProbe.parse(Self.list)
        #expect(found.now == 14_472_592_091_711)
        #expect(found.wakeups.map(\.expiry) == [14_472_595_059_438])
        #expect(SleepProbe.parse("# expires at -\n # expires at x\n #\n").wakeups.isEmpty)
    }

    struct Sleep: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var call: UInt64
        var answer: Int64 = -516
        var words: [UInt64]
        var memory: [UInt64] = [2, 500_000_000]
        var left: UInt64?
        var whole: UInt64?
    }

    /// Arguments: rdi, rsi, rdx, r10.
    static let sleeps = [
        Sleep(testDescription: "nanosleep with a place", call: 35, words: [8192, 8192, 0, 0], left: 2_500_000_000),
        Sleep(testDescription: "nanosleep without", call: 35, words: [8192, 0, 0, 0], whole: 2_500_000_000),
        Sleep(testDescription: "clock_nanosleep", call: 230, words: [1, 0, 8192, 8192], left: 2_500_000_000),
        Sleep(testDescription: "an absolute one", call: 230, words: [1, 1, 8192, 8192]),
        Sleep(testDescription: "poll", call: 7, words: [8192, 1, 300, 0], whole: 300_000_000),
        Sleep(testDescription: "futex", call: 202, words: [8192, 128, 3, 8192], whole: 2_500_000_000),
        Sleep(testDescription: "futex until a time", call: 202, words: [8192, 137, 3, 8192]),
        Sleep(testDescription: "not interrupted", call: 35, answer: 0, words: [8192, 8192, 0, 0]),
        Sleep(testDescription: "no time at all", call: 35, words: [8192, 8192, 0, 0], memory: [0, 1 << 40]),
    ]

    @Test("sleeps that have time left", arguments: sleeps)
    func sleep(_ c: Sleep) {
        var registers = Registers()
        registers.origRax = c.call
        registers.rax = UInt64(bitPattern: c.answer)
        (registers.rdi, registers.rsi, registers.rdx, registers.r10) = (c.words[0], c.words[1], c.words[2], c.words[3])
        let memory = { (address: UInt64) in address == 8192 ? c.memory.littleEndianBytes : nil }
        let found = InterruptedCall.sleep(registers, { _ in nil }, memory: memory)
        #expect(found?.nanoseconds == c.left)
        #expect(found == nil || found?.registers == registers)
        #expect(InterruptedCall.unknownSleep(registers, { _ in nil }, memory: memory) == c.whole)
    }
}
