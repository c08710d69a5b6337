internal import CRImage
internal import LinuxKit

/// A stretch of pages on its way into the image.
struct PagePiece {
    enum Source: Equatable {
        /// Memory that the task itself may read.
        case process(Int32)
        /// `/proc/PID/mem`, open, by address; read by the filling thread.
        case memory(Int32)
        /// A file, open, whose end reads as zeros.
        case file(Int32)
    }

    var source: Source
    /// Address, or offset in the file.
    var start: UInt64
    /// Whole pages.
    var count: Int
    /// Number of the address space or inode.
    var target: UInt32
    var isInherited = false
    /// Whether pages of zeros mean the same as none.
    var skipsZeros = false
}

/// One thread's part of a dump's stream: a helping of records or pages, and memory for it.
///
/// SAFETY: it belongs to the filling thread until that signals `full`, and to its own thread until that signals `free`.
final class DumpLane: @unchecked Sendable {
    enum Failure {
        case read(LinuxError)
        case write(Errno)

        var error: ImageError {
            switch self {
            case .read(let error): .stream(doing: "read pages", cause: "\(error)")
            case .write(let errno): .stream(doing: "write", cause: "\(errno)")
            }
        }
    }

    /// About as much as stays in a core's own cache from reading to writing.
    static let pageBytes = 1 << 19
    private static let copiedBytes = 1 << 16

    let free: CountingSemaphore
    let full: CountingSemaphore
    private(set) var failure: Failure?
    var isEnd = false

    private let pages: UnsafeMutableRawBufferPointer
    /// Records, or what stands in front of runs.
    private let copied: UnsafeMutableRawBufferPointer
    private var copiedCount = 0
    private var wanted: [PagePiece] = []
    private var wantedBytes = 0
    /// Runs of pages in ``pages``.
    private var runs: [(piece: PagePiece, bytes: Range<Int>)] = []
    private var checksums: [UInt64] = []

    init() throws(LinuxError) {
        free = try CountingSemaphore(1)
        full = try CountingSemaphore(0)
        // SAFETY: freed in deinit; all uses stay inside their bounds.
        pages = .allocate(byteCount: Self.pageBytes, alignment: 4096)
        copied = .allocate(byteCount: Self.copiedBytes, alignment: 64)
    }

    deinit {
        pages.deallocate()
        copied.deallocate()
    }

    // MARK: The filling thread

    var hasPages: Bool { !wanted.isEmpty }
    /// Bytes of records that still fit.
    var room: Int { Self.copiedBytes - copiedCount }
    /// Bytes of pages that still fit; none beside records.
    var pageRoom: Int {
        copiedCount > 0 || wanted.count == RemoteMemory.maximumRanges ? 0 : Self.pageBytes - wantedBytes
    }

    /// - Precondition: The bytes fit into ``room``.
    func copy(_ bytes: UnsafeRawBufferPointer) {
        // SAFETY: the precondition; both pieces lie inside their buffers.
        UnsafeMutableRawBufferPointer(rebasing: copied[copiedCount..<(copiedCount + bytes.count)])
            .copyMemory(from: bytes)
        copiedCount += bytes.count
    }

    /// - Precondition: The pages fit into ``pageRoom``, and this is the tracer's thread.
    func add(_ piece: PagePiece) {
        if case .memory(let fd) = piece.source, failure == nil {
            // Here and now: since 6.12 a kernel may be built to let nobody but the tracer, one thread, read what the task
            // itself may not.
            // SAFETY: the precondition; the buffer is this thread's until the lane is full.
            let buffer = UnsafeMutableRawBufferPointer(rebasing: pages[wantedBytes..<(wantedBytes + piece.count)])
            do throws(LinuxError) { try readFile(fd, [piece], into: buffer, isMemory: true) } catch {
                failure = .read(error)
            }
        }
        wanted.append(piece)
        wantedBytes += piece.count
    }

    // MARK: Its own thread

    /// Waits for a helping and writes it when its turn comes.
    ///
    /// - Returns: False at the end.
    func work(_ index: Int, _ turns: DumpTurns, _ output: DumpOutput) -> Bool {
        full.wait()
        if isEnd { return false }
        do throws(LinuxError) { try read() } catch { failure = .read(error) }
        var first: UInt64 = 0
        turns.number(index) { first = turns.reserve(runs.count) }
        let pieces = seal(first)
        turns.write(index) {
            if failure == nil {
                for (run, checksum) in zip(runs, checksums) {
                    turns.ledger.append(checksum, pageBytes: run.bytes.count)
                }
                output.write(pieces)
            }
            if failure == nil, let errno = output.failure { failure = .write(errno) }
            // What follows must not be written behind a gap.
            if failure != nil { output.giveUp() }
        }
        clear()
        free.signal()
        return true
    }

    private func clear() {
        copiedCount = 0
        wanted.removeAll(keepingCapacity: true)
        wantedBytes = 0
        runs.removeAll(keepingCapacity: true)
        checksums.removeAll(keepingCapacity: true)
    }

    /// Reads what is wanted, and finds the runs in it.
    private func read() throws(LinuxError) {
        if failure != nil { return }
        var first = 0
        var offset = 0
        while first < wanted.count {
            // Pieces of one process take one call.
            var end = first
            var count = 0
            while end < wanted.count, wanted[end].source == wanted[first].source {
                count += wanted[end].count
                end += 1
            }
            // SAFETY: the pieces fit into the buffer one after the other: the filling thread has seen to that.
            let buffer = UnsafeMutableRawBufferPointer(rebasing: pages[offset..<(offset + count)])
            switch wanted[first].source {
            case .process(let process):
                try RemoteMemory.read(
                    process, wanted[first..<end].map { RemoteMemory.Range(start: $0.start, count: $0.count) },
                    into: buffer)
            case .memory: break
            case .file(let fd): try readFile(fd, wanted[first..<end], into: buffer, isMemory: false)
            }
            for piece in wanted[first..<end] {
                find(piece, offset..<(offset + piece.count))
                offset += piece.count
            }
            first = end
        }
    }

    private func readFile(
        _ fd: Int32, _ pieces: ArraySlice<PagePiece>, into buffer: UnsafeMutableRawBufferPointer, isMemory: Bool
    ) throws(LinuxError) {
        var offset = 0
        for piece in pieces {
            var done = 0
            while done < piece.count {
                // SAFETY: the piece lies inside the buffer, see above.
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[(offset + done)..<(offset + piece.count)])
                let got = try Files.read(fd, at: piece.start + UInt64(done), into: rest)
                if got == 0 {
                    if isMemory { throw .call("pread", object: "memory of a task", .fault) }
                    // SAFETY: as above.
                    rest.initializeMemory(as: UInt8.self, repeating: 0)
                    break
                }
                done += got
            }
            offset += piece.count
        }
    }

    /// Finds the runs of a piece: all of it, or what pages of zeros leave.
    private func find(_ piece: PagePiece, _ bytes: Range<Int>) {
        guard piece.skipsZeros else {
            runs.append((piece, bytes))
            return
        }
        var first = bytes.lowerBound
        var page = first
        func end() {
            guard page > first else { return }
            var run = piece
            run.start += UInt64(first - bytes.lowerBound)
            runs.append((run, first..<page))
        }
        while page < bytes.upperBound {
            if isZero(page) {
                end()
                first = page + ImageFormat.pageBytes
            }
            page += ImageFormat.pageBytes
        }
        end()
    }

    private func isZero(_ offset: Int) -> Bool {
        // Nearly every page with content shows it in the first words, so this rarely reads more than one cache line.
        var index = offset
        let end = offset + ImageFormat.pageBytes
        while index < end {
            // SAFETY: the page lies inside `pages` and is aligned to more than 8 bytes.
            if pages.load(fromByteOffset: index, as: UInt64.self) != 0 { return false }
            index += 8
        }
        return true
    }

    /// Seals the runs.
    ///
    /// - Returns: What is to be written, in order.
    private func seal(_ first: UInt64) -> [UnsafeRawBufferPointer] {
        if failure != nil { return [] }
        // SAFETY: the pieces lie inside the two buffers, and are used before the lane is free.
        if runs.isEmpty { return copiedCount == 0 ? [] : [UnsafeRawBufferPointer(rebasing: copied[..<copiedCount])] }
        var pieces: [UnsafeRawBufferPointer] = []
        pieces.reserveCapacity(runs.count * 2)
        for (index, run) in runs.enumerated() {
            let bytes = UnsafeRawBufferPointer(rebasing: pages[run.bytes])
            let (prefix, checksum) = ImageLedger.seal(
                first + UInt64(index), of: run.piece.target, at: run.piece.start, bytes,
                isInherited: run.piece.isInherited)
            checksums.append(checksum)
            // A buffer of pages makes at most one run per page: their prefixes fit.
            let place = UnsafeMutableRawBufferPointer(
                rebasing: copied[copiedCount..<(copiedCount + prefix.count)])
            place.copyBytes(from: prefix)
            copiedCount += prefix.count
            pieces.append(UnsafeRawBufferPointer(place))
            pieces.append(bytes)
        }
        return pieces
    }
}
