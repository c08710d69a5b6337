/// SHA-256 (FIPS 180-4).
///
/// A small one of our own: swift-crypto costs 97 s of CPU to build, and a command would cost a process per image. It
/// names content and finds damage; no secret depends on it. Pinned by the standard's vectors and by `sha256sum`.
public struct SHA256: Sendable {
    private var state: InlineArray<8, UInt32> = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    /// Bytes of a block that is not complete.
    private var pending = InlineArray<64, UInt8>(repeating: 0)
    private var pendingCount = 0
    private var total: UInt64 = 0

    public init() {}

    /// The digest of all bytes at once, hexadecimal.
    public static func hex(of bytes: some Sequence<UInt8>) -> String {
        var hash = SHA256()
        hash.update(Array(bytes)[...])
        return hash.finish()
    }

    /// The digest of a text's UTF-8, hexadecimal.
    public static func hex(_ text: String) -> String { hex(of: text.utf8) }

    /// Adds bytes.
    public mutating func update(_ bytes: ArraySlice<UInt8>) {
        total &+= UInt64(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if pendingCount == 0, bytes.endIndex - index >= 64 {
                var words = InlineArray<64, UInt32>(repeating: 0)
                for word in 0..<16 {
                    let at = index + 4 * word
                    words[word] =
                        UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8
                        | UInt32(bytes[at + 3])
                }
                compress(&words)
                index += 64
                continue
            }
            pending[pendingCount] = bytes[index]
            pendingCount += 1
            index += 1
            if pendingCount == 64 { compressPending() }
        }
    }

    /// Ends the message.
    ///
    /// - Returns: 64 hexadecimal digits.
    public mutating func finish() -> String {
        let bits = total &* 8
        update([0x80])
        while pendingCount != 56 { update([0]) }
        update((0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }[...])
        var text = ""
        for index in state.indices {
            let digits = String(state[index], radix: 16)
            text += String(repeating: "0", count: 8 - digits.count) + digits
        }
        return text
    }

    private mutating func compressPending() {
        var words = InlineArray<64, UInt32>(repeating: 0)
        for word in 0..<16 {
            words[word] =
                UInt32(pending[4 * word]) << 24 | UInt32(pending[4 * word + 1]) << 16
                | UInt32(pending[4 * word + 2]) << 8 | UInt32(pending[4 * word + 3])
        }
        compress(&words)
        pendingCount = 0
    }

    private mutating func compress(_ w: inout InlineArray<64, UInt32>) {
        func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value >> count | value << (32 - count) }
        for index in 16..<64 {
            let small0 = rotate(w[index - 15], 7) ^ rotate(w[index - 15], 18) ^ (w[index - 15] >> 3)
            let small1 = rotate(w[index - 2], 17) ^ rotate(w[index - 2], 19) ^ (w[index - 2] >> 10)
            w[index] = w[index - 16] &+ small0 &+ w[index - 7] &+ small1
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in 0..<64 {
            let big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
            let first = h &+ big1 &+ ((e & f) ^ (~e & g)) &+ Self.constants[index] &+ w[index]
            let big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
            let second = big0 &+ ((a & b) ^ (a & c) ^ (b & c))
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
        state[5] &+= f
        state[6] &+= g
        state[7] &+= h
    }

    private static let constants: InlineArray<64, UInt32> = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}
