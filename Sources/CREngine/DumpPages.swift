internal import CRImage
internal import LinuxKit

/// Finds the pages of frozen address spaces, and the content of nameless files, that the image must hold.
///
/// Memory stays flat: pages go from the task into a buffer of the sink and from there to the output, whatever the
/// workload's size.
final class DumpPages {
    private static let pageBytes = ImageFormat.pageBytes

    private let sink: DumpSink
    /// Whether this kernel has PAGEMAP_SCAN, as far as known.
    private var canScan = true
    private let checkInterruption: () throws(EngineError) -> Void

    init(_ sink: DumpSink, checkInterruption: @escaping () throws(EngineError) -> Void) {
        self.sink = sink
        self.checkInterruption = checkInterruption
    }

    private func add(_ piece: PagePiece) throws(DumpFailure) {
        do { try sink.add(piece) } catch { throw .image(error) }
    }

    /// Adds the pages of one address space: those that children share, or the others.
    func add(_ space: DumpCollector.Space, early: Bool = false) throws(DumpFailure) {
        let process = space.process
        let pagemap: Pagemap
        do throws(LinuxError) { pagemap = try Pagemap(process: process) } catch {
            throw .engine(.system(error, task: process, doing: "open its page map"))
        }
        // Opened when it is needed.
        var memory: Int32?
        defer {
            pagemap.close()
            if let memory { Files.close(memory) }
        }
        for vma in space.vmas {
            switch vma.kind {
            case .anonymous where vma.flags.contains(.droppable): continue
            case .anonymous where space.untouched.contains(vma.start): continue
            case .privateFile where space.untouched.contains(vma.start): continue
            case .anonymous, .privateFile, .vdso: break
            case .sharedFile, .vvar: continue
            }
            var piece = PagePiece(source: .process(process), start: 0, count: 0, target: space.number)
            piece.isInherited = early
            // Missing pages of anonymous memory read as zeros anyway; in a file mapping a zero page hides the file's.
            piece.skipsZeros = vma.kind == .anonymous
            // process_vm_readv respects the protection; /proc/PID/mem reads what the task itself may not. The former also
            // pins pages, for which the kernel gives a task a copy of its own of each that it shares with others.
            if vma.protection & 1 == 0 || early {
                do throws(LinuxError) {
                    if memory == nil { memory = try Files.open("/proc/\(process)/mem", .readOnly) }
                    if let memory { piece.source = .memory(memory) }
                } catch {
                    throw .engine(.system(error, task: process, doing: "open its memory"))
                }
            }
            var address = vma.start
            while address < vma.end {
                do throws(EngineError) { try checkInterruption() } catch { throw .engine(error) }
                let pages = min(Int((vma.end - address) / UInt64(Self.pageBytes)), 65536)
                try select(vma, from: address, pages: pages, pagemap, process) { range throws(DumpFailure) in
                    let all = range.start..<range.start + UInt64(range.count)
                    let wanted = early ? space.early : space.notLate
                    for part in wanted.parts(of: all, inside: early) {
                        piece.start = part.lowerBound
                        piece.count = part.count
                        try add(piece)
                    }
                }
                address += UInt64(pages * Self.pageBytes)
            }
        }
    }

    /// Hands the stretches of pages that the image must hold to `body`.
    private func select(
        _ vma: VMAValue, from address: UInt64, pages: Int, _ pagemap: Pagemap, _ process: Int32,
        _ body: (RemoteMemory.Range) throws(DumpFailure) -> Void
    ) throws(DumpFailure) {
        if vma.kind == .vdso { return try body(RemoteMemory.Range(start: address, count: pages * Self.pageBytes)) }
        let end = address + UInt64(pages * Self.pageBytes)
        var position = address
        while position < end, canScan {
            let found: (ranges: [Range<UInt64>], end: UInt64)?
            do throws(LinuxError) {
                // In a file mapping a zero page hides the file's.
                found = try pagemap.scan(position..<end, skipsZeros: vma.kind == .anonymous)
            } catch {
                throw .engine(.system(error, task: process, doing: "scan its page map"))
            }
            guard let found, found.end > position else {
                canScan = false
                break
            }
            for range in found.ranges {
                try body(
                    RemoteMemory.Range(start: range.lowerBound, count: Int(range.upperBound - range.lowerBound)))
            }
            position = found.end
        }
        if position >= end { return }
        let pages = Int((end - position) / UInt64(Self.pageBytes))
        let address = position
        let entries: [PagemapEntry]
        do throws(LinuxError) {
            entries = try pagemap.entries(from: address, count: pages)
        } catch {
            throw .engine(.system(error, task: process, doing: "read its page map"))
        }
        var start: Int?
        for (index, entry) in entries.enumerated() {
            if entry.isPrivateContent {
                if start == nil { start = index }
            } else if let first = start {
                try body(range(address, first, index))
                start = nil
            }
        }
        if let first = start { try body(range(address, first, entries.count)) }
    }

    private func range(_ address: UInt64, _ first: Int, _ end: Int) -> RemoteMemory.Range {
        RemoteMemory.Range(start: address + UInt64(first * Self.pageBytes), count: (end - first) * Self.pageBytes)
    }

    /// Adds the content of a nameless file, holes left out.
    func add(_ content: DumpCollector.Content) throws(DumpFailure) {
        var offset: UInt64 = 0
        while offset < content.sizeBytes {
            do throws(EngineError) { try checkInterruption() } catch { throw .engine(error) }
            let data: Range<UInt64>
            do throws(LinuxError) {
                guard let next = try Files.nextData(of: content.fd, from: offset) else { return }
                data = next
            } catch {
                throw .engine(.system(error, task: nil, doing: "find the data of a nameless file"))
            }
            let page = UInt64(Self.pageBytes)
            let start = data.lowerBound / page * page
            let end = (min(data.upperBound, content.sizeBytes) + page - 1) / page * page
            var piece = PagePiece(
                source: .file(content.fd), start: start, count: Int(end - start), target: content.inode)
            piece.skipsZeros = true
            try add(piece)
            offset = max(data.upperBound, offset + 1)
        }
    }
}

/// Either side of a dump's stream can fail.
enum DumpFailure: Error {
    case engine(EngineError)
    case image(ImageError)
}
