import CRImage
import CRModel
import Testing

struct ImageTests {
    @Test("what is written is read back")
    func roundTrip() throws {
        let (contents, runs, pages) = try SampleImage.read(SampleImage.bytes())
        #expect(contents == SampleImage.contents)
        #expect(runs.map(\.target) == SampleImage.runs.map(\.target))
        #expect(runs.map(\.start) == SampleImage.runs.map(\.start))
        #expect(pages == SampleImage.runs.map(\.bytes))
    }

    /// Inside the pages every byte is like its neighbour: every 97th of them will do.
    private func isInsidePages(_ index: Int, of bytes: [UInt8]) -> Bool {
        let pages = SampleImage.runs.reduce(0) { $0 + $1.bytes.count }
        return index > bytes.count - pages && index < bytes.count - 200 && index % 97 != 0
    }

    @Test("passing over pages finds the same runs as reading them")
    func walk() throws {
        let bytes = try SampleImage.bytes()
        let (contents, runs, pages) = try SampleImage.read(bytes)
        let walked = try SampleImage.walk(bytes)
        #expect(walked.0 == contents && walked.1 == runs && walked.2 == pages)
        #expect(!runs.isEmpty)
    }

    @Test("pages begin at cache lines, however long the metadata is", arguments: [0, 1, 15, 16, 17, 47, 48, 63])
    func alignment(_ more: Int) throws {
        var contents = SampleImage.contents
        contents.header.engineVersion += String(repeating: "x", count: more)
        var reader = try ImageReader(MemorySource(SampleImage.bytes(of: contents)))
        _ = try reader.metadata()
        var count = 0
        while let block = try reader.nextBlock() {
            #expect(block.offset % 64 == 0)
            count += 1
        }
        #expect(count == SampleImage.runs.count)
    }

    @Test("every cut gives a typed error")
    func truncation() throws {
        let bytes = try SampleImage.bytes()
        for count in 0..<bytes.count {
            if isInsidePages(count, of: bytes) { continue }
            #expect(throws: ImageError.self, "cut at \(count)") { try SampleImage.read(Array(bytes[..<count])) }
            #expect(throws: ImageError.self, "cut at \(count)") { try SampleImage.walk(Array(bytes[..<count])) }
        }
    }

    @Test("every flipped byte gives a typed error")
    func flips() throws {
        let bytes = try SampleImage.bytes()
        for index in bytes.indices {
            if isInsidePages(index, of: bytes) { continue }
            var damaged = bytes
            damaged[index] ^= 1 << UInt8(index % 8)
            #expect(throws: ImageError.self, "flip at \(index)") { try SampleImage.read(damaged) }
            #expect(throws: ImageError.self, "flip at \(index)") { try SampleImage.walk(damaged) }
        }
    }

    @Test("every flipped bit of the preamble and the first block gives a typed error")
    func bits() throws {
        let bytes = try SampleImage.bytes(withPages: false)
        for index in 0..<48 {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << UInt8(bit)
                #expect(throws: ImageError.self) { try SampleImage.read(damaged) }
            }
        }
    }

    @Test("bytes behind the trailer are an error")
    func trailing() throws {
        let bytes = try SampleImage.bytes()
        #expect(throws: ImageError.trailingBytes(offset: UInt64(bytes.count))) { try SampleImage.read(bytes + [0]) }
        #expect(throws: ImageError.trailingBytes(offset: UInt64(bytes.count))) { try SampleImage.walk(bytes + [0]) }
    }

    @Test("another version is named, not called damage")
    func version() throws {
        var bytes = try SampleImage.bytes()
        bytes[8] = 9
        #expect(throws: ImageError.versionUnsupported(found: 9, readable: 5...5)) { try SampleImage.read(bytes) }
    }

    @Test("other files are no images", arguments: ["", "\u{7f}ELF", "CRLA", "hello, world, this is text"])
    func foreign(_ text: String) {
        #expect(throws: ImageError.self) { try SampleImage.read(Array(text.utf8)) }
    }

    @Test("a length that lies costs nothing")
    func lyingLength() {
        // A header block that claims 64 MiB and has 4 bytes.
        var bytes = Array("CRLABIMG".utf8) + [UInt8(ImageFormat.version), 0, 0, 0, 0, 0, 0, 0]
        bytes += [1, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]
        #expect(throws: ImageError.cut(offset: 36, inside: "a block of type header")) { try SampleImage.read(bytes) }
    }

    @Test("every record can be shown")
    func described() {
        for record in SampleImage.contents.records {
            #expect(record.described()["record"] != nil)
        }
        let header = SampleImage.contents.records[0].described()
        #expect(header["kernelRelease"] == .string("6.1.0"))
        #expect(header["xcr0"] == .string("0x7"))
    }
}

struct ConsistencyCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let damage: @Sendable (inout ImageContents) -> Void

    init(_ description: String, _ damage: @escaping @Sendable (inout ImageContents) -> Void) {
        testDescription = description
        self.damage = damage
    }
}

struct ConsistencyTests {
    static let cases = [
        ConsistencyCase("no root") { $0.header.root = 7 },
        ConsistencyCase("PID twice") { $0.processes[1].pid = 100 },
        ConsistencyCase("parent after its child") { $0.processes[1].parent = 555 },
        ConsistencyCase("object number twice") { $0.pipes[0].number = 1 },
        ConsistencyCase("object number 0") { $0.pipes[0].number = 0 },
        ConsistencyCase("missing address space") { $0.processes[0].addressSpace = 99 },
        ConsistencyCase("task of a zombie") { $0.tasks[1].process = 102 },
        ConsistencyCase("no first task") { $0.tasks.removeFirst() },
        ConsistencyCase("26 registers") { $0.tasks[0].registers.removeLast() },
        ConsistencyCase("short extended state") { $0.tasks[0].xstate = [1] },
        ConsistencyCase("three user IDs") { $0.tasks[0].credentials.users.removeLast() },
        ConsistencyCase("siginfo of 127 bytes") { $0.processes[0].pendingSignals[0].removeLast() },
        ConsistencyCase("VMA of no pages") { $0.addressSpaces[0].vmas[0].end = 0x400000 },
        ConsistencyCase("VMA inside a page") { $0.addressSpaces[0].vmas[0].start = 0x400001 },
        ConsistencyCase("VMAs overlap") { $0.addressSpaces[0].vmas[1].start = 0x401000 },
        ConsistencyCase("VMA above user space") { $0.addressSpaces[0].vmas[1].end = .max & ~4095 },
        ConsistencyCase("VMA of a missing file") { $0.addressSpaces[0].vmas[0].inode = 77 },
        ConsistencyCase("relative path") { $0.inodes[0].path = "bin/sample" },
        ConsistencyCase("descriptor of a missing file") { $0.fileTables[0].entries[0].openFile = 77 },
        ConsistencyCase("descriptor twice") { $0.fileTables[0].entries[1].fd = 0 },
        ConsistencyCase("pipe end without pipe") { $0.openFiles[1].pipe = 0 },
        ConsistencyCase("epoll of a missing file") { $0.openFiles[2].epollTargets[0].openFile = 77 },
        ConsistencyCase("packets longer than the content") { $0.pipes[0].packets = [.max] },
        ConsistencyCase("65 signals") {
            $0.signalTables[0].actions += [SignalActionValue](repeating: SignalActionValue(), count: 55)
        },
        ConsistencyCase("relative working directory") { $0.fileSystems[0].workingDirectory = "tmp" },
    ]

    @Test("records that contradict each other are refused", arguments: cases)
    func contradiction(_ c: ConsistencyCase) throws {
        var contents = SampleImage.contents
        c.damage(&contents)
        #expect(throws: ImageError.self) { try contents.validate() }
        #expect(throws: ImageError.self) { try SampleImage.read(SampleImage.bytes(of: contents, withPages: false)) }
    }

    static let strays: [(UInt32, UInt64)] = [
        (1, 0x604000), (1, 0x603000), (1, 0), (11, 8192), (10, 0), (99, 0), (1, .max & ~8191),
    ]

    @Test("pages outside every VMA and every inode are refused", arguments: strays)
    func strayPages(_ stray: (target: UInt32, start: UInt64)) throws {
        var writer = try ImageWriter(to: MemorySink())
        for record in SampleImage.contents.records { try writer.write(record) }
        try writer.endMetadata()
        let pages = [UInt8](repeating: 1, count: 8192)
        pages.withUnsafeBytes { buffer in try? writer.pages(of: stray.target, at: stray.start, buffer) }
        try writer.finish()
        let bytes = writer.sink.bytes
        #expect(throws: ImageError.self) { try SampleImage.read(bytes) }
        #expect(throws: ImageError.self) { try SampleImage.walk(bytes) }
    }
}

struct ChecksumTests {
    // Published test values of XXH64; the 101-byte ones from the specification's sanity data generator.
    @Test("XXH64 gives the published values")
    func published() {
        #expect(Checksum.of([]) == 0xef46_db37_51d8_e999)
        #expect(Checksum.of(Array("a".utf8)) == 0xd24e_c4f1_a98c_6e5b)
        #expect(Checksum.of(Array("abc".utf8)) == 0x44bc_2cf5_ad77_0999)
        #expect(
            Checksum.of(Array("Nobody inspects the spammish repetition".utf8)) == 0xfbce_a83c_8a37_8bf1)
    }
}
