import LinuxKit
import Testing

@testable import CREngine

/// Code and room that a task needs to go home without its tracer.
@Suite("ways home")
struct RemoteHomeTests {
    struct Code: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        /// Where, and what else there is to know: bytes of the return, or words that are popped.
        var found: [Int]?

        init(_ name: String, _ bytes: [UInt8], _ found: [Int]?) {
            (testDescription, self.bytes, self.found) = (name, bytes, found)
        }
    }

    @Test(
        "the code that returns from signal handlers",
        arguments: [
            Code("glibc", [0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05, 0x90], [1, 9]),
            Code("short", [0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05], [0, 7]),
            Code("another register", [0x90, 0x90, 0xb9, 0x0f, 0, 0, 0, 0x0f, 0x05], nil),
            Code("cut", [0xb8, 0x0f, 0, 0, 0, 0x0f], nil),
            Code("nothing", [], nil),
        ])
    func signalReturn(_ code: Code) {
        #expect(RemoteInstruction.findSignalReturn(in: code.bytes).map { [$0.0, $0.1] } == code.found)
    }

    @Test(
        "a call that returns",
        arguments: [
            Code("plain", [0x0f, 0x05, 0xc3, 0, 0], [0, 0]),
            Code("clears registers", [0x0f, 0x05, 0x31, 0xd2, 0x45, 0x31, 0xc9, 0xc3, 0, 0], [0, 0]),
            Code("pops", [0x90, 0x0f, 0x05, 0x5b, 0x41, 0x5c, 0x5d, 0xc3, 0, 0], [1, 3]),
            Code("the second", [0x0f, 0x05, 0x48, 0x3d, 0, 0x0f, 0x05, 0xc3, 0, 0], [5, 0]),
            Code("clears the stack pointer", [0x0f, 0x05, 0x31, 0xe4, 0xc3, 0, 0], nil),
            Code("mixes registers", [0x0f, 0x05, 0x31, 0xca, 0xc3, 0, 0], nil),
            Code("cut", [0x0f, 0x05], nil),
        ])
    func exit(_ code: Code) {
        #expect(RemoteInstruction.findExit(in: code.bytes).map { [$0.0, $0.1] } == code.found)
    }
}
