/// The compressed kernel inside a `bzImage`.
///
/// Booting the extracted ELF spares the guest the unpacking, which under TCG costs from 0.3 s (6.1) to 1 s (6.12).
///
/// - Source: `Documentation/arch/x86/boot.rst`, protocol 2.08 and later.
struct BzImage: Sendable, Equatable {
    /// How the payload is compressed.
    enum Compression: Sendable, Equatable {
        case gzip, xz, lz4, zstd, none
    }

    let compression: Compression
    /// Where the payload lies in the file, bytes.
    let payload: Range<Int>
    /// What `uname -r` will say; `nil` when the header does not tell.
    let release: String?

    /// - Returns: `nil` when the bytes are no bzImage of a protocol that names its payload.
    init?(_ file: [UInt8]) {
        guard file.count > 0x250, Array(file[0x202..<0x206]) == Array("HdrS".utf8) else { return nil }
        let version = Int(file[0x206]) | Int(file[0x207]) << 8
        guard version >= 0x208 else { return nil }
        let setupSectors = file[0x1f1] == 0 ? 4 : Int(file[0x1f1])
        let start = (setupSectors + 1) * 512 + Self.word(file, 0x248)
        let end = start + Self.word(file, 0x24c)
        guard end > start + 8, end <= file.count else { return nil }
        switch (file[start], file[start + 1]) {
        case (0x1f, 0x8b): compression = .gzip
        case (0xfd, 0x37): compression = .xz
        case (0x02, 0x21): compression = .lz4
        case (0x28, 0xb5): compression = .zstd
        case (0x7f, 0x45): compression = .none
        default: return nil
        }
        let text = 0x200 + Int(file[0x20e]) + Int(file[0x20f]) << 8
        let banner = file[min(text, file.count)...].prefix(256).prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        release = text == 0x200 || banner.isEmpty ? nil : String(decoding: banner, as: UTF8.self)
        // The build appends the unpacked size in four bytes, except to gzip, which carries it already.
        payload = start..<(compression == .gzip || compression == .none ? end : end - 4)
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> Int {
        Int(bytes[at]) | Int(bytes[at + 1]) << 8 | Int(bytes[at + 2]) << 16 | Int(bytes[at + 3]) << 24
    }
}
