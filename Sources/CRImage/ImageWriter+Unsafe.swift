/// Writes one image, from its start to its end, without ever going back.
///
/// Order of calls: ``write(_:)`` for every record, the header first; ``endMetadata()``; ``pages(of:at:_:)``;
/// ``finish()``. An image that was not finished is cut, and every reader says so.
public struct ImageWriter<Sink: ImageSink> {
    /// Where the image goes; handed back so that the caller can close it.
    public private(set) var sink: Sink
    /// Bytes written so far.
    public private(set) var byteCount: UInt64 = 0
    private var index: UInt64 = 0
    private var chain: UInt64 = 0
    private var records: UInt64 = 0
    private var runs: UInt64 = 0
    private var pageBytes: UInt64 = 0

    /// Writes the preamble.
    public init(to sink: Sink) throws(ImageError) {
        self.sink = sink
        var preamble = ImageFormat.magic
        preamble.append(littleEndian: ImageFormat.version)
        preamble.append(littleEndian: UInt32(0))
        try put(preamble)
    }

    /// Writes one record of the metadata section.
    public mutating func write(_ record: ImageRecord) throws(ImageError) {
        let bytes = try record.encoded()
        guard bytes.count <= ImageFormat.maximumRecordBytes else {
            throw .tooLarge(
                offset: byteCount, block: "\(record.tag)", bytes: UInt64(bytes.count),
                limit: UInt64(ImageFormat.maximumRecordBytes))
        }
        try block(record.tag, bytes)
        records += 1
    }

    /// Ends the metadata section: a reader may now check the destination.
    public mutating func endMetadata() throws(ImageError) {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: records)
        bytes.append(littleEndian: chain)
        try block(.metadataEnd, bytes)
    }

    /// Writes pages.
    ///
    /// - Parameters:
    ///   - target: Number of the address space or inode that holds them.
    ///   - start: Address or file offset of the first byte; a multiple of the page size.
    ///   - bytes: Whole pages, any number of them.
    ///   - isInherited: Children of the process share them. Such runs come before all others.
    public mutating func pages(
        of target: UInt32, at start: UInt64, _ bytes: UnsafeRawBufferPointer, isInherited: Bool = false
    ) throws(ImageError) {
        precondition(bytes.count % ImageFormat.pageBytes == 0, "only whole pages go into an image")
        var done = 0
        while done < bytes.count {
            let count = min(bytes.count - done, ImageFormat.maximumRunBytes)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[done..<(done + count)])
            var header: [UInt8] = []
            header.append(littleEndian: target)
            header.append(littleEndian: UInt32(isInherited ? 1 : 0))
            header.append(littleEndian: start + UInt64(done))
            let length = UInt32(ImageFormat.runHeaderBytes + count)
            let seed = ImageFormat.seed(index: index, tag: ImageRecord.Tag.pages.rawValue, length: length)
            let hash = Checksum.of(piece, seed: Checksum.of(header, seed: seed))
            try put(blockHeader(.pages, length, hash) + header)
            try put(piece)
            runs += 1
            pageBytes += UInt64(count)
            done += count
        }
    }

    /// Writes the trailer.
    ///
    /// - Postcondition: The image is whole. The sink may still have to be flushed.
    public mutating func finish() throws(ImageError) {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: records)
        bytes.append(littleEndian: runs)
        bytes.append(littleEndian: pageBytes)
        bytes.append(littleEndian: chain)
        try block(.trailer, bytes)
    }

    private mutating func block(_ tag: ImageRecord.Tag, _ payload: [UInt8]) throws(ImageError) {
        let length = UInt32(payload.count)
        let seed = ImageFormat.seed(index: index, tag: tag.rawValue, length: length)
        try put(blockHeader(tag, length, Checksum.of(payload, seed: seed)) + payload)
    }

    private mutating func blockHeader(_ tag: ImageRecord.Tag, _ length: UInt32, _ hash: UInt64) -> [UInt8] {
        index += 1
        chain = Checksum.of(words: [chain, hash])
        var header: [UInt8] = []
        header.append(littleEndian: tag.rawValue)
        header.append(littleEndian: length)
        header.append(littleEndian: hash)
        return header
    }

    private mutating func put(_ bytes: [UInt8]) throws(ImageError) {
        var failure: ImageError?
        // SAFETY: the sink uses the buffer only during the call.
        bytes.withUnsafeBytes { buffer in
            do throws(ImageError) { try put(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private mutating func put(_ buffer: UnsafeRawBufferPointer) throws(ImageError) {
        try sink.write(buffer)
        byteCount += UInt64(buffer.count)
    }
}
