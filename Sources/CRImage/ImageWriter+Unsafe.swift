/// Writes one image, from its start to its end, without ever going back.
///
/// Order of calls: ``write(_:)`` for every record, the header first; ``endMetadata()``; ``pages(of:at:_:)``;
/// ``finish()``. An image that was not finished is cut, and every reader says so.
public struct ImageWriter<Sink: ImageSink> {
    /// Where the image goes; handed back so that the caller can close it.
    public private(set) var sink: Sink
    /// Where the stream stands. Whoever seals runs on its own and writes them to the sink enters them here.
    public var ledger = ImageLedger()
    /// Bytes written so far.
    public var byteCount: UInt64 { ledger.byteCount }

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
        ledger.records += 1
    }

    /// Ends the metadata section: a reader may now check the destination.
    public mutating func endMetadata() throws(ImageError) {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: ledger.records)
        bytes.append(littleEndian: ledger.chain)
        bytes += [UInt8](repeating: 0, count: ImageFormat.padding(ofMetadataEndAt: byteCount))
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
            let (prefix, checksum) = ImageLedger.seal(
                ledger.reserve(1), of: target, at: start + UInt64(done), piece, isInherited: isInherited)
            try sink.write(contentsOf: prefix)
            try sink.write(piece)
            ledger.append(checksum, pageBytes: count)
            done += count
        }
    }

    /// Writes the trailer.
    ///
    /// - Postcondition: The image is whole. The sink may still have to be flushed.
    public mutating func finish() throws(ImageError) {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: ledger.records)
        bytes.append(littleEndian: ledger.runs)
        bytes.append(littleEndian: ledger.pageBytes)
        bytes.append(littleEndian: ledger.chain)
        try block(.trailer, bytes)
    }

    private mutating func block(_ tag: ImageRecord.Tag, _ payload: [UInt8]) throws(ImageError) {
        try put(ledger.header(tag, payload) + payload)
    }

    private mutating func put(_ bytes: [UInt8]) throws(ImageError) {
        try sink.write(contentsOf: bytes)
        ledger.byteCount += UInt64(bytes.count)
    }
}

extension ImageSink {
    fileprivate mutating func write(contentsOf bytes: [UInt8]) throws(ImageError) {
        var failure: ImageError?
        // SAFETY: the sink uses the buffer only during the call.
        bytes.withUnsafeBytes { buffer in
            do throws(ImageError) { try write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
