internal import CRImage
internal import LinuxKit

/// Puts the page runs of an image where they belong.
final class RestorePages {
    private let contents: ImageContents
    private let tree: RestoreTree
    private let files: RestoreFiles
    /// Address space to one process that has it.
    private var owners: [UInt32: Int32] = [:]
    private var writable: [UInt32: RangeList] = [:]
    private var skipped: [UInt32: RangeList] = [:]
    private var sizes: [UInt32: UInt64] = [:]
    private var hugePageShifts: [UInt32: UInt32] = [:]
    /// `/proc/PID/mem` of the processes whose read-only memory is filled.
    private var memories: [UInt32: Int32] = [:]
    private(set) var pageCount: UInt64 = 0
    /// The pages of each image vDSO, to see whether it is this kernel's.
    private(set) var pageBytes: UInt64 = 0

    /// - Parameter skipsVdso: Address spaces whose vDSO is the kernel's own, so that its pages stay as they are.
    init(_ contents: ImageContents, tree: RestoreTree, files: RestoreFiles, skipsVdso: Set<UInt32>) {
        self.contents = contents
        self.tree = tree
        self.files = files
        // The first one: whoever shares its memory is forked from it, and later.
        for process in contents.processes where !process.isZombie && owners[process.addressSpace] == nil {
            owners[process.addressSpace] = process.pid
        }
        for space in contents.addressSpaces {
            // Only memory that is writable for the process itself takes process_vm_writev.
            writable[space.number] = RangeList(space.vmas.filter { $0.protection & 2 != 0 }.map { $0.start..<$0.end })
            if skipsVdso.contains(space.number) {
                skipped[space.number] = RangeList(space.vmas.filter { $0.kind == .vdso }.map { $0.start..<$0.end })
            }
        }
        for inode in contents.inodes {
            sizes[inode.number] = inode.sizeBytes
            if inode.hugePageShift != 0 { hugePageShifts[inode.number] = inode.hugePageShift }
        }
    }

    deinit { for fd in memories.values { Files.close(fd) } }

    /// Puts one run.
    func put(_ run: PageRun, _ bytes: UnsafeRawBufferPointer) throws(EngineError) {
        pageCount += UInt64(bytes.count / 4096)
        if let pid = owners[run.target] {
            try put(run, bytes, pid)
        } else if let (fd, size) = files.descriptor(toFill: run.target)
            .flatMap({ fd in sizes[run.target].map { (fd, $0) } }) ?? files.content(run.target)
        {
            let count = Int(min(UInt64(bytes.count), size > run.start ? size - run.start : 0))
            try EngineError.wrap("fill inode \(run.target)") { () throws(LinuxError) in
                // SAFETY: `count` is at most the run's length.
                let piece = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                if let shift = hugePageShifts[run.target] {
                    try RestoreCalls.writeMapped(fd, at: run.start, pageShift: shift, piece)
                } else {
                    try RestoreCalls.write(fd, at: run.start, piece)
                }
            }
        }
    }

    private func put(_ run: PageRun, _ bytes: UnsafeRawBufferPointer, _ pid: Int32) throws(EngineError) {
        let outer = tree.outer(pid)
        let whole = run.start..<(run.start + UInt64(bytes.count))
        func piece(_ part: Range<UInt64>) -> UnsafeRawBufferPointer {
            // SAFETY: every part lies inside the run, whose bytes these are.
            UnsafeRawBufferPointer(
                rebasing: bytes[Int(part.lowerBound - run.start)..<Int(part.upperBound - run.start)])
        }
        for wanted in skipped[run.target]?.parts(of: whole, inside: false) ?? [whole] {
            let writable = writable[run.target] ?? RangeList()
            for part in writable.parts(of: wanted, inside: true) {
                try EngineError.wrap("fill memory", task: pid) { () throws(LinuxError) in
                    try RemoteMemory.write(
                        outer, [RemoteMemory.Range(start: part.lowerBound, count: part.count)], from: piece(part))
                }
            }
            for part in writable.parts(of: wanted, inside: false) {
                // The tracer may write memory that its owner may not.
                let fd = try memory(run.target, outer, pid)
                try EngineError.wrap(
                    "fill read-only memory at 0x\(String(part.lowerBound, radix: 16))", task: pid
                ) { () throws(LinuxError) in try RestoreCalls.write(fd, at: part.lowerBound, piece(part)) }
            }
        }
    }

    private func memory(_ space: UInt32, _ outer: Int32, _ pid: Int32) throws(EngineError) -> Int32 {
        if let fd = memories[space] { return fd }
        let fd = try EngineError.wrap("open the memory of a stub", task: pid) { () throws(LinuxError) in
            try Files.open("/proc/\(outer)/mem", .readWrite)
        }
        memories[space] = fd
        return fd
    }
}
