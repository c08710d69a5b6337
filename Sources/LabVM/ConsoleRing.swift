/// What a guest printed: the last part in memory, all of it up to a bound in a file.
struct ConsoleRing: Sendable {
    static let tailBytes = 64 << 10
    /// A guest that prints for ever must not fill the lab machine's disk.
    static let fileBytes = 8 << 20

    private(set) var bytes: [UInt8] = []
    private(set) var total = 0

    /// Adds output.
    ///
    /// - Returns: How many of these bytes the file may still take.
    mutating func append(_ more: [UInt8]) -> Int {
        let room = max(0, min(more.count, Self.fileBytes - total))
        total += more.count
        bytes += more
        if bytes.count > 2 * Self.tailBytes { bytes.removeFirst(bytes.count - Self.tailBytes) }
        return room
    }

    /// The last lines as text, at most 16 KiB, without control characters but newline and tab.
    var tail: String {
        let clean = bytes.suffix(16 << 10).filter { $0 >= 0x20 || $0 == 0x0a || $0 == 0x09 }
        return String(decoding: clean, as: UTF8.self)
    }

    /// The message of a kernel panic; `nil` when there was none.
    var panic: String? {
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
            guard let start = line.firstIndex(of: "K"), line.contains("Kernel panic - not syncing") else { continue }
            return String(line[start...])
        }
        return nil
    }
}
