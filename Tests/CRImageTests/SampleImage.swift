import CRImage

/// A small image that has something of everything.
enum SampleImage {
    static let contents: ImageContents = {
        var contents = ImageContents()
        contents.header.engineVersion = "test"
        contents.header.fingerprint = "{}"
        contents.header.root = 100
        contents.header.kernelRelease = "6.1.0"
        contents.header.xcr0 = 7
        contents.header.xstateBytes = 832
        contents.header.xstateComponents = [StateComponent(number: 2, offset: 576, sizeBytes: 256).packed]
        contents.processes = [process(), zombie()]
        contents.tasks = [task(100), task(101)]
        contents.addressSpaces = [space()]
        contents.inodes = inodes()
        contents.openFiles = openFiles()
        var pipe = PipeRecord()
        pipe.number = 30
        pipe.content = Array("hello".utf8)
        contents.pipes = [pipe]
        var table = FileTableRecord()
        table.number = 40
        table.entries = [
            DescriptorValue(fd: 0, openFile: 20, closeOnExec: false),
            DescriptorValue(fd: 3, openFile: 21, closeOnExec: true),
            DescriptorValue(fd: 4, openFile: 22, closeOnExec: true),
        ]
        contents.fileTables = [table]
        var system = FileSystemRecord()
        system.number = 41
        system.workingDirectory = "/tmp"
        system.umask = 0o22
        contents.fileSystems = [system]
        var signals = SignalTableRecord()
        signals.number = 42
        signals.actions = [SignalActionValue](repeating: SignalActionValue(), count: 10)
        signals.actions[9].handler = 0x401000
        contents.signalTables = [signals]
        return contents
    }()

    private static func process() -> ProcessRecord {
        var process = ProcessRecord()
        process.pid = 100
        process.processGroup = 100
        process.session = 100
        process.addressSpace = 1
        process.fileTable = 40
        process.fileSystem = 41
        process.signalTable = 42
        process.limits = [LimitValue(soft: 1, hard: .max)]
        process.intervalTimers = [IntervalTimerValue()]
        var timer = PosixTimerValue()
        timer.id = 3
        process.timers = [timer]
        process.pendingSignals = [[UInt8](repeating: 1, count: 128)]
        return process
    }

    private static func zombie() -> ProcessRecord {
        var process = ProcessRecord()
        process.pid = 102
        process.parent = 100
        process.processGroup = 100
        process.session = 100
        process.isZombie = true
        process.exitStatus = 256
        process.comm = Array("gone".utf8)
        return process
    }

    private static func task(_ tid: Int32) -> TaskRecord {
        var task = TaskRecord()
        task.tid = tid
        task.process = 100
        task.registers = [UInt64](repeating: 0x33, count: 27)
        task.xstate = [UInt8](repeating: 0, count: 512)
        task.comm = Array("sample".utf8)
        return task
    }

    private static func space() -> AddressSpaceRecord {
        var space = AddressSpaceRecord()
        space.number = 1
        space.executable = 10
        space.auxiliaryVector = [6, 4096, 0, 0]
        var code = VMAValue()
        code.start = 0x400000
        code.end = 0x402000
        code.protection = 5
        code.kind = .privateFile
        code.inode = 10
        var heap = VMAValue()
        heap.start = 0x600000
        heap.end = 0x604000
        heap.protection = 3
        heap.flags = [.dontDump]
        heap.name = "heap"
        space.vmas = [code, heap]
        return space
    }

    private static func inodes() -> [InodeRecord] {
        var program = InodeRecord()
        program.number = 10
        program.path = "/bin/sample"
        program.buildID = [1, 2, 3]
        var deleted = InodeRecord()
        deleted.number = 11
        deleted.kind = .deleted
        deleted.path = "/tmp/gone"
        deleted.sizeBytes = 5000
        return [program, deleted]
    }

    private static func openFiles() -> [OpenFileRecord] {
        var file = OpenFileRecord()
        file.number = 20
        file.inode = 11
        file.flags = 2
        var pipe = OpenFileRecord()
        pipe.number = 21
        pipe.kind = .pipe
        pipe.pipe = 30
        var epoll = OpenFileRecord()
        epoll.number = 22
        epoll.kind = .epoll
        var target = EpollTargetValue()
        target.fd = 3
        target.openFile = 21
        epoll.epollTargets = [target]
        return [file, pipe, epoll]
    }

    /// Target, start and pages of each run.
    static let runs: [(target: UInt32, start: UInt64, bytes: [UInt8])] = [
        (1, 0x600000, (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 7) }),
        (11, 4096, [UInt8](repeating: 9, count: 4096)),
    ]

    static func bytes(of contents: ImageContents = contents, withPages: Bool = true) throws -> [UInt8] {
        var writer = try ImageWriter(to: MemorySink())
        for record in contents.records { try writer.write(record) }
        try writer.endMetadata()
        if withPages {
            for run in runs {
                let failure = run.bytes.withUnsafeBytes { buffer -> ImageError? in
                    do throws(ImageError) {
                        try writer.pages(of: run.target, at: run.start, buffer)
                        return nil
                    } catch {
                        return error
                    }
                }
                if let failure { throw failure }
            }
        }
        try writer.finish()
        return writer.sink.bytes
    }

    /// Reads an image whole.
    static func read(_ bytes: [UInt8]) throws(ImageError) -> (ImageContents, [PageRun], [[UInt8]]) {
        var reader = try ImageReader(MemorySource(bytes))
        let contents = try reader.metadata()
        var runs: [PageRun] = []
        var pages: [[UInt8]] = []
        while let run = try reader.nextPages() {
            runs.append(run)
            pages.append(reader.withPageBytes { Array($0) })
        }
        return (contents, runs, pages)
    }

    /// Passes over the pages of an image, and then looks at them where they are said to be.
    static func walk(_ bytes: [UInt8]) throws(ImageError) -> (ImageContents, [PageRun], [[UInt8]]) {
        var reader = try ImageReader(MemorySource(bytes))
        let contents = try reader.metadata()
        var runs: [PageRun] = []
        var pages: [[UInt8]] = []
        while let block = try reader.nextBlock() {
            guard block.extent.upperBound <= UInt64(bytes.count) else {
                throw .cut(offset: UInt64(bytes.count), inside: "a run")
            }
            let found = Array(bytes[Int(block.extent.lowerBound)..<Int(block.extent.upperBound)])
            var failure: ImageError?
            found.withUnsafeBytes { buffer in
                do throws(ImageError) { try block.verify(buffer) } catch { failure = error }
            }
            if let failure { throw failure }
            runs.append(block.run)
            pages.append(found)
        }
        return (contents, runs, pages)
    }
}
