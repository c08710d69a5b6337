/// One run of pages, without its bytes.
public struct PageRun: Sendable, Hashable {
    /// Number of the address space or inode that holds the pages.
    public var target: UInt32
    /// Address or file offset of the first byte; a multiple of the page size.
    public var start: UInt64
    /// A multiple of the page size, at least one page.
    public var byteCount: Int
    /// Whether it must be in place before children of the process are made.
    public var isInherited = false
}

/// One run of pages that has been passed over: where its pages are, and what they must be.
public struct PageBlock: Sendable {
    public var run: PageRun
    /// Where its pages begin, in bytes from the image's start.
    public var offset: UInt64
    /// Where the block begins, for errors.
    public var place: UInt64
    let checksum: UInt64
    let seed: UInt64

    /// Where its pages are, in bytes from the image's start.
    public var extent: Range<UInt64> { offset..<(offset + UInt64(run.byteCount)) }

    /// Compares the pages with the block's checksum.
    ///
    /// - Throws: `ImageError.checksum`.
    public func verify(_ pages: UnsafeRawBufferPointer) throws(ImageError) {
        guard Checksum.of(pages, seed: seed) == checksum else {
            throw .checksum(offset: place, block: "a block of type pages")
        }
    }
}

/// Reads one image from its start to its end; every block is checked before it is given out.
///
/// Order of calls: ``metadata()``, then ``nextPages()`` until it returns `nil`. Only that `nil` says that the image was
/// whole: the trailer fitted, and nothing came behind it. A source that can skip also has ``nextBlock()``, which leaves
/// reading and checking of pages to its caller; a copy of the reader then walks over the same blocks again.
public struct ImageReader<Source: ImageSource> {
    private var source: Source
    private var offset: UInt64 = 0
    private var index: UInt64 = 0
    private var chain: UInt64 = 0
    private var runs: UInt64 = 0
    private var pageBytes: UInt64 = 0
    private var records: UInt64 = 0
    private var spans: [UInt32: [Range<UInt64>]] = [:]
    private var payload: [UInt8] = []
    private var payloadBytes = 0
    private var isAtEnd = false
    /// The version of the image's format.
    public let version: UInt32

    /// Reads the preamble.
    public init(_ source: Source) throws(ImageError) {
        self.source = source
        var preamble: [UInt8] = []
        var from = source
        var count = 0
        try Self.fill(&preamble, &count, to: ImageFormat.preambleBytes, from: &from)
        self.source = from
        guard preamble.prefix(min(count, 8)).elementsEqual(ImageFormat.magic.prefix(min(count, 8))), count > 0 else {
            throw .notAnImage
        }
        guard count == ImageFormat.preambleBytes else { throw .cut(offset: UInt64(count), inside: "the preamble") }
        version = preamble.number(at: 8, as: UInt32.self)
        guard ImageFormat.readableVersions.contains(version) else {
            throw .versionUnsupported(found: version, readable: ImageFormat.readableVersions)
        }
        guard preamble.number(at: 12, as: UInt32.self) == 0 else {
            throw .misplaced(offset: 12, block: "preamble", why: "its reserved word is not 0")
        }
        offset = UInt64(ImageFormat.preambleBytes)
    }

    /// Bytes read so far; the length of the image once ``nextPages()`` has returned `nil`.
    public var byteCount: UInt64 { offset }

    /// Reads all records.
    ///
    /// - Throws: Also when the records contradict each other, so that a restore need not check what refers to what.
    public mutating func metadata() throws(ImageError) -> ImageContents {
        var contents = ImageContents()
        while true {
            let header = try blockHeader()
            let (place, tag) = (header.place, header.tag)
            try readPayload(header)
            if tag == .metadataEnd {
                let end = ImageFormat.metadataEndBytes
                guard payloadBytes == end + ImageFormat.padding(ofMetadataEndAt: place),
                    payload.number(at: 0, as: UInt64.self) == records,
                    payload.number(at: 8, as: UInt64.self) == chainBeforeLast,
                    payload[end..<payloadBytes].allSatisfy({ $0 == 0 })
                else {
                    throw .misplaced(offset: place, block: "\(tag)", why: "its count or checksum is not the section's")
                }
                break
            }
            guard let record = try ImageRecord.decode(tag, Array(payload[..<payloadBytes])) else {
                throw .misplaced(offset: place, block: "\(tag)", why: "it comes before the metadata has ended")
            }
            guard (record.tag == .header) == (records == 0) else {
                throw .misplaced(offset: place, block: "\(tag)", why: "the header comes first and once")
            }
            contents.add(record)
            records += 1
        }
        try contents.validate()
        spans = contents.pageSpans()
        return contents
    }

    /// Reads the next run of pages; ``withPageBytes(_:)`` then gives its bytes.
    ///
    /// - Returns: `nil` at the end of a whole image.
    /// - Throws: Also for pages outside everything that the records describe.
    public mutating func nextPages() throws(ImageError) -> PageRun? {
        if isAtEnd { return nil }
        let header = try blockHeader()
        try readPayload(header)
        guard header.tag == .pages else {
            try end(header)
            return nil
        }
        return try run(header)
    }

    /// What comes behind the last run.
    private mutating func end(_ header: BlockHeader) throws(ImageError) {
        let place = header.place
        switch header.tag {
        case .trailer:
            guard payloadBytes == 32, payload.number(at: 0, as: UInt64.self) == records,
                payload.number(at: 8, as: UInt64.self) == runs, payload.number(at: 16, as: UInt64.self) == pageBytes,
                payload.number(at: 24, as: UInt64.self) == chainBeforeLast
            else {
                throw .misplaced(offset: place, block: "trailer", why: "its counts or checksum are not the image's")
            }
            var rest: [UInt8] = []
            var count = 0
            try Self.fill(&rest, &count, to: 1, from: &source)
            guard count == 0 else { throw .trailingBytes(offset: offset) }
            isAtEnd = true
        case let tag:
            throw .misplaced(offset: place, block: "\(tag)", why: "only pages and the trailer come after the metadata")
        }
    }

    /// The bytes of the run that ``nextPages()`` returned last; valid only inside `body`.
    public func withPageBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        payload.withUnsafeBytes { buffer in
            let end = max(ImageFormat.runHeaderBytes, payloadBytes)
            // SAFETY: `nextPages` has checked that the payload holds the run's header and whole pages.
            return body(
                UnsafeRawBufferPointer(
                    rebasing: buffer[min(ImageFormat.runHeaderBytes, buffer.count)..<min(end, buffer.count)]))
        }
    }

    /// The run whose header is in `payload`, counted.
    private mutating func run(_ header: BlockHeader) throws(ImageError) -> PageRun {
        let place = header.place
        let count = Int(header.length) - ImageFormat.runHeaderBytes
        guard count > 0, count % ImageFormat.pageBytes == 0 else {
            throw .misplaced(offset: place, block: "pages", why: "\(count) bytes are no whole pages")
        }
        let run = PageRun(
            target: payload.number(at: 0, as: UInt32.self), start: payload.number(at: 8, as: UInt64.self),
            byteCount: count, isInherited: payload.number(at: 4, as: UInt32.self) == 1)
        let (end, overflow) = run.start.addingReportingOverflow(UInt64(count))
        guard payload.number(at: 4, as: UInt32.self) <= 1,
            payload[16..<ImageFormat.runHeaderBytes].allSatisfy({ $0 == 0 }),
            run.start % UInt64(ImageFormat.pageBytes) == 0, !overflow,
            let ranges = spans[run.target], ImageContents.covers(ranges, run.start..<end)
        else {
            throw .misplaced(
                offset: place, block: "pages",
                why: "object \(run.target) has no memory at 0x\(String(run.start, radix: 16))")
        }
        runs += 1
        pageBytes += UInt64(count)
        return run
    }

    private var chainBeforeLast: UInt64 = 0

    private struct BlockHeader {
        var place: UInt64
        var rawTag: UInt32
        var tag: ImageRecord.Tag
        var length: UInt32
        var hash: UInt64
    }

    private mutating func blockHeader() throws(ImageError) -> BlockHeader {
        let place = offset
        var header: [UInt8] = []
        var count = 0
        try Self.fill(&header, &count, to: ImageFormat.blockHeaderBytes, from: &source)
        offset += UInt64(count)
        guard count == ImageFormat.blockHeaderBytes else {
            throw .cut(offset: offset, inside: count == 0 ? "the stream, before its trailer" : "a block's header")
        }
        let rawTag = header.number(at: 0, as: UInt32.self)
        let length = header.number(at: 4, as: UInt32.self)
        guard let tag = ImageRecord.Tag(rawValue: rawTag) else {
            throw .misplaced(offset: place, block: "block of type \(rawTag)", why: "this type does not exist")
        }
        let limit =
            tag == .pages
            ? ImageFormat.maximumRunBytes + ImageFormat.runHeaderBytes : ImageFormat.maximumRecordBytes
        guard length <= limit else {
            throw .tooLarge(offset: place, block: "\(tag)", bytes: UInt64(length), limit: UInt64(limit))
        }
        return BlockHeader(
            place: place, rawTag: rawTag, tag: tag, length: length, hash: header.number(at: 8, as: UInt64.self))
    }

    /// Reads a block into `payload` and checks it.
    private mutating func readPayload(_ header: BlockHeader) throws(ImageError) {
        payloadBytes = 0
        try Self.fill(&payload, &payloadBytes, to: Int(header.length), from: &source)
        offset += UInt64(payloadBytes)
        guard payloadBytes == Int(header.length) else {
            throw .cut(offset: offset, inside: "a block of type \(header.tag)")
        }
        let seed = ImageFormat.seed(index: index, tag: header.rawTag, length: header.length)
        let runHeader = ImageFormat.runHeaderBytes
        let isRun = header.tag == .pages && payloadBytes >= runHeader
        let bytes = payloadBytes
        let found = payload.withUnsafeBytes { buffer in
            // SAFETY: both slices lie inside the payload.
            isRun
                ? Checksum.of(
                    UnsafeRawBufferPointer(rebasing: buffer[runHeader..<bytes]),
                    seed: Checksum.of(UnsafeRawBufferPointer(rebasing: buffer[..<runHeader]), seed: seed))
                : Checksum.of(UnsafeRawBufferPointer(rebasing: buffer[..<bytes]), seed: seed)
        }
        guard found == header.hash else {
            throw .checksum(offset: header.place, block: "a block of type \(header.tag)")
        }
        advance(header.hash)
    }

    private mutating func advance(_ hash: UInt64) {
        index += 1
        chainBeforeLast = chain
        chain = Checksum.of(words: [chain, hash])
    }

    /// Reads until `count` bytes are in `buffer` or the stream ends. Room is made only as bytes arrive, so a length that
    /// lies costs nothing.
    private static func fill(
        _ buffer: inout [UInt8], _ count: inout Int, to wanted: Int, from source: inout Source
    ) throws(ImageError) {
        while count < wanted {
            let room = min(wanted, max(count * 2, 1 << 16))
            if buffer.count < room { buffer.append(contentsOf: repeatElement(0, count: room - buffer.count)) }
            var got = 0
            var failure: ImageError?
            let from = count
            let to = min(wanted, buffer.count)
            buffer.withUnsafeMutableBytes { bytes in
                // SAFETY: `from..<to` lies inside the buffer, which does not move in the closure.
                let piece = UnsafeMutableRawBufferPointer(rebasing: bytes[from..<to])
                do throws(ImageError) { got = try source.read(into: piece) } catch { failure = error }
            }
            if let failure { throw failure }
            if got <= 0 { return }
            count += min(got, to - from)
        }
    }
}

extension ImageReader where Source: SkippingSource {
    /// Passes over the next run of pages.
    ///
    /// - Returns: `nil` at the end of an image that is whole if every block's pages are what ``PageBlock/verify(_:)`` wants.
    /// - Throws: As ``nextPages()`` does, but for what is wrong with pages.
    public mutating func nextBlock() throws(ImageError) -> PageBlock? {
        if isAtEnd { return nil }
        let header = try blockHeader()
        let runHeader = ImageFormat.runHeaderBytes
        guard header.tag == .pages, Int(header.length) > runHeader else {
            try readPayload(header)
            if header.tag == .pages { _ = try run(header) }
            try end(header)
            return nil
        }
        payloadBytes = 0
        try Self.fill(&payload, &payloadBytes, to: runHeader, from: &source)
        offset += UInt64(payloadBytes)
        guard payloadBytes == runHeader else { throw .cut(offset: offset, inside: "a block of type \(header.tag)") }
        let run = try run(header)
        let seed = Checksum.of(
            Array(payload[..<runHeader]),
            seed: ImageFormat.seed(index: index, tag: header.rawTag, length: header.length))
        let block = PageBlock(run: run, offset: offset, place: header.place, checksum: header.hash, seed: seed)
        source.skip(run.byteCount)
        offset += UInt64(run.byteCount)
        advance(header.hash)
        return block
    }
}

extension ImageReader: Sendable where Source: Sendable {}
