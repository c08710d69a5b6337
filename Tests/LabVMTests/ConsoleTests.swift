import CRModel
import Testing

@testable import LabVM

@Suite("what a guest prints")
struct ConsoleTests {
    @Test("a panic is found and quoted")
    func panic() {
        var ring = ConsoleRing()
        _ = ring.append(Array("SeaBIOS\r\n[    2.1] Kernel panic - not syncing: Attempted to kill init!\r\nmore".utf8))
        #expect(ring.panic == "Kernel panic - not syncing: Attempted to kill init!")
        #expect(ring.tail.contains("more"))
        #expect(!ring.tail.contains("\r"))
    }

    @Test("memory and file are bounded")
    func bounds() {
        var ring = ConsoleRing()
        var stored = 0
        for _ in 0..<200 { stored += ring.append([UInt8](repeating: 0x61, count: 65536)) }
        #expect(stored == ConsoleRing.fileBytes)
        #expect(ring.bytes.count <= 3 * ConsoleRing.tailBytes)
        #expect(ring.panic == nil)
    }

    @Test("every error has a reason, and says what, where and why")
    func errors() {
        let errors: [VMError] = [
            .notEmulable(cpu: "X", accelerator: "tcg", missing: ["a", "b"]), .cpuUnknown(cpu: "X"),
            .silent(host: "h", seconds: 12.5),
            .panicked(host: "h", message: "m", booted: true, console: "c"),
            .hung(host: "h", seconds: 15, console: "c"),
            .refusedByAgent(host: "h", request: "dump", failure: .init(reason: .harnessWorkload, message: "m")),
        ]
        #expect(
            errors.map(\.reason)
                == [.harnessEmulation, .harnessEmulation, .harnessBoot, .harnessAgent, .harnessAgent, .harnessWorkload])
        #expect(errors[0].explanation.line.hasPrefix("not emulable here (X): tcg lacks a, b; write 'X,reduced'"))
        #expect(errors[3].labFailure.consoleTail == "c")
    }
}
