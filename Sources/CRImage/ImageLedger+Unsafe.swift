/// Where a stream stands: how many blocks it has, and their chain.
///
/// Runs of pages can be sealed on several threads: ``seal(_:of:at:_:isInherited:)`` needs their places only, which count from
/// ``index``, and ``append(_:pageBytes:)`` enters them, each in the order of the stream. A ledger itself is for one thread.
public struct ImageLedger: Sendable {
    /// The place of the block that comes next.
    public var index: UInt64 = 0
    private(set) var chain: UInt64 = 0
    var records: UInt64 = 0
    private(set) var runs: UInt64 = 0
    private(set) var pageBytes: UInt64 = 0
    /// Pages in all runs.
    public var pageCount: Int { Int(pageBytes) / ImageFormat.pageBytes }
    /// Bytes written so far.
    public internal(set) var byteCount: UInt64 = 0

    /// The start of a stream.
    public init() {}

    /// Bytes in front of a run's pages.
    public static let runPrefixBytes = ImageFormat.blockHeaderBytes + ImageFormat.runHeaderBytes

    /// Takes the places of the next blocks.
    ///
    /// - Returns: The first one's.
    mutating func reserve(_ count: Int) -> UInt64 {
        defer { index += UInt64(count) }
        return index
    }

    /// Makes what stands in front of a run's pages.
    ///
    /// - Parameters:
    ///   - index: The run's place.
    ///   - bytes: Whole pages, at most ``ImageFormat/maximumRunBytes``.
    /// - Returns: ``runPrefixBytes`` bytes, and the checksum that is in them.
    public static func seal(
        _ index: UInt64, of target: UInt32, at start: UInt64, _ bytes: UnsafeRawBufferPointer, isInherited: Bool
    ) -> (prefix: [UInt8], checksum: UInt64) {
        precondition(
            bytes.count % ImageFormat.pageBytes == 0 && bytes.count <= ImageFormat.maximumRunBytes,
            "a run is of whole pages")
        var header: [UInt8] = []
        header.append(littleEndian: target)
        header.append(littleEndian: UInt32(isInherited ? 1 : 0))
        header.append(littleEndian: start)
        header += [UInt8](repeating: 0, count: ImageFormat.runHeaderBytes - header.count)
        let length = UInt32(ImageFormat.runHeaderBytes + bytes.count)
        let seed = ImageFormat.seed(index: index, tag: ImageRecord.Tag.pages.rawValue, length: length)
        let checksum = Checksum.of(bytes, seed: Checksum.of(header, seed: seed))
        return (blockHeader(.pages, length, checksum) + header, checksum)
    }

    /// Enters a run.
    public mutating func append(_ checksum: UInt64, pageBytes count: Int) {
        link(checksum)
        runs += 1
        pageBytes += UInt64(count)
        byteCount += UInt64(Self.runPrefixBytes + count)
    }

    /// The header of a block that comes next.
    mutating func header(_ tag: ImageRecord.Tag, _ payload: [UInt8]) -> [UInt8] {
        let length = UInt32(payload.count)
        let seed = ImageFormat.seed(index: reserve(1), tag: tag.rawValue, length: length)
        let checksum = Checksum.of(payload, seed: seed)
        link(checksum)
        return Self.blockHeader(tag, length, checksum)
    }

    private mutating func link(_ checksum: UInt64) { chain = Checksum.of(words: [chain, checksum]) }

    private static func blockHeader(_ tag: ImageRecord.Tag, _ length: UInt32, _ checksum: UInt64) -> [UInt8] {
        var header: [UInt8] = []
        header.append(littleEndian: tag.rawValue)
        header.append(littleEndian: length)
        header.append(littleEndian: checksum)
        return header
    }
}
