/// The checksum of a frame's payload: four interleaved 64-bit multiply-and-xor lanes, folded to 32 bits.
///
/// Each step is reversible, so a change of any one word always changes the lanes. A CRC would find no more of what
/// happens on a virtio channel, and under TCG its table lookups cost five times the transport itself.
public enum PayloadCheck {
    /// The checksum of some bytes.
    public static func value(_ bytes: [UInt8]) -> UInt32 {
        let prime: UInt64 = 0x9e37_79b9_7f4a_7c15
        var lanes: (UInt64, UInt64, UInt64, UInt64) = (1, 2, 3, UInt64(bytes.count))
        let whole = bytes.count & ~31
        bytes.withUnsafeBytes { buffer in
            // SAFETY: every load of 8 bytes ends at or before `whole`, which is at most the buffer's length.
            var offset = 0
            while offset < whole {
                lanes.0 = (lanes.0 ^ buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* prime
                lanes.1 = (lanes.1 ^ buffer.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)) &* prime
                lanes.2 = (lanes.2 ^ buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt64.self)) &* prime
                lanes.3 = (lanes.3 ^ buffer.loadUnaligned(fromByteOffset: offset + 24, as: UInt64.self)) &* prime
                offset += 32
            }
        }
        for byte in bytes[whole...] { lanes.0 = (lanes.0 ^ UInt64(byte)) &* prime }
        var sum = lanes.0
        for lane in [lanes.1, lanes.2, lanes.3] {
            // High bits carry what multiplication has mixed; the shift brings them down before the next lane comes in.
            sum = (sum ^ sum >> 29 ^ lane) &* prime
        }
        return UInt32(truncatingIfNeeded: sum >> 32)
    }
}
