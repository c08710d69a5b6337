import CRImage
import LinuxKit
import Testing

@testable import CREngine

/// Lines of fdinfo as kernels print them.
@Suite("fdinfo lines")
struct HandleLineTests {
    @Test("an inotify watch is all hexadecimal")
    func inotify() throws {
        let line = try #require(
            InotifyLine(
                "inotify wd:3e8 ino:12a5e1 sdev:fe00000 mask:100 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 "
                    + "f_handle:e1a512002fa000f1"))
        #expect(line.watch == 1000)
        #expect(line.mask == 0x100)
        #expect(line.identity == FileIdentity(device: 0xfe << 32, inode: 0x12a5e1))
        #expect(line.handle == [0xe1, 0xa5, 0x12, 0, 0x2f, 0xa0, 0, 0xf1])
        #expect(line.handleType == 1)
    }

    @Test("a watch without a handle")
    func withoutHandle() throws {
        let line = try #require(InotifyLine("inotify wd:1 ino:2f sdev:1d mask:fc6 ignored_mask:0"))
        #expect(line.watch == 1)
        #expect(line.handle.isEmpty)
        #expect(InotifyLine("inotify wd:x ino:2f sdev:1d mask:fc6") == nil)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var line: String
        var kind: FileLockKind
        var type: UInt32
        var isBreaking = false
        var last = UInt64(Int64.max)
        var testDescription: String { line }
    }

    static let cases = [
        Case(line: "1: POSIX  ADVISORY  READ 30297 00:29:305 0 19", kind: .posix, type: 0, last: 19),
        Case(line: "1: FLOCK  ADVISORY  WRITE 30316 00:29:329 0 EOF", kind: .flock, type: 1),
        Case(line: "1: OFDLCK ADVISORY  READ -1 00:29:349 0 EOF", kind: .openFile, type: 0),
        Case(line: "1: LEASE  ACTIVE    READ 30275 00:29:277 0 EOF", kind: .lease, type: 0),
        Case(line: "1: LEASE  BREAKING  UNLCK 30283 00:29:288 0 EOF", kind: .lease, type: 2, isBreaking: true),
    ]

    @Test("a lock", arguments: cases)
    func lock(_ c: Case) throws {
        let record = try #require(FileLockLine(c.line)).record
        #expect(record.kind == c.kind)
        #expect(record.type == c.type)
        #expect(record.isBreaking == c.isBreaking)
        #expect(record.first == 0)
        #expect(record.last == c.last)
    }

    @Test(
        "a lock that is not carried",
        arguments: ["1: DELEG  ACTIVE    READ 1 00:29:277 0 EOF", "1: POSIX  MANDATORY WRITE 1 00:29:1 0 EOF", ""])
    func unknown(_ line: String) { #expect(FileLockLine(line) == nil) }
}

/// Timers that repeat faster than the dump looks.
@Suite("timerfds")
struct TimerTests {
    static let cases: [(name: String, ticks: Int, value: String, next: UInt64)] = [
        ("runs", 0, "(0, 400000)", 400_000),
        ("has expired again since it was wound up", 3, "(0, 0)", 1_000_000),
        ("is off, with an interval", 0, "(0, 0)", 0),
    ]

    @Test("when it expires next", arguments: cases)
    func next(_ c: (name: String, ticks: Int, value: String, next: UInt64)) throws {
        let text = """
            pos:\t0
            flags:\t02000002
            mnt_id:\t15
            ino:\t1057
            clockid: 1
            ticks: \(c.ticks)
            settime flags: 00
            it_value: \(c.value)
            it_interval: (0, 1000000)

            """
        let timer = try #require(try ProcParser.descriptorInfo(text).timer)
        #expect(DumpCollector.untilNext(timer) == c.next, "\(c.name)")
    }
}
