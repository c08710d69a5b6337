import Testing

@testable import LinuxKit

@Suite struct ProcParserTests {
    struct MappingCase: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let line: String
        let start: UInt64
        let name: String
        let shared: Bool
        let inode: UInt64

        init(_ name: String, _ line: String, start: UInt64, path: String, shared: Bool = false, inode: UInt64 = 0) {
            testDescription = name
            self.line = line
            self.start = start
            self.name = path
            self.shared = shared
            self.inode = inode
        }
    }

    static let mappingCases = [
        MappingCase(
            "a file", "55c1dab60000-55c1dab63000 r--p 00001000 fe:00 254626                     /usr/bin/sed",
            start: 0x55c1_dab6_0000, path: "/usr/bin/sed", inode: 254626),
        MappingCase(
            "anonymous memory", "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ", start: 0x7f00_0000_0000, path: ""),
        MappingCase(
            "shared anonymous memory",
            "7f6de7a3c000-7f6de7a3d000 rw-s 00000000 00:01 1055                       /dev/zero (deleted)",
            start: 0x7f6d_e7a3_c000, path: "/dev/zero (deleted)", shared: true, inode: 1055),
        MappingCase(
            "a name with spaces",
            "7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /tmp/a  b c",
            start: 0x7f00_0000_0000, path: "/tmp/a  b c", inode: 12),
        MappingCase(
            "a name with a newline",
            "7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /tmp/a\\012b",
            start: 0x7f00_0000_0000, path: "/tmp/a\nb", inode: 12),
        MappingCase(
            "a name that looks escaped",
            "7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /tmp/a\\040b",
            start: 0x7f00_0000_0000, path: "/tmp/a\\040b", inode: 12),
        MappingCase(
            "the vsyscall page at the top",
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
            start: 0xffff_ffff_ff60_0000, path: "[vsyscall]"),
    ]

    @Test("one line of maps", arguments: mappingCases)
    func mapping(_ c: MappingCase) throws {
        let mapping = try #require(try ProcParser.mappings(c.line + "\n").first)
        #expect(mapping.start == c.start)
        #expect(mapping.name == c.name)
        #expect(mapping.isShared == c.shared)
        #expect(mapping.inode == c.inode)
    }

    @Test("smaps adds flags and page size to the mapping above")
    func smaps() throws {
        let text = """
            55c1dab60000-55c1dab63000 r--p 00000000 fe:00 254626                     /usr/bin/sed
            Size:                 12 kB
            KernelPageSize:        4 kB
            VmFlags: rd mr mw me
            7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
            KernelPageSize:        4 kB
            VmFlags: rd wr mr mw me gd ac

            """
        let mappings = try ProcParser.mappings(text)
        #expect(mappings.count == 2)
        #expect(mappings[0].flags == ["rd", "mr", "mw", "me"])
        #expect(mappings[1].flags.contains("gd"))
        #expect(mappings[1].kernelPageBytes == 4096)
    }

    @Test(
        "damaged maps are an error",
        arguments: ["x", "5-4 r--p 0 0:0 0", "1-2 rwx 0 0:0 0", "Size: 4 kB", "1-2 r--p 0 00 0"])
    func damagedMaps(_ text: String) {
        #expect(throws: LinuxError.self) { try ProcParser.mappings(text) }
    }

    @Test("stat with a hostile name")
    func stat() throws {
        let text =
            "13826 (a) R (b c) S 1 13826 13826 34816 -1 4194304 115 0 0 0 5 6 0 0 20 5 3 0 12345 19333120 252 "
            + "18446744073709551615 94000 94900 140725 0 0 0 0 22 8192 0 0 0 17 1 0 0 0 0 0 95000 95100 96000 1 2 3 4 768\n"
        let stat = try ProcParser.stat(Array(text.utf8))
        #expect(stat.comm == Array("a) R (b c".utf8))
        #expect(stat.state == "S")
        #expect(stat.processGroup == 13826)
        #expect(stat.nice == 5)
        #expect(stat.startTicks == 12345)
        #expect(stat.exitSignal == 17)
        #expect(stat.startHeap == 96000)
        #expect(stat.exitCode == 768)
    }

    @Test("a short stat line is an error")
    func shortStat() {
        #expect(throws: LinuxError.self) { try ProcParser.stat(Array("1 (a) S 1 2".utf8)) }
        #expect(throws: LinuxError.self) { try ProcParser.stat(Array("1 a S 1 2".utf8)) }
    }

    static let statusText = """
        Name:\tcat
        Umask:\t0027
        State:\tS (sleeping)
        Tgid:\t9808
        Ngid:\t0
        Pid:\t9808
        PPid:\t9795
        TracerPid:\t0
        Uid:\t1\t2\t3\t4
        Gid:\t5\t6\t7\t8
        FDSize:\t256
        Groups:\t4 24 1000 
        NStgid:\t9808\t17
        NSpid:\t9808\t17
        NSpgid:\t9795\t1
        NSsid:\t3115\t1
        Threads:\t2
        SigPnd:\t0000000000000001
        ShdPnd:\t0000000000000002
        SigBlk:\t0000000000000004
        SigIgn:\t0000000000000008
        SigCgt:\t0000000000000010
        CapInh:\t0000000000000000
        CapPrm:\t000001fffeffffff
        CapEff:\t000001fffeffffff
        CapBnd:\t000001fffeffffff
        CapAmb:\t0000000000000000
        NoNewPrivs:\t1
        Seccomp:\t2

        """

    @Test("status")
    func status() throws {
        let status = try ProcParser.status(Self.statusText)
        #expect(status.umask == 0o27)
        #expect(status.state == "S")
        #expect(status.uids == [1, 2, 3, 4])
        #expect(status.groups == [4, 24, 1000])
        #expect(status.namespaceTids == [9808, 17])
        #expect(status.sharedPendingSignals == 2)
        #expect(status.noNewPrivileges)
        #expect(status.seccomp == 2)
        #expect(status.threads == 2)
    }

    @Test("status without a line that matters is an error", arguments: ["Uid", "SigPnd", "State", "Threads"])
    func damagedStatus(_ key: String) {
        let text = Self.statusText.split(separator: "\n").filter { !$0.hasPrefix(key + ":") }.joined(separator: "\n")
        #expect(throws: LinuxError.self) { try ProcParser.status(text) }
    }

    @Test("fdinfo of an epoll instance")
    func epoll() throws {
        let info = try ProcParser.descriptorInfo(
            """
            pos:\t0
            flags:\t02000002
            mnt_id:\t15
            ino:\t2060
            tfd:        4 events:       19 data:                4  pos:0 ino:80c sdev:f
            tfd:        7 events: 80000001 data: ffffffffffffffff  pos:10 ino:80d sdev:800001

            """)
        #expect(info.flags == 0o2000002)
        #expect(info.epollTargets.count == 2)
        #expect(info.epollTargets[0].fd == 4)
        #expect(info.epollTargets[0].events == 0x19)
        #expect(info.epollTargets[1].data == UInt64.max)
        #expect(info.epollTargets[1].device == 8 << 32 | 1)
        #expect(info.epollTargets[1].inode == 0x80d)
    }

    @Test("fdinfo of a timerfd, an eventfd and a signalfd")
    func others() throws {
        let timer = try ProcParser.descriptorInfo(
            """
            pos:\t0
            flags:\t02
            mnt_id:\t15
            clockid: 1
            ticks: 3
            settime flags: 01
            it_value: (1, 500)
            it_interval: (0, 250000000)

            """)
        #expect(
            timer.timer
                == DescriptorInfo.TimerSetting(
                    clock: 1, ticks: 3, settimeFlags: 1, valueNanoseconds: 1_000_000_500,
                    intervalNanoseconds: 250_000_000))
        let event = try ProcParser.descriptorInfo("flags:\t02\neventfd-count:               2a\neventfd-id: 1\n")
        #expect(event.eventfdCount == 42)
        let signal = try ProcParser.descriptorInfo("flags:\t02\nsigmask:\t0000000000000200\n")
        #expect(signal.signalMask == 0x200)
    }

    @Test("POSIX timers")
    func timers() throws {
        let timers = try ProcParser.timers(
            """
            ID: 0
            signal: 34/0000000000000007
            notify: signal/tid.77
            ClockID: 1
            ID: 3
            signal: 0/0000000000000000
            notify: none/pid.70
            ClockID: 0

            """)
        #expect(
            timers == [
                PosixTimer(id: 0, signal: 34, value: 7, notify: 4, notifyTask: 77, clock: 1),
                PosixTimer(id: 3, signal: 0, value: 0, notify: 1, notifyTask: 70, clock: 0),
            ])
    }

    @Test("mounts")
    func mounts() throws {
        let mounts = try ProcParser.mounts(
            "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
        #expect(mounts.first?.mountPoint == "/mnt 2")
        #expect(mounts.first?.device == 98 << 32)
        #expect(mounts.first?.fileSystem == "ext3")
        #expect(throws: LinuxError.self) { try ProcParser.mounts("1 2 3\n") }
    }

    @Test("wait status words")
    func waitStatus() {
        #expect(WaitStatus(raw: 3 << 8) == .exited(code: 3))
        #expect(WaitStatus(raw: 9) == .killed(signal: 9, core: false))
        #expect(WaitStatus(raw: 0x85 << 8 | 0x7f) == .stopped(signal: 5, event: 0, systemCall: true))
        #expect(WaitStatus(raw: 128 << 16 | 19 << 8 | 0x7f) == .stopped(signal: 19, event: 128, systemCall: false))
        #expect(WaitStatus(raw: 0xffff) == .continued)
    }
}
