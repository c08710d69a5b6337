internal import CRImage
internal import LinuxKit
internal import Synchronization

/// Why work on blocks ended early.
enum QueueError: Error {
    case image(ImageError)
    case engine(EngineError)
}

/// Hands the blocks of a file to several threads, some neighbours at a time.
final class BlockQueue: Sendable {
    /// As much as stays in a core's cache. Longer runs come one at a time, and so begin at a page's border in a window.
    private static let pieceBytes = 1 << 18
    private static let pieceBlocks = 256
    /// As much as one table of the memory that is filled maps: threads that fill the same one wait for each other.
    private static let turnBytes = 1 << 21
    private static let turnBlocks = 1024
    /// Images below are done before another thread has started.
    private static let parallelBytes: UInt64 = 8 << 20

    private struct State {
        var reader: ImageReader<FileSource>
        var isAtEnd = false
        /// The failure that stands first in the image.
        var failure: (place: UInt64, error: QueueError)?
    }

    private let state: Mutex<State>
    private let source: FileSource
    private let wakeups: UInt64

    init(_ reader: ImageReader<FileSource>, _ source: FileSource, _ wakeups: UInt64) {
        state = Mutex(State(reader: reader))
        self.source = source
        self.wakeups = wakeups
    }

    var failure: QueueError? { state.withLock { $0.failure?.error } }
    /// The reader where it is now: at the image's end after ``work(_:)``.
    var reader: ImageReader<FileSource> { state.withLock { $0.reader } }

    /// Runs `body` with every block, on this thread and on others; ``failure`` says whether all went well.
    func work(_ body: @escaping @Sendable (PageBlock, UnsafeRawBufferPointer) throws(QueueError) -> Void)
        throws(EngineError)
    {
        let rest = ((try? Files.status(of: source.fd).sizeBytes) ?? 0) &- source.start &- reader.byteCount
        let count = Int64(bitPattern: rest) < Int64(Self.parallelBytes) ? 1 : Workers.processors
        try Workers.run(count) { [self] in
            let window = FileWindow(source.fd)
            while let turn = next() {
                var rest = turn[...]
                while let piece = Self.piece(&rest) {
                    guard let (place, error) = use(piece, window, body) else { continue }
                    fail(place, error)
                    break
                }
            }
        }
    }

    /// Takes neighbours off that are read at once; `nil` when there are none left.
    private static func piece(_ rest: inout ArraySlice<PageBlock>) -> ArraySlice<PageBlock>? {
        var count = 0
        var bytes = 0
        for block in rest {
            if count == pieceBlocks || bytes >= pieceBytes { break }
            count += 1
            bytes += block.run.byteCount
        }
        defer { rest = rest.dropFirst(count) }
        return count == 0 ? nil : rest.prefix(count)
    }

    /// - Returns: The block that failed, by where it begins; `nil` when all went well.
    private func use(
        _ piece: ArraySlice<PageBlock>, _ window: FileWindow,
        _ body: (PageBlock, UnsafeRawBufferPointer) throws(QueueError) -> Void
    ) -> (place: UInt64, error: QueueError)? {
        guard let first = piece.first, let last = piece.last else { return nil }
        do throws(ImageError) {
            return try window.with(first.offset..<last.extent.upperBound, from: source.start) { bytes in
                for block in piece {
                    let start = Int(block.offset - first.offset)
                    // SAFETY: the window reaches from the first block's pages to the last one's.
                    let pages = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + block.run.byteCount)])
                    do throws(QueueError) { try body(block, pages) } catch { return (block.place, error) }
                }
                return nil
            }
        } catch {
            return (first.place, .image(error))
        }
    }

    private func fail(_ place: UInt64, _ error: QueueError) {
        state.withLock { state in
            if let known = state.failure, known.place <= place { return }
            state.failure = (place, error)
        }
    }

    /// The next blocks; `nil` when there are no more, or something went wrong.
    private func next() -> [PageBlock]? {
        let interruption = FrozenTree.interruption(wakeups)
        return state.withLock { state in
            if state.isAtEnd || state.failure != nil { return nil }
            if let interruption {
                state.failure = (0, .engine(interruption))
                return nil
            }
            var turn: [PageBlock] = []
            var bytes = 0
            do throws(ImageError) {
                while bytes < Self.turnBytes, turn.count < Self.turnBlocks {
                    guard let block = try state.reader.nextBlock() else {
                        state.isAtEnd = true
                        break
                    }
                    turn.append(block)
                    bytes += block.run.byteCount
                }
            } catch {
                // What comes before is looked at all the same: the first damage is the one to report.
                state.failure = (state.reader.byteCount, .image(error))
            }
            return turn
        }
    }
}
