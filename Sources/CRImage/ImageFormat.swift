/// Numbers of the format; the layout is in this module's README.
public enum ImageFormat {
    /// `CRLABIMG`.
    static let magic: [UInt8] = [0x43, 0x52, 0x4c, 0x41, 0x42, 0x49, 0x4d, 0x47]
    /// What this build writes.
    public static let version: UInt32 = 5
    /// What this build reads.
    public static let readableVersions: ClosedRange<UInt32> = 5...5
    /// Magic, version, a reserved word that is 0.
    static let preambleBytes = 16
    /// Tag, length, checksum.
    static let blockHeaderBytes = 16
    /// Target, 1 for inherited pages or else 0, start, zeros; then the pages.
    static let runHeaderBytes = 48
    /// Pages begin at multiples of this, a cache line: the kernel copies others a fifth slower. So the metadata ends at one,
    /// and what stands in front of pages has this length.
    static let pageAlignment = blockHeaderBytes + runHeaderBytes
    /// Number of records, chain; then zeros up to ``pageAlignment``.
    static let metadataEndBytes = 16
    /// The largest record: an address space with the kernel's default of 65,530 VMAs takes 4 MB.
    public static let maximumRecordBytes = 64 << 20
    /// The most bytes of pages in one run.
    public static let maximumRunBytes = 4 << 20
    /// Pages are of this size, on every x86-64 kernel.
    public static let pageBytes = 4096

    /// The zeros behind `metadataEnd` when its block begins at `place`.
    static func padding(ofMetadataEndAt place: UInt64) -> Int {
        let end = Int(place % UInt64(pageAlignment)) + blockHeaderBytes + metadataEndBytes
        return (pageAlignment - end % pageAlignment) % pageAlignment
    }

    /// The seed of a block's checksum: it binds the block to its place, type and length.
    static func seed(index: UInt64, tag: UInt32, length: UInt32) -> UInt64 {
        Checksum.of(words: [index, UInt64(tag) | UInt64(length) << 32])
    }
}

extension Array where Element == UInt8 {
    mutating func append<Number: FixedWidthInteger>(littleEndian value: Number) {
        for index in 0..<(Number.bitWidth / 8) { append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }

    /// The number at `offset`.
    /// - Precondition: The array holds all its bytes.
    func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number {
        var value: Number = 0
        for index in (0..<(Number.bitWidth / 8)).reversed() {
            value = (value << 8) | Number(truncatingIfNeeded: self[offset + index])
        }
        return value
    }
}
