internal import CRImage
internal import LinuxKit

/// The image of one restore: its records at once, its pages as they are wanted.
///
/// A file was verified whole when it is there; from a pipe each block is verified before it is given out.
final class RestoreImage {
    let contents: ImageContents
    private let place: String
    private let wakeups: UInt64
    private var feed: Feed

    private enum Feed {
        case stream(ImageReader<DescriptorSource>)
        case file(ImageReader<FileSource>, FileSource, FileWindow)
    }

    /// A run that was looked at and not taken; and where its pages are, in a file.
    private var waiting: (run: PageRun, block: PageBlock?)?

    /// Reads the image up to the end of its metadata; a file is read to its end.
    init(_ input: Int32, _ place: String, wakeups: UInt64) throws(EngineError) {
        self.place = place
        self.wakeups = wakeups
        do throws(ImageError) {
            if let source = FileSource(input) {
                var reader = try ImageReader(source)
                contents = try reader.metadata()
                feed = .file(reader, source, FileWindow(input))
            } else {
                var reader = try ImageReader(DescriptorSource(input))
                contents = try reader.metadata()
                feed = .stream(reader)
            }
        } catch {
            throw .unreadable(place, error)
        }
        if case .file(let reader, let source, _) = feed {
            let queue = BlockQueue(reader, source, wakeups)
            try queue.work { (block, bytes) throws(QueueError) in
                do throws(ImageError) { try block.verify(bytes) } catch { throw .image(error) }
            }
            try raise(queue)
        }
    }

    /// Whether every byte was looked at before any was given out.
    var isVerified: Bool {
        if case .file = feed { return true }
        return false
    }

    /// Whether it is a file with so many pages that preparing for them pays.
    var isLarge: Bool {
        guard case .file(_, let source, _) = feed else { return false }
        return ((try? Files.status(of: source.fd).sizeBytes) ?? 0) > 32 << 20
    }

    private func raise(_ queue: BlockQueue) throws(EngineError) {
        switch queue.failure {
        case nil: return
        case .image(let error): throw .unreadable(place, error)
        case .engine(let error): throw error
        }
    }

    /// Length of the image as far as it was read.
    var byteCount: UInt64 {
        switch feed {
        case .stream(let reader): reader.byteCount
        case .file(let reader, _, _): reader.byteCount
        }
    }

    private func read<Value>(_ body: () throws(ImageError) -> Value) throws(EngineError) -> Value {
        do { return try body() } catch { throw .unreadable(place, error) }
    }

    /// The next run, which stays the next one until ``take(_:)``; `nil` at the end.
    func next() throws(EngineError) -> PageRun? {
        if let waiting { return waiting.run }
        if let error = FrozenTree.interruption(wakeups) { throw error }
        switch feed {
        case .stream(var reader):
            waiting = try read { () throws(ImageError) in try reader.nextPages().map { ($0, nil) } }
            feed = .stream(reader)
        case .file(var reader, let source, let window):
            waiting = try read { () throws(ImageError) in try reader.nextBlock().map { ($0.run, $0) } }
            feed = .file(reader, source, window)
        }
        return waiting?.run
    }

    /// Gives the bytes of the run that ``next()`` has shown.
    func take(_ body: PageUse) throws(EngineError) {
        guard let (run, block) = waiting else { return }
        waiting = nil
        let failure: EngineError?
        switch feed {
        case .stream(let reader): failure = reader.withPageBytes { body.failure(run, $0) }
        case .file(_, let source, let window):
            guard let block else { return }
            failure = try read { () throws(ImageError) in
                try window.with(block.extent, from: source.start) { body.failure(run, $0) }
            }
        }
        if let failure { throw failure }
    }

    /// Gives all other runs, from a file to several threads at once; then the image has ended.
    func takeRest(_ body: PageUse) throws(EngineError) {
        if waiting != nil { try take(body) }
        guard case .file(let reader, let source, let window) = feed else {
            while try next() != nil { try take(body) }
            return
        }
        let queue = BlockQueue(reader, source, wakeups)
        try queue.work { (block, bytes) throws(QueueError) in
            if let error = body.failure(block.run, bytes) { throw .engine(error) }
        }
        try raise(queue)
        feed = .file(queue.reader, source, window)
    }
}

/// What is done with pages, by any thread.
struct PageUse: Sendable {
    let body: @Sendable (PageRun, UnsafeRawBufferPointer) throws(EngineError) -> Void

    func failure(_ run: PageRun, _ bytes: UnsafeRawBufferPointer) -> EngineError? {
        do throws(EngineError) {
            try body(run, bytes)
            return nil
        } catch {
            return error
        }
    }
}
