internal import CRImage
internal import LinuxKit
internal import Synchronization

/// Knows where the page runs of an image belong.
final class RestorePages {
    private let contents: ImageContents
    private let tree: RestoreTree
    private let files: RestoreFiles
    private let vdso: RestoreVdso
    /// Address space to one process that has it.
    private var owners: [UInt32: Int32] = [:]
    private var records: [UInt32: AddressSpaceRecord] = [:]
    private var spaces: [UInt32: SpaceTarget] = [:]

    init(_ contents: ImageContents, tree: RestoreTree, files: RestoreFiles, vdso: RestoreVdso) {
        self.contents = contents
        self.tree = tree
        self.files = files
        self.vdso = vdso
        // The first one: whoever shares its memory is forked from it, and later.
        for process in contents.processes where !process.isZombie && owners[process.addressSpace] == nil {
            owners[process.addressSpace] = process.pid
        }
        for space in contents.addressSpaces { records[space.number] = space }
    }

    /// Pages that were put.
    var pageCount: UInt64 { spaces.values.reduce(filePages.withLock { $0 }) { $0 + $1.pageCount } }

    private let filePages = Shared<UInt64>(0)

    /// Where pages of these objects go.
    ///
    /// - Precondition: Their processes are there.
    func targets(_ numbers: [UInt32]) -> PageTargets {
        var found = PageTargets(pages: filePages)
        for number in numbers {
            if let space = space(number) { found.spaces[number] = space }
        }
        return found
    }

    /// Where all pages go.
    ///
    /// - Precondition: All processes are there.
    func targets() -> PageTargets {
        var found = targets(Array(owners.keys))
        func note(_ number: UInt32, _ place: (fd: Int32, sizeBytes: UInt64), _ shift: UInt32) {
            found.files[number] = FileTarget(fd: place.fd, sizeBytes: place.sizeBytes, hugePageShift: shift)
        }
        for inode in contents.inodes where inode.kind.hasContent {
            guard let fd = files.descriptor(toFill: inode.number) else { continue }
            note(inode.number, (fd, inode.sizeBytes), inode.hugePageShift)
        }
        for entry in contents.fileEntries where entry.number != 0 {
            if let place = files.content(entry.number) { note(entry.number, place, 0) }
        }
        return found
    }

    private func space(_ number: UInt32) -> SpaceTarget? {
        if let known = spaces[number] { return known }
        guard let pid = owners[number], let record = records[number] else { return nil }
        let target = SpaceTarget(
            pid: pid, outer: tree.outer(pid),
            // Only memory that is writable for the process itself takes process_vm_writev.
            writable: RangeList(record.vmas.filter { $0.protection & 2 != 0 }.map { $0.start..<$0.end }),
            // The kernel's own vDSO stays as it is; of another one the bytes are needed.
            skipped: vdso.canMove(number)
                ? RangeList(record.vmas.filter { $0.kind == .vdso }.map { $0.start..<$0.end }) : RangeList(),
            vdso: vdso.image(number))
        spaces[number] = target
        return target
    }

    /// Lets pages come to large memory without being cleared first, where the kernel has userfaultfd(2).
    func beginFaults(_ targets: PageTargets) throws(EngineError) {
        var left = 16
        for (number, target) in targets.spaces.sorted(by: { $0.key < $1.key }) where left > 0 {
            guard let record = records[number], let stub = tree.processes[target.pid] else { continue }
            let ranges = PageFaults.ranges(record)
            if ranges.isEmpty { continue }
            left -= 1
            // O_CLOEXEC | O_NONBLOCK
            let answer = try stub.remote.attempt(.userfaultfd, [0o2004000])
            if Kernel.errno(of: answer) != nil { return }
            let faults = PageFaults(of: target.outer, Int32(truncatingIfNeeded: answer), ranges)
            try stub.call(.close, [UInt64(answer)], doing: "close a userfaultfd")
            target.faults.withLock { $0 = faults }
        }
    }
}

/// A value that threads share.
final class Shared<Value>: Sendable {
    private let value: Mutex<Value>
    init(_ value: sending Value) { self.value = Mutex(value) }
    func withLock<Answer>(_ body: (inout sending Value) -> sending Answer) -> sending Answer { value.withLock(body) }
}

/// Where pages go; for any thread.
struct PageTargets: Sendable {
    var spaces: [UInt32: SpaceTarget] = [:]
    var files: [UInt32: FileTarget] = [:]
    let pages: Shared<UInt64>

    init(pages: Shared<UInt64>) { self.pages = pages }

    /// Puts one run.
    func put(_ run: PageRun, _ bytes: UnsafeRawBufferPointer) throws(EngineError) {
        if let space = spaces[run.target] {
            try space.put(run, bytes)
        } else if let file = files[run.target] {
            try file.put(run, bytes)
            pages.withLock { $0 += UInt64(bytes.count / 4096) }
        }
    }

    /// - Precondition: No thread puts pages any more.
    func endFaults() {
        for space in spaces.values { space.faults.withLock { $0 = nil } }
    }
}

/// A file that holds pages: a memfd, a file without name, a file of a file system in memory.
struct FileTarget: Sendable {
    var fd: Int32
    var sizeBytes: UInt64
    /// 0 for a file of small pages.
    var hugePageShift: UInt32

    func put(_ run: PageRun, _ bytes: UnsafeRawBufferPointer) throws(EngineError) {
        let count = Int(min(UInt64(bytes.count), sizeBytes > run.start ? sizeBytes - run.start : 0))
        try EngineError.wrap("fill inode \(run.target)") { () throws(LinuxError) in
            // SAFETY: `count` is at most the run's length.
            let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
            if hugePageShift != 0 {
                try RestoreCalls.writeMapped(fd, at: run.start, pageShift: hugePageShift, piece)
            } else {
                try RestoreCalls.write(fd, at: run.start, piece)
            }
        }
    }
}

/// An address space that is being filled.
final class SpaceTarget: Sendable {
    /// PID in the image, and as the engine sees it.
    let pid: Int32
    private let outer_: Int32
    private let writable: RangeList
    private let skipped: RangeList
    private let vdso: VdsoImage?
    private let memory = Mutex<Int32>(-1)
    private let pages = Mutex<UInt64>(0)
    let faults = Shared<PageFaults?>(nil)

    var outer: Int32 { outer_ }
    var pageCount: UInt64 { pages.withLock { $0 } }

    init(pid: Int32, outer: Int32, writable: RangeList, skipped: RangeList, vdso: VdsoImage?) {
        self.pid = pid
        outer_ = outer
        self.writable = writable
        self.skipped = skipped
        self.vdso = vdso
    }

    deinit {
        memory.withLock { if $0 >= 0 { Files.close($0) } }
    }

    func put(_ run: PageRun, _ bytes: UnsafeRawBufferPointer) throws(EngineError) {
        pages.withLock { $0 += UInt64(bytes.count / 4096) }
        vdso?.keep(run, bytes)
        let whole = run.start..<(run.start + UInt64(bytes.count))
        for wanted in skipped.parts(of: whole, inside: false) {
            for part in writable.parts(of: wanted, inside: true) { try fill(part, run, bytes) }
            for part in writable.parts(of: wanted, inside: false) {
                // The tracer may write memory that its owner may not.
                let fd = try openMemory()
                try EngineError.wrap(
                    "fill read-only memory at 0x\(String(part.lowerBound, radix: 16))", task: pid
                ) { () throws(LinuxError) in
                    try RestoreCalls.write(fd, at: part.lowerBound, Self.piece(part, run, bytes))
                }
            }
        }
    }

    private static func piece(
        _ part: Range<UInt64>, _ run: PageRun, _ bytes: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        // SAFETY: every part lies inside the run, whose bytes these are.
        UnsafeRawBufferPointer(rebasing: bytes[Int(part.lowerBound - run.start)..<Int(part.upperBound - run.start)])
    }

    private func fill(_ part: Range<UInt64>, _ run: PageRun, _ bytes: UnsafeRawBufferPointer) throws(EngineError) {
        try EngineError.wrap("fill memory", task: pid) { () throws(LinuxError) in
            func write(_ part: Range<UInt64>) throws(LinuxError) {
                try RemoteMemory.write(
                    outer, [RemoteMemory.Range(start: part.lowerBound, count: part.count)],
                    from: Self.piece(part, run, bytes))
            }
            guard let faults = faults.withLock({ $0 }) else { return try write(part) }
            for plain in faults.ranges.parts(of: part, inside: false) { try write(plain) }
            for piece in faults.ranges.parts(of: part, inside: true) {
                let done = try faults.copy(piece, Self.piece(piece, run, bytes))
                if done < piece.count { try write((piece.lowerBound + UInt64(done))..<piece.upperBound) }
            }
        }
    }

    private func openMemory() throws(EngineError) -> Int32 {
        try EngineError.wrap("open the memory of a stub", task: pid) { () throws(LinuxError) in
            try memory.withLock { (fd) throws(LinuxError) in
                if fd < 0 { fd = try Files.open("/proc/\(outer)/mem", .readWrite) }
                return fd
            }
        }
    }
}

/// Memory of a stub whose missing pages the engine supplies: userfaultfd(2). The kernel takes a page's bytes without
/// clearing it first, and whatever else touches a missing page waits; so nothing else may while this is there.
final class PageFaults: Sendable {
    private static let handshake: UInt64 = 0xc018_aa3f  // UFFDIO_API
    private static let register: UInt64 = 0xc020_aa00
    private static let unregister: UInt64 = 0x8010_aa01
    private static let copyPages: UInt64 = 0xc028_aa03
    /// Smaller VMAs are not worth the calls.
    private static let smallest: UInt64 = 1 << 20

    private let fd: Int32
    /// What is registered, each a VMA of the image.
    let ranges: RangeList

    /// Memory that it can be for: private, anonymous, writable, of small pages.
    static func ranges(_ space: AddressSpaceRecord) -> [Range<UInt64>] {
        if space.hasHugePages { return [] }
        return space.vmas.filter {
            $0.kind == .anonymous && $0.protection & 2 != 0 && $0.hugePageShift == 0 && $0.end - $0.start >= smallest
                && $0.flags.isDisjoint(with: [.droppable, .growsDown, .hugePages])
        }.map { $0.start..<$0.end }
    }

    /// - Parameter number: The stub's descriptor.
    /// - Returns: `nil` when the kernel does not give it; everything is as if it had not been asked then.
    init?(of task: Int32, _ number: Int32, _ wanted: [Range<UInt64>]) {
        guard let pidfd = try? Pidfd.open(task) else { return nil }
        defer { Files.close(pidfd) }
        guard let fd = try? Pidfd.descriptor(pidfd, number) else { return nil }
        self.fd = fd
        var registered: [Range<UInt64>] = []
        if Self.ask(fd, Self.handshake, [0xaa, 0, 0]).errno == nil {
            for range in wanted {
                // UFFDIO_REGISTER_MODE_MISSING
                let words = [range.lowerBound, range.upperBound - range.lowerBound, 1, 0]
                if Self.ask(fd, Self.register, words).errno == nil { registered.append(range) }
            }
        }
        ranges = RangeList(registered)
        if ranges.isEmpty { return nil }
    }

    /// Its ranges are ordinary memory again.
    deinit { Files.close(fd) }

    private static func ask(_ fd: Int32, _ request: UInt64, _ words: [UInt64]) -> (errno: Errno?, words: [UInt64]) {
        var words = words
        // SAFETY: each request's structure is as long as the words that come with it.
        let answer = words.withUnsafeMutableBytes {
            Kernel.attempt(.ioctl, Kernel.number(fd), request, Kernel.number($0.baseAddress))
        }
        return (Kernel.errno(of: answer), words)
    }

    /// Supplies missing pages, as far as that goes; where it ends early the memory around is ordinary again.
    ///
    /// - Returns: How many bytes were taken.
    func copy(_ part: Range<UInt64>, _ bytes: UnsafeRawBufferPointer) throws(LinuxError) -> Int {
        var done = 0
        while done < part.count {
            let (errno, words) = Self.ask(
                fd, Self.copyPages,
                [
                    part.lowerBound + UInt64(done), Kernel.number(bytes.baseAddress) + UInt64(done),
                    UInt64(part.count - done), 0, 0,
                ])
            let count = Int64(bitPattern: words[4])
            if count > 0 { done += Int(count) }
            guard let errno else { continue }
            // EAGAIN: so far, because somebody changes the mappings.
            if errno == .again, count > 0 { continue }
            for range in ranges.ranges where range.overlaps(part) {
                let (errno, _) = Self.ask(
                    fd, Self.unregister, [range.lowerBound, range.upperBound - range.lowerBound])
                if let errno { throw .call("ioctl(UFFDIO_UNREGISTER)", object: "memory being filled", errno) }
            }
            break
        }
        return done
    }
}
