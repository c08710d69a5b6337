internal import CRImage
internal import LinuxKit

/// Replaces a stub's address space by one of the image.
struct RestoreMemory {
    private static let userEnd: UInt64 = 0x7fff_ffff_f000
    private static let fixedNoReplace: UInt64 = 0x10_0000
    private static let privateMapping: UInt64 = 2
    private static let sharedMapping: UInt64 = 1
    private static let anonymousMapping: UInt64 = 0x20
    private static let droppableMapping: UInt64 = 8

    let stub: RestoreStub
    let space: AddressSpaceRecord
    let files: RestoreFiles
    /// This kernel's `[vdso]`, `[vvar]`, `[vvar_vclock]` in the stub, ascending.
    let specials: [Mapping]
    /// Whether this kernel's vDSO takes the place of the image's.
    let movesVdso: Bool
    private(set) var notes: [String] = []
    /// What it has from its parent.
    var kept = RangeList()
    /// Start of the System V attachments that are made.
    var attached: Set<UInt64> = []

    init(stub: RestoreStub, space: AddressSpaceRecord, files: RestoreFiles, specials: [Mapping], movesVdso: Bool) {
        self.stub = stub
        self.space = space
        self.files = files
        self.specials = specials
        self.movesVdso = movesVdso
    }

    /// Where this kernel's vDSO waits in the stub.
    static func parkedVdso(_ specials: [Mapping], in area: RestoreStub.Area) -> UInt64? {
        guard let first = specials.first, let vdso = specials.first(where: { $0.name == "[vdso]" }) else { return nil }
        return area.parking + (vdso.start - first.start)
    }

    mutating func build() throws(EngineError) {
        if let first = specials.first { try moveSpecials(from: first.start, to: stub.area.parking) }
        try stub.later(.munmap, [0, stub.area.start], doing: "unmap the stub's memory")
        try stub.later(
            .munmap, [stub.area.end, Self.userEnd - stub.area.end], doing: "unmap the stub's memory")
        // Pages that were small shall not come back huge.
        if avoidsHugePages { try stub.later(.prctl, [41, 1, 0, 0, 0], doing: "disable huge pages") }
        for vma in space.vmas {
            try map(vma, vma.start..<vma.end)
            try advise(vma)
        }
        if let home = vdsoHome { try moveSpecials(from: stub.area.parking, to: home) }
        try setMarks()
        try stub.launch()
    }

    /// Where this kernel's vDSO and its data belong; `nil` where they stay parked.
    var vdsoHome: UInt64? {
        movesVdso ? space.vmas.first { $0.kind == .vdso || $0.kind == .vvar }?.start : nil
    }

    /// The vDSO reads its data relative to itself, so both keep their distance.
    func moveSpecials(from: UInt64, to target: UInt64) throws(EngineError) {
        guard let first = specials.first, from != target else { return }
        for special in specials {
            let offset = special.start - first.start
            try move(from + offset, special.sizeBytes, to: target + offset)
        }
    }

    private func move(_ from: UInt64, _ count: UInt64, to target: UInt64) throws(EngineError) {
        // MREMAP_MAYMOVE|MREMAP_FIXED
        try stub.later(.mremap, [from, count, count, 3, target], doing: "move the kernel's vDSO")
    }

    /// Maps a part of a VMA.
    mutating func map(_ vma: VMAValue, _ range: Range<UInt64>) throws(EngineError) {
        let length = range.upperBound - range.lowerBound
        var flags = Self.fixedNoReplace
        var fd = UInt64.max
        switch vma.kind {
        case .anonymous where vma.flags.contains(.droppable):
            flags |= Self.droppableMapping | Self.anonymousMapping
        case .anonymous:
            flags |= Self.privateMapping | Self.anonymousMapping
            // MAP_HUGETLB, and the size above it
            if vma.hugePageShift != 0 { flags |= 0x40000 | UInt64(vma.hugePageShift) << 26 }
        case .vdso:
            if movesVdso { return }
            flags |= Self.privateMapping | Self.anonymousMapping
        case .vvar: return
        case .sharedFile where files.systemV.segments[vma.inode] != nil:
            guard let segment = files.systemV.segments[vma.inode] else { return }
            return try attach(segment, vma, range, sizeBytes: files.sizeBytes(of: vma.inode))
        case .privateFile, .sharedFile:
            flags |= vma.kind == .privateFile ? Self.privateMapping : Self.sharedMapping
            guard let descriptor = files.descriptor(toMap: vma) else {
                throw .image("VMA 0x\(String(vma.start, radix: 16))", why: "its file was not opened")
            }
            fd = UInt64(descriptor)
        }
        if vma.flags.contains(.growsDown) { flags |= 0x100 }
        if vma.flags.contains(.noReserve) { flags |= 0x4000 }
        // Every kernel that has clone3 takes MAP_FIXED_NOREPLACE: another address is an error.
        try stub.later(
            .mmap,
            [
                range.lowerBound, length, UInt64(vma.protection), flags, fd,
                vma.fileOffset &+ (range.lowerBound - vma.start),
            ], doing: "map 0x\(String(range.lowerBound, radix: 16))-0x\(String(range.upperBound, radix: 16))")
    }

    /// Puts the marks of madvise(2) on a mapped VMA, and its name.
    mutating func advise(_ vma: VMAValue) throws(EngineError) {
        let length = vma.end - vma.start
        if vma.kind == .vdso || vma.kind == .vvar { return }
        for (flag, advice) in [
            (VMAValue.Flags.dontFork, UInt64(10)), (.dontDump, 16), (.wipeOnFork, 18), (.mergeable, 12),
            (.hugePages, 14), (.noHugePages, 15), (.sequentialReads, 2), (.randomReads, 1),
        ] where vma.flags.contains(flag) {
            try stub.remote.laterIfPossible(.madvise, [vma.start, length, advice])
        }
        if !vma.name.isEmpty {
            let name = try stub.hold(Array(vma.name.utf8) + [0])
            // PR_SET_VMA, PR_SET_VMA_ANON_NAME; kernels before 5.17 have no names.
            try stub.remote.laterIfPossible(.prctl, [0x53564d41, 0, vma.start, length, name])
        }
    }

    var avoidsHugePages: Bool {
        !space.hasHugePages && !space.hugePagesDisabled
            && (Self.hugePagesAreUsual || space.vmas.contains { $0.flags.contains(.hugePages) })
    }

    /// Whether this kernel makes transparent huge pages without being asked.
    private static let hugePagesAreUsual: Bool =
        (try? Files.text(of: "/sys/kernel/mm/transparent_hugepage/enabled"))?.contains("[always]") ?? false

    /// Guard pages and mlock(2), once the content is in.
    mutating func finish() throws(EngineError) {
        // Names of memory are lost on kernels before 5.17, and nothing depends on them.
        notes += stub.remote.failures.filter { !$0.hasPrefix("prctl") }.map {
            "an advice about memory of process \(stub.tid) failed: \($0)"
        }
        stub.remote.failures = []
        if avoidsHugePages { try stub.call(.prctl, [41, 0, 0, 0, 0], doing: "enable huge pages") }
        for index in stride(from: 0, to: space.guards.count - 1, by: 2) {
            let start = space.guards[index]
            // MADV_GUARD_INSTALL
            try stub.call(
                .madvise, [start, space.guards[index + 1] - start, 102],
                doing: "make guard pages at 0x\(String(start, radix: 16))")
        }
        for vma in space.vmas where vma.flags.contains(.locked) {
            // MLOCK_ONFAULT
            let how: UInt64 = vma.flags.contains(.lockedOnFault) ? 1 : 0
            if let errno = try stub.attempt(.mlock2, [vma.start, vma.end - vma.start, how]) {
                notes.append("memory of process \(stub.tid) could not be locked: \(errno)")
            }
        }
        for index in stride(from: 0, to: space.memoryPolicies.count - 3, by: 4) {
            let policy = Array(space.memoryPolicies[index..<index + 4])
            // MPOL_MF_MOVE: its pages are there already.
            let nodes = try stub.put(words: [policy[3]])
            if let errno = try stub.attempt(.mbind, [policy[0], policy[1] - policy[0], policy[2], nodes, 65, 2]) {
                notes.append("memory of process \(stub.tid) could not be bound to its nodes: \(errno)")
            }
        }
        if space.futureLock != 0, let errno = try stub.attempt(.mlockall, [UInt64(space.futureLock)]) {
            notes.append("process \(stub.tid) does not lock its future memory: \(errno)")
        }
    }

    /// PR_SET_MM_MAP, which needs no capability but for the program's file.
    mutating func setMarks() throws(EngineError) {
        let whole = space.auxiliaryVector
        // Older kernels have room for fewer entries; AT_RSEQ_FEATURE_SIZE and AT_RSEQ_ALIGN are the youngest.
        let short = stride(from: 0, to: whole.count - 1, by: 2).filter { ![27, 28].contains(whole[$0]) }
            .flatMap { [whole[$0], whole[$0 + 1]] }
        var failure = Errno.invalid
        for auxiliary in [whole, short, []] {
            let isLate = files.isUnfinished(space.executable)
            for executable in isLate ? [nil] : [files.inodes[space.executable], nil] {
                guard let errno = try setMarks(auxiliary, executable) else {
                    // EBUSY: the present program is mapped, so it is not the engine's but one that fork(2) handed down.
                    if executable == nil, !isLate, files.inodes[space.executable] != nil, failure != .busy {
                        notes.append(
                            "/proc/\(stub.tid)/exe shows the engine's program: the kernel does not let it be set")
                    }
                    if auxiliary != whole {
                        notes.append("/proc/\(stub.tid)/auxv lacks entries, for which this kernel has no room")
                    }
                    return
                }
                failure = errno
            }
        }
        // A process with the heap of the engine's program would grow into somebody else's memory.
        throw .remote(call: "prctl(PR_SET_MM_MAP)", task: stub.tid, failure, doing: "set the marks (heap, arguments)")
    }

    private func setMarks(_ auxiliary: [UInt64], _ executable: Int32?) throws(EngineError) -> Errno? {
        let vector = try stub.put(words: auxiliary, at: 256)
        let words = [
            space.startCode, space.endCode, space.startData, space.endData, space.startBreak, space.programBreak,
            space.startStack, space.argumentsStart, space.argumentsEnd, space.environmentStart, space.environmentEnd,
            auxiliary.isEmpty ? 0 : vector,
            UInt64(auxiliary.count * 8) | UInt64(UInt32(bitPattern: executable ?? -1)) << 32,
        ]
        return try stub.attempt(.prctl, [35, 14, try stub.put(words: words), UInt64(words.count * 8), 0])
    }
}
