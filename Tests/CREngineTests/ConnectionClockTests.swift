import Testing

@testable import CREngine

@Suite("clocks of TCP connections")
struct ConnectionClockTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var value: UInt32
        var nanoseconds: UInt64
        var expected: UInt32

        init(_ name: String, _ value: UInt32, after nanoseconds: UInt64, _ expected: UInt32) {
            (testDescription, self.value, self.nanoseconds, self.expected) = (name, value, nanoseconds, expected)
        }
    }

    static let cases = [
        Case("at once", 1000, after: 0, 1000),
        Case("milliseconds", 1000, after: 3_000_000_000, 4000),
        Case("a part of one counts whole", 1000, after: 3_000_000_001, 4002),
        Case("microseconds keep their mark", 1001, after: 3_000_000, 4001),
        Case("it wraps around", .max - 1, after: 4_000_000, 2),
        Case("a year is a wrong clock", 0, after: 31_536_000_000_000_000, 1 << 30),
    ]

    @Test("go on", arguments: cases)
    func later(_ c: Case) {
        let found = ConnectionClock.later(c.value, byNanoseconds: c.nanoseconds)
        #expect(found == c.expected)
        #expect(found & 1 == c.value & 1)
    }

    @Test("the mark is the option's, whatever the value", arguments: [1000, 1001] as [UInt32])
    func marked(_ value: UInt32) {
        #expect(ConnectionClock.marked(value, options: 64) & 1 == 1)
        let plain = ConnectionClock.marked(value, options: 0)
        #expect(plain & 1 == 0 && plain >= value)
    }
}
