/// One record of `/dev/kmsg`.
struct KernelMessage: Sendable, Hashable {
    /// 0 emergency … 7 debug.
    var level: Int
    /// Without time stamp and continuation lines.
    var text: String

    /// Reads a record: `6,339,5140900,-;text`, then continuation lines that start with a space.
    ///
    /// - Returns: `nil` when the bytes are no record.
    /// - Source: `Documentation/ABI/testing/dev-kmsg`.
    init?(record: [UInt8]) {
        guard let semicolon = record.firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let prefix = String(decoding: record[..<semicolon], as: UTF8.self)
        guard let first = prefix.split(separator: ",").first, let priority = Int(first) else { return nil }
        level = priority & 7
        let line = record[(semicolon + 1)...].prefix { $0 != UInt8(ascii: "\n") }
        text = String(decoding: line, as: UTF8.self)
    }

    init(level: Int, text: String) {
        self.level = level
        self.text = text
    }

    /// The taint that this message means, whenever it comes; `nil` for none.
    var taint: String? {
        let patterns: [(String, String)] = [
            ("BUG: ", "oops"), ("kernel BUG at", "oops"), ("Oops: ", "oops"), ("Kernel panic", "oops"),
            ("soft lockup", "lockup"), ("detected stalls", "lockup"), ("self-detected stall", "lockup"),
            (" blocked for more than ", "hung-task"), ("Out of memory: ", "out-of-memory"),
            ("EXT4-fs error", "disk"), ("I/O error, dev ", "disk"),
        ]
        if text.hasPrefix("traps: ") { return nil }
        return patterns.first { text.contains($0.0) }?.1
    }

    /// The taint that it means when it comes during an operation: a kernel may boot with a WARNING and work, but one that
    /// an operation brings about leaves nobody sure of what comes after.
    var operationTaint: String? { taint ?? (text.hasPrefix("WARNING: ") ? "warning" : nil) }
}
