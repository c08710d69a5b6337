import Testing

@testable import GuestAgent

@Suite("faults in kernel messages")
struct KernelFaultTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var lines: [String]
        var faults: [KernelFault]
        var testDescription: String { name }
    }

    /// Taken from real guests.
    static let cases = [
        Case(
            name: "6.1: invalid opcode, code bytes not readable",
            lines: [
                "traps: python3[82] trap invalid opcode ip:7f5054606008 sp:7ffd17261c88 error:0 in zero (deleted)[7f5054606000+1000]",
                "potentially unexpected fatal signal 4.",
                "CPU: 0 PID: 82 Comm: python3 Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1",
                "Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3-debian-1.16.3-2~bpo12+1 04/01/2014",
                "RIP: 0033:0x7f5054606008",
                "Code: Unable to access opcode bytes at 0x7f5054605fde.",
                "RSP: 002b:00007ffd17261c88 EFLAGS: 00010246",
            ],
            faults: [
                KernelFault(
                    process: 82, comm: "python3", signal: 4, instructionPointer: 0x7f50_5460_6008,
                    file: "zero (deleted)", mappingStart: 0x7f50_5460_6000)
            ]),
        Case(
            name: "6.1: segfault with code",
            lines: [
                "python3[83]: segfault at 0 ip 00007f56dab21d76 sp 00007ffda6030358 error 4 in libc.so.6[7f56daa9e000+156000] likely on CPU 0 (core 0, socket 0)",
                "Code: 00 00 66 90 77 6a <f3> 0f 6f 20 66 0f 74 e0 66 0f d7 d4 85 d2 74 04 0f",
                "potentially unexpected fatal signal 11.",
                "CPU: 0 PID: 83 Comm: python3 Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1",
                "RIP: 0033:0x7f56dab21d76",
                "Code: 00 00 66 90 77 6a <f3> 0f 6f 20 66 0f 74 e0 66 0f d7 d4 85 d2 74 04 0f",
            ],
            faults: [
                KernelFault(
                    process: 83, comm: "python3", signal: 11, instructionPointer: 0x7f56_dab2_1d76,
                    file: "libc.so.6", mappingStart: 0x7f56_daa9_e000,
                    bytes: "f30f6f20660f74e0660fd7d485d274040f")
            ]),
        Case(
            name: "newer: offset in the file, UID before PID, signal without a trap line",
            lines: [
                "traps: a b[c][1021] trap invalid opcode ip:401136 sp:7ffe0 error:0 in avx2[1136,401000+1000]",
                "potentially unexpected fatal signal 6.",
                "CPU: 0 UID: 0 PID: 1030 Comm: x y Not tainted 7.3.4 #1 PREEMPT(lazy)",
                "RIP: 0033:0x7f00",
                "Code: 90 <0f> 0b",
            ],
            faults: [
                KernelFault(
                    process: 1021, comm: "a b[c]", signal: 4, instructionPointer: 0x401136, file: "avx2",
                    mappingStart: 0x401000),
                KernelFault(process: 1030, comm: "x y", signal: 6, instructionPointer: 0x7f00, bytes: "0f0b"),
            ]),
        Case(
            name: "nothing of ours",
            lines: [
                "traps: ", "traps: x trap", "[1]: segfault at  ip ", "CPU: 0 PID: 1 Comm: init",
                "RIP: 0010:native_safe_halt+0xb/0x10", "Code: <90>", "potentially unexpected fatal signal ",
            ],
            faults: []),
    ]

    @Test("from the kernel's words to faults", arguments: cases)
    func parse(_ c: Case) {
        var parser = KernelFaultParser()
        for line in c.lines { parser.read(line) }
        #expect(parser.faults == c.faults)
    }

    @Test("no cut of a real message traps")
    func cuts() {
        for line in Self.cases.flatMap(\.lines) {
            for length in 0...line.count {
                var parser = KernelFaultParser()
                parser.read("potentially unexpected fatal signal 4.")
                parser.read("CPU: 0 PID: 82 Comm: python3 Not tainted 6.1.0")
                parser.read(String(line.prefix(length)))
                parser.read(String(line.suffix(length)))
            }
        }
    }

    struct MessageCase: Sendable, CustomTestStringConvertible {
        var record: String
        var message: KernelMessage?
        var taint: String?
        var testDescription: String { record }
    }

    @Test(
        "records of /dev/kmsg",
        arguments: [
            MessageCase(
                record: "6,339,5140900,-;random: crng init done\n",
                message: .init(level: 6, text: "random: crng init done")
            ),
            MessageCase(
                record: "12,1,2,c;a;b\n SUBSYSTEM=block\n DEVICE=b254:0\n", message: .init(level: 4, text: "a;b")),
            MessageCase(record: "no record"),
            MessageCase(record: "x,1;text"),
            MessageCase(
                record: "1,5,6,-;BUG: unable to handle page fault for address: 0\n",
                message: .init(level: 1, text: "BUG: unable to handle page fault for address: 0"), taint: "oops"),
            MessageCase(
                record: "3,5,6,-;INFO: task a:7 blocked for more than 60 seconds.\n",
                message: .init(level: 3, text: "INFO: task a:7 blocked for more than 60 seconds."), taint: "hung-task"),
            MessageCase(
                record: "4,5,6,-;WARNING: CPU: 0 PID: 1 at kernel/x.c:1\n",
                message: .init(level: 4, text: "WARNING: CPU: 0 PID: 1 at kernel/x.c:1")),
        ])
    func records(_ c: MessageCase) {
        let message = KernelMessage(record: Array(c.record.utf8))
        #expect(message == c.message)
        #expect(message?.taint == c.taint)
    }
}
