/// CRC-32 as in IEEE 802.3 (polynomial 0xEDB88320, reflected), eight bytes at a step.
///
/// A guest under TCG checks every byte that it sends, so the table is the eight-way one: one byte at a step would be
/// slower than the channel itself.
public struct CRC32: Sendable {
    private var state: UInt32 = 0xffff_ffff

    /// The checksum of no bytes, to be continued by ``update(_:)``.
    public init() {}

    /// The checksum of some bytes.
    public init(_ bytes: [UInt8]) {
        update(bytes)
    }

    /// The checksum so far.
    public var value: UInt32 { ~state }

    /// Continues with more bytes.
    public mutating func update(_ bytes: [UInt8]) { update(bytes[...]) }

    /// Continues with more bytes.
    public mutating func update(_ bytes: ArraySlice<UInt8>) {
        var crc = state
        let table = Self.table
        bytes.withUnsafeBufferPointer { bytes in
            // SAFETY: `index` stays below `count`, and every table index is a byte plus a multiple of 256 below 2048.
            table.withUnsafeBufferPointer { table in
                var index = 0
                let count = bytes.count
                while index + 8 <= count {
                    let low = crc ^ Self.word(bytes, index)
                    let high = Self.word(bytes, index + 4)
                    crc = table[1792 + Int(low & 0xff)] ^ table[1536 + Int(low >> 8 & 0xff)]
                    crc ^= table[1280 + Int(low >> 16 & 0xff)] ^ table[1024 + Int(low >> 24)]
                    crc ^= table[768 + Int(high & 0xff)] ^ table[512 + Int(high >> 8 & 0xff)]
                    crc ^= table[256 + Int(high >> 16 & 0xff)] ^ table[Int(high >> 24)]
                    index += 8
                }
                while index < count {
                    crc = table[Int((crc ^ UInt32(bytes[index])) & 0xff)] ^ crc >> 8
                    index += 1
                }
            }
        }
        state = crc
    }

    private static func word(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> UInt32 {
        UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
            | UInt32(bytes[index + 3]) << 24
    }

    private static let table: [UInt32] = {
        var table = [UInt32](repeating: 0, count: 2048)
        for index in 0..<256 {
            var crc = UInt32(index)
            for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0xedb8_8320 }
            table[index] = crc
        }
        for index in 256..<2048 {
            let before = table[index - 256]
            table[index] = before >> 8 ^ table[Int(before & 0xff)]
        }
        return table
    }()
}
