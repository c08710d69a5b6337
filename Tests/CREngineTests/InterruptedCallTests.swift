import LinuxKit
import Testing

@testable import CREngine

@Suite struct InterruptedCallTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var call: Int64
        var answer: Int64
        var isSignalDue = false
        var code: [UInt8] = []
        var clock: UInt64 = 1 << 40
        let expectedCall: UInt64
        let isRewound: Bool

        init(
            _ name: String, call: Int64, answer: Int64, isSignalDue: Bool = false, code: [UInt8] = [],
            clock: UInt64 = 1 << 40, expected: UInt64, isRewound: Bool
        ) {
            testDescription = name
            self.call = call
            self.answer = answer
            self.isSignalDue = isSignalDue
            self.code = code
            self.clock = clock
            expectedCall = expected
            self.isRewound = isRewound
        }
    }

    static let raw514 = UInt64(bitPattern: -514)
    static let cases = [
        Case("not in a call", call: -1, answer: 17, expected: 17, isRewound: false),
        Case("a call that has ended", call: 0, answer: 17, expected: 17, isRewound: false),
        Case("a call that failed", call: 0, answer: -4, expected: UInt64(bitPattern: -4), isRewound: false),
        Case("read, to be restarted", call: 0, answer: -512, expected: 0, isRewound: true),
        Case("pause", call: 34, answer: -514, expected: 34, isRewound: true),
        Case("clock_nanosleep with its restart block", call: 230, answer: -516, expected: 230, isRewound: true),
        Case("pause with a signal due", call: 34, answer: -514, isSignalDue: true, expected: raw514, isRewound: false),
        Case(
            "nanosleep with a signal due", call: 35, answer: -516, isSignalDue: true, expected: raw514, isRewound: false
        ),
        Case(
            "interrupted twice, number in the code", call: 219, answer: -516, code: [0x90, 0xb8, 7, 0, 0, 0, 0x90],
            expected: 7, isRewound: true),
        Case(
            "interrupted twice, told by its arguments", call: 219, answer: -516, clock: 1, expected: 230,
            isRewound: true),
        Case(
            "interrupted twice, unknown", call: 219, answer: -516, expected: UInt64(bitPattern: -4), isRewound: false),
    ]

    @Test("registers fit for another kernel", arguments: cases)
    func settle(_ c: Case) {
        var registers = Registers()
        registers.rip = 0x1000
        registers.origRax = UInt64(bitPattern: c.call)
        registers.rax = UInt64(bitPattern: c.answer)
        registers.rdi = c.clock
        registers.rdx = 1 << 41
        let settled = InterruptedCall.settle(registers, isSignalDue: c.isSignalDue) { _ in c.code.isEmpty ? nil : c.code
        }
        #expect(settled.rax == c.expectedCall)
        #expect(settled.rip == (c.isRewound ? 0xffe : 0x1000))
        #expect(settled.rdi == registers.rdi)
        if c.isRewound { #expect(settled.origRax == UInt64.max) }
    }

    @Test("a system call instruction is found across piece borders")
    func instruction() {
        #expect(RemoteInstruction.find(in: [0x0f, 0x0f, 0x05]) == 1)
        #expect(RemoteInstruction.find(in: [0x05, 0x0f]) == nil)
        #expect(RemoteInstruction.find(in: []) == nil)
    }
}
