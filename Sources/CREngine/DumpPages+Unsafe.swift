internal import CRImage
internal import LinuxKit

/// Streams the pages of frozen address spaces, and the content of nameless files, through the sink's buffers.
///
/// Memory stays flat: pages go from the task into a buffer and from there to the output, whatever the workload's size.
final class DumpPages {
    private static let bufferBytes = DumpSink.bufferBytes
    private static let pageBytes = ImageFormat.pageBytes

    private let sink: DumpSink
    private var ranges: [RemoteMemory.Range] = []
    private var filled = 0
    /// Whether this kernel has PAGEMAP_SCAN, as far as known.
    private var canScan = true
    private var isEarly = false
    private let checkInterruption: () throws(EngineError) -> Void
    /// Pages written.
    private(set) var count = 0

    init(_ sink: DumpSink, checkInterruption: @escaping () throws(EngineError) -> Void) {
        self.sink = sink
        self.checkInterruption = checkInterruption
    }

    private func buffer() throws(DumpFailure) -> UnsafeMutableRawBufferPointer {
        do { return try sink.pageBuffer() } catch { throw .image(error) }
    }

    /// Writes the pages of one address space: those that children share, or the others.
    func write(
        _ space: DumpCollector.Space, early: Bool = false, to writer: inout ImageWriter<DumpSink>
    ) throws(DumpFailure) {
        let process = space.process
        isEarly = early
        defer { isEarly = false }
        let pagemap: Pagemap
        let memory: Int32
        do throws(LinuxError) {
            pagemap = try Pagemap(process: process)
            memory = try Files.open("/proc/\(process)/mem", .readOnly)
        } catch {
            throw .engine(.system(error, task: process, doing: "open its memory"))
        }
        defer {
            pagemap.close()
            Files.close(memory)
        }
        for vma in space.vmas {
            switch vma.kind {
            case .anonymous where vma.flags.contains(.droppable): continue
            case .anonymous where space.untouched.contains(vma.start): continue
            case .privateFile where space.untouched.contains(vma.start): continue
            case .anonymous, .privateFile, .vdso: break
            case .sharedFile, .vvar: continue
            }
            // process_vm_readv respects the protection; /proc/PID/mem reads what the task itself may not. The former also
            // pins pages, for which the kernel gives a task a copy of its own of each that it shares with others.
            let direct = vma.protection & 1 != 0 && !early
            var address = vma.start
            while address < vma.end {
                do throws(EngineError) { try checkInterruption() } catch { throw .engine(error) }
                let pages = min(Int((vma.end - address) / UInt64(Self.pageBytes)), 65536)
                try select(vma, from: address, pages: pages, pagemap, process) { range throws(DumpFailure) in
                    let all = range.start..<range.start + UInt64(range.count)
                    let wanted = early ? space.early : space.notLate
                    for part in wanted.parts(of: all, inside: early) {
                        let part = RemoteMemory.Range(start: part.lowerBound, count: part.count)
                        try add(part, vma, space, direct: direct, memory: memory, to: &writer)
                    }
                }
                address += UInt64(pages * Self.pageBytes)
            }
            try flush(vma, space, direct: direct, memory: memory, to: &writer)
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

    private func add(
        _ range: RemoteMemory.Range, _ vma: VMAValue, _ space: DumpCollector.Space, direct: Bool, memory: Int32,
        to writer: inout ImageWriter<DumpSink>
    ) throws(DumpFailure) {
        var rest = range
        while rest.count > 0 {
            if filled == Self.bufferBytes || ranges.count == RemoteMemory.maximumRanges {
                try flush(vma, space, direct: direct, memory: memory, to: &writer)
            }
            let piece = min(rest.count, Self.bufferBytes - filled)
            ranges.append(RemoteMemory.Range(start: rest.start, count: piece))
            filled += piece
            rest.start += UInt64(piece)
            rest.count -= piece
        }
    }

    private func flush(
        _ vma: VMAValue, _ space: DumpCollector.Space, direct: Bool, memory: Int32,
        to writer: inout ImageWriter<DumpSink>
    ) throws(DumpFailure) {
        guard filled > 0 else { return }
        let buffer = try buffer()
        do throws(LinuxError) {
            if direct {
                try RemoteMemory.read(space.process, ranges, into: buffer)
            } else {
                try readThroughFile(memory, space.process, into: buffer)
            }
        } catch {
            throw .engine(.system(error, task: space.process, doing: "read its memory"))
        }
        var offset = 0
        for range in ranges {
            // SAFETY: the ranges were laid out one after the other inside the buffer.
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset..<(offset + range.count)])
            // Missing pages of anonymous memory read as zeros anyway; in a file mapping a zero page hides the file's.
            try put(bytes, of: space.number, at: range.start, skipsZeros: vma.kind == .anonymous, to: &writer)
            offset += range.count
        }
        ranges.removeAll(keepingCapacity: true)
        filled = 0
    }

    private func readThroughFile(
        _ memory: Int32, _ process: Int32, into buffer: UnsafeMutableRawBufferPointer
    ) throws(LinuxError) {
        var offset = 0
        for range in ranges {
            var done = 0
            while done < range.count {
                // SAFETY: the piece lies inside the buffer, see above.
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[(offset + done)..<(offset + range.count)])
                let got = try Files.read(memory, at: range.start + UInt64(done), into: rest)
                if got == 0 { throw .call("pread", object: "memory of task \(process)", .fault) }
                done += got
            }
            offset += range.count
        }
    }

    /// Writes whole pages, leaving out those of zeros when that means the same.
    private func put(
        _ bytes: UnsafeRawBufferPointer, of target: UInt32, at start: UInt64, skipsZeros: Bool,
        to writer: inout ImageWriter<DumpSink>
    ) throws(DumpFailure) {
        var first = 0
        var index = 0
        func emit(_ end: Int) throws(DumpFailure) {
            guard end > first else { return }
            do throws(ImageError) {
                try writer.pages(
                    of: target, at: start + UInt64(first), UnsafeRawBufferPointer(rebasing: bytes[first..<end]),
                    isInherited: isEarly)
            } catch {
                throw .image(error)
            }
            count += (end - first) / Self.pageBytes
        }
        if skipsZeros {
            while index < bytes.count {
                if Self.isZero(bytes, at: index) {
                    try emit(index)
                    first = index + Self.pageBytes
                }
                index += Self.pageBytes
            }
        }
        try emit(bytes.count)
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        // Nearly every page with content shows it in the first words, so this rarely reads more than one cache line.
        var index = offset
        let end = offset + pageBytes
        while index < end {
            // SAFETY: the page lies inside `bytes` and is aligned to more than 8 bytes.
            if bytes.load(fromByteOffset: index, as: UInt64.self) != 0 { return false }
            index += 8
        }
        return true
    }

    /// Writes the content of a nameless file, holes left out.
    func write(
        _ content: DumpCollector.Content, to writer: inout ImageWriter<DumpSink>
    ) throws(DumpFailure) {
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
            var position = data.lowerBound / UInt64(Self.pageBytes) * UInt64(Self.pageBytes)
            let end = min(data.upperBound, content.sizeBytes)
            while position < end {
                let wanted = Int(min(UInt64(Self.bufferBytes), end - position))
                let whole = (wanted + Self.pageBytes - 1) / Self.pageBytes * Self.pageBytes
                let buffer = try buffer()
                do throws(LinuxError) {
                    try fill(buffer, content.fd, from: position, count: wanted, whole: whole)
                } catch {
                    throw .engine(.system(error, task: nil, doing: "read a nameless file"))
                }
                // SAFETY: `whole` is at most the buffer.
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<whole])
                try put(bytes, of: content.inode, at: position, skipsZeros: true, to: &writer)
                position += UInt64(whole)
            }
            offset = max(data.upperBound, offset + 1)
        }
    }

    /// Reads `count` bytes to the start of the buffer and fills up to `whole` with zeros.
    private func fill(
        _ buffer: UnsafeMutableRawBufferPointer, _ fd: Int32, from position: UInt64, count: Int, whole: Int
    ) throws(LinuxError) {
        var done = 0
        while done < count {
            // SAFETY: inside the buffer: `count` is at most its size.
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<count])
            let got = try Files.read(fd, at: position + UInt64(done), into: rest)
            if got == 0 { break }
            done += got
        }
        // SAFETY: `whole` is at most the buffer's size.
        UnsafeMutableRawBufferPointer(rebasing: buffer[done..<whole]).initializeMemory(as: UInt8.self, repeating: 0)
    }
}

/// Either side of a dump's stream can fail.
enum DumpFailure: Error {
    case engine(EngineError)
    case image(ImageError)
}
