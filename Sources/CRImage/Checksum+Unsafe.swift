/// XXH64, the 64-bit member of the xxHash family: fast on one core without special instructions, so that the same code
/// runs on every CPU that the lab emulates.
///
/// It finds damage by accident. It does not withstand someone who forges an image.
///
/// - Source: the algorithm's published specification (xxhash_spec), section XXH64.
public enum Checksum {
    private static let prime1: UInt64 = 0x9e37_79b1_85eb_ca87
    private static let prime2: UInt64 = 0xc2b2_ae3d_27d4_eb4f
    private static let prime3: UInt64 = 0x1656_67b1_9e37_79f9
    private static let prime4: UInt64 = 0x85eb_ca77_c2b2_ae63
    private static let prime5: UInt64 = 0x27d4_eb2f_1656_67c5

    @inline(__always)
    private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
        (value &<< count) | (value &>> (64 &- count))
    }

    @inline(__always)
    private static func round(_ lane: UInt64, _ input: UInt64) -> UInt64 {
        rotate(lane &+ (input &* prime2), 31) &* prime1
    }

    @inline(__always)
    private static func merge(_ hash: UInt64, _ lane: UInt64) -> UInt64 {
        ((hash ^ round(0, lane)) &* prime1) &+ prime4
    }

    /// The checksum of `bytes`.
    public static func of(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 {
        bytes.withUnsafeBytes { of($0, seed: seed) }
    }

    /// The checksum of little-endian words.
    public static func of(words: [UInt64], seed: UInt64 = 0) -> UInt64 {
        words.map(\.littleEndian).withUnsafeBytes { of($0, seed: seed) }
    }

    /// The checksum of `buffer`.
    public static func of(_ buffer: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
        let count = buffer.count
        var offset = 0
        var hash: UInt64
        if count >= 32 {
            var a = seed &+ prime1 &+ prime2
            var b = seed &+ prime2
            var c = seed
            var d = seed &- prime1
            // SAFETY: every load ends at or before `count`, which the loop condition keeps; loads may be unaligned.
            while offset &+ 32 <= count {
                a = round(a, UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                b = round(b, UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)))
                c = round(c, UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset &+ 16, as: UInt64.self)))
                d = round(d, UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset &+ 24, as: UInt64.self)))
                offset &+= 32
            }
            hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
            hash = merge(merge(merge(merge(hash, a), b), c), d)
        } else {
            hash = seed &+ prime5
        }
        hash = hash &+ UInt64(count)
        while offset &+ 8 <= count {
            // SAFETY: eight bytes are left.
            let input = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            hash = (rotate(hash ^ round(0, input), 27) &* prime1) &+ prime4
            offset &+= 8
        }
        if offset &+ 4 <= count {
            // SAFETY: four bytes are left.
            let input = UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            hash = (rotate(hash ^ (UInt64(input) &* prime1), 23) &* prime2) &+ prime3
            offset &+= 4
        }
        while offset < count {
            hash = rotate(hash ^ (UInt64(buffer[offset]) &* prime5), 11) &* prime1
            offset &+= 1
        }
        hash ^= hash &>> 33
        hash = hash &* prime2
        hash ^= hash &>> 29
        hash = hash &* prime3
        hash ^= hash &>> 32
        return hash
    }
}
