import Testing

@testable import LinuxKit

/// What needs a kernel but no privileges.
@Suite struct KernelTests {
    static let own = Int32(Kernel.attempt(.getpid))

    @Test("an error names call and object")
    func errors() {
        #expect(throws: LinuxError.call("open", object: "/no/such/file", .noEntry)) {
            try Files.open("/no/such/file", .readOnly)
        }
        #expect(Errno.noEntry.description == "ENOENT")
        #expect(Errno(rawValue: 4000).description == "errno 4000")
    }

    @Test("a folder lists its files and statx sees them")
    func files() throws {
        let names = try Files.names(in: "/proc/self")
        #expect(names.contains("status"))
        let status = try Files.status(of: "/dev/null")
        #expect(status.kind == .character)
        #expect(status.specialDevice == 1 << 32 | 3)
    }

    @Test("data and holes of a sparse file")
    func holes() throws {
        let fd = try Files.memfd("holes")
        defer { Files.close(fd) }
        try Kernel.call(.ftruncate, Kernel.number(fd), 1 << 20, on: "memfd")
        try Kernel.call(.lseek, Kernel.number(fd), 65536, 0, on: "memfd")
        try Files.write(fd, [1, 2, 3])
        let data = try #require(try Files.nextData(of: fd, from: 0))
        #expect(data.contains(65536))
        #expect(data.upperBound < 1 << 20)
        #expect(try Files.nextData(of: fd, from: data.upperBound) == nil)
    }

    @Test("reads its own memory, in pieces and beyond the limit of one call")
    func memory() throws {
        let bytes = (0..<8192).map { UInt8(truncatingIfNeeded: $0) }
        try bytes.withUnsafeBytes { buffer in
            let start = UInt64(UInt(bitPattern: buffer.baseAddress))
            #expect(try RemoteMemory.read(Self.own, at: start + 10, count: 100) == Array(bytes[10..<110]))
            let ranges = (0..<2048).map { RemoteMemory.Range(start: start + UInt64($0 * 4), count: 2) }
            var copy = [UInt8](repeating: 0, count: 4096)
            try copy.withUnsafeMutableBytes { try RemoteMemory.read(Self.own, ranges, into: $0) }
            #expect(copy[4094] == bytes[8188])
            #expect(copy[3] == bytes[5])
        }
        #expect(throws: LinuxError.self) { try RemoteMemory.read(Self.own, at: 4096, count: 8) }
    }

    @Test("a started program has its streams, its folder and its session")
    func spawn() throws {
        let pipe = try Files.pipe()
        var request = SpawnRequest(
            executable: "/bin/sh", arguments: ["sh", "-c", "pwd; echo $NAME; ls /proc/self/fd | wc -l"],
            environment: ["NAME=value", "PATH=/usr/bin:/bin"])
        request.stdout = pipe.write
        request.workingDirectory = "/proc"
        request.newSession = true
        let process = try Spawn.start(request)
        Files.close(pipe.write)
        defer {
            Files.close(pipe.read)
            Files.close(process.pidfd)
        }
        var text = ""
        var chunk = [UInt8](repeating: 0, count: 512)
        while true {
            let count = try chunk.withUnsafeMutableBytes { try Files.read(pipe.read, into: $0) }
            if count == 0 { break }
            text += String(decoding: chunk[..<count], as: UTF8.self)
        }
        // 0, 1, 2 and the folder that ls reads.
        #expect(text == "/proc\nvalue\n4\n")
        while try Wait.poll(process.pid) == nil { _ = Kernel.attempt(.sched_yield) }
    }

    @Test("a program that does not exist leaves nothing behind")
    func spawnFailure() {
        #expect(throws: LinuxError.call("execve", object: "/no/such/program", .noEntry)) {
            try Spawn.start(SpawnRequest(executable: "/no/such/program", arguments: ["x"], environment: []))
        }
    }

    @Test("the vDSO is an ELF file with symbols")
    func vdso() throws {
        let file = try ELFFile(Host.vdso())
        let symbol = try #require(file.symbols.first { $0.name == "__vdso_clock_gettime" })
        let nearest = try #require(file.nearestSymbol(to: symbol.address + 3))
        #expect(nearest.distance == 3)
        #expect(nearest.symbol.address == symbol.address)
        #expect(file.buildID != nil)
    }

    @Test("damaged ELF files never trap")
    func damagedELF() {
        let whole = Host.vdso()
        for cut in stride(from: 0, to: whole.count, by: 97) {
            guard let file = try? ELFFile(Array(whole[..<cut])) else { continue }
            _ = file.symbols.count
            _ = file.buildID
        }
        var flipped = whole
        for index in stride(from: 16, to: 64, by: 1) {
            flipped[index] = 0xff
            guard let file = try? ELFFile(flipped) else { continue }
            _ = file.symbols.count
            _ = file.buildID
        }
    }

    @Test("the CPU's own answers fit together")
    func cpu() {
        #expect(CPUID.vendor.utf8.count == 12)
        if CPUID.xcr0 != 0 { #expect(CPUID.xstateBytes >= 576) }
        // A kernel that was told to do without a hint changes nothing for programs.
        let erms = CPUID.leaf(0).eax >= 7 && CPUID.leaf(7).ebx >> 9 & 1 != 0
        let features = CPUID.fingerprint(cpuinfo: "flags\t: sse2 nopl\n", tscKilohertz: 0).features
        #expect(features.contains("erms") == erms && features.contains("nopl") && !features.contains("sse"))
    }

    @Test("a sigaction-free wait sees its deadline")
    func deadline() throws {
        let mask = try Signals.block([Signals.child])
        defer { try? Signals.setMask(mask) }
        let process = try Spawn.pausedTask()
        #expect(throws: LinuxError.self) {
            try Wait.wait(for: process.pid, deadline: Deadline(seconds: 0.05))
        }
        try Signals.send(Signals.kill, to: process.pid)
        let end = try Wait.wait(for: process.pid, deadline: Deadline(seconds: 10))
        #expect(end.status == .killed(signal: 9, core: false))
        Files.close(process.pidfd)
    }
}
