/// Text of other programs, kept to a bounded length: its start, where causes are, and its end, where consequences are.
public enum BoundedText {
    /// Kept at each end of a log.
    public static let logEndBytes = 32 << 10

    /// The first and the last `endBytes` bytes, with a mark between when something was left out.
    public static func ends(of bytes: [UInt8], endBytes: Int = logEndBytes) -> String {
        guard bytes.count > 2 * endBytes else { return String(decoding: bytes, as: UTF8.self) }
        return String(decoding: bytes.prefix(endBytes), as: UTF8.self)
            + "\n[… \(bytes.count - 2 * endBytes) bytes left out …]\n"
            + String(decoding: bytes.suffix(endBytes), as: UTF8.self)
    }

    /// Kept of the lines between the ends that tell of an error.
    static let errorBytes = 16 << 10

    /// Like ``ends(of:endBytes:)``, with the lines that say `error` of the part that is left out: a verbose log has its
    /// cause anywhere.
    public static func log(of bytes: [UInt8], endBytes: Int = logEndBytes) -> String {
        guard bytes.count > 2 * endBytes else { return String(decoding: bytes, as: UTF8.self) }
        var errors = ""
        for line in bytes[endBytes..<(bytes.count - endBytes)].split(separator: UInt8(ascii: "\n")) {
            guard errors.utf8.count < errorBytes else { break }
            let text = String(decoding: line.prefix(1024), as: UTF8.self)
            if text.contains("Error") || text.contains("error") { errors += text + "\n" }
        }
        return String(decoding: bytes.prefix(endBytes), as: UTF8.self)
            + "\n[… \(bytes.count - 2 * endBytes) bytes left out, but for these lines …]\n" + errors + "[…]\n"
            + String(decoding: bytes.suffix(endBytes), as: UTF8.self)
    }

    /// The last `count` bytes.
    public static func tail(of bytes: [UInt8], bytes count: Int) -> String {
        String(decoding: bytes.suffix(count), as: UTF8.self)
    }

    /// Several texts under their titles; empty ones are left out, and a single one stands without its title.
    public static func joined(_ parts: [(title: String, text: String)]) -> String {
        let parts = parts.filter { !$0.text.isEmpty }
        if parts.count == 1 { return parts[0].text }
        return parts.map { "[\($0.title)]\n\($0.text)" + ($0.text.hasSuffix("\n") ? "" : "\n") }.joined()
    }
}
