/// One VMA as `/proc/PID/smaps` or `/proc/PID/maps` prints it.
public struct Mapping: Sendable, Hashable {
    public struct Protection: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let read = Protection(rawValue: 1)
        public static let write = Protection(rawValue: 2)
        public static let execute = Protection(rawValue: 4)
    }

    public var start: UInt64
    public var end: UInt64
    public var protection: Protection
    public var isShared: Bool
    public var fileOffset: UInt64
    public var device: UInt64
    public var inode: UInt64
    /// As printed, `[heap]` and ` (deleted)` included; empty for anonymous memory.
    public var name: String
    /// Two-letter flags of smaps (`gd`, `ht`, `dd`); empty when read from maps.
    public var flags = MappingFlags()
    /// Size of the pages that back it, in bytes; 0 when read from maps.
    public var kernelPageBytes: UInt64 = 0
    /// Whether it has private pages with content, in memory or in swap; huge pages (hugetlbfs) are not counted.
    public var hasAnonymousPages = false
    /// Whether some of its pages are transparent huge ones.
    public var hasHugePages = false
    /// Whether some of its pages were used since `/proc/PID/clear_refs` was written; huge pages (hugetlbfs) and the zero
    /// page are not counted.
    public var isReferenced = false
    /// Memory protection key; 0 for none.
    public var protectionKey = 0

    /// Bytes from start to end.
    public var sizeBytes: UInt64 { end - start }
    /// Device and inode of the mapped file; `nil` for anonymous memory and the kernel's own pages.
    public var file: FileIdentity? { inode == 0 ? nil : FileIdentity(device: device, inode: inode) }
    /// The name without the kernel's ` (deleted)`.
    public var path: String { isDeleted ? String(name.dropLast(10)) : name }
    public var isDeleted: Bool { name.hasSuffix(" (deleted)") }
}

/// The two-letter flags of a mapping, in the order of smaps.
public struct MappingFlags: Sendable, Hashable, ExpressibleByArrayLiteral {
    /// Both letters, the first one in the low byte.
    private var codes: [UInt16] = []

    public init() {}
    public init(arrayLiteral names: String...) { codes = names.map { Self.code($0) } }

    init(_ words: ArraySlice<ProcText>) {
        codes.reserveCapacity(words.count)
        for word in words where word.bytes.count == 2 {
            codes.append(UInt16(word.bytes[word.bytes.startIndex]) | UInt16(word.bytes[word.bytes.startIndex + 1]) << 8)
        }
    }

    private static func code(_ name: String) -> UInt16 {
        var bytes = name.utf8.makeIterator()
        return UInt16(bytes.next() ?? 0) | UInt16(bytes.next() ?? 0) << 8
    }

    public var isEmpty: Bool { codes.isEmpty }
    public func contains(_ name: String) -> Bool { codes.contains(Self.code(name)) }
}

/// Parsers for text of `/proc`. Text in, values out; nothing is read here.
public enum ProcParser {
    /// The mappings of `/proc/PID/maps` or `/proc/PID/smaps`, in order of address.
    public static func mappings(_ text: String, file: String = "maps") throws(LinuxError) -> [Mapping] {
        try mappings(Array(text.utf8), file: file)
    }

    /// The mappings of `/proc/PID/maps` or `/proc/PID/smaps`, in order of address.
    public static func mappings(_ bytes: [UInt8], file: String = "maps") throws(LinuxError) -> [Mapping] {
        var mappings: [Mapping] = []
        try ProcText.lines(of: bytes) { line throws(LinuxError) in
            // Detail lines of smaps begin with a capital letter, headers with a hexadecimal digit in lower case.
            guard let first = line.bytes.first, first >= UInt8(ascii: "A"), first <= UInt8(ascii: "Z") else {
                guard let mapping = mapping(line) else { throw .malformed(file, why: "line '\(line.string)'") }
                mappings.append(mapping)
                return
            }
            guard let last = mappings.indices.last else { throw .malformed(file, why: "details before any mapping") }
            // Seven of some twenty details are wanted.
            switch first {
            case UInt8(ascii: "A"), UInt8(ascii: "K"), UInt8(ascii: "V"): break
            // ProtectionKey and Swap, of many that begin alike.
            case UInt8(ascii: "P") where line.bytes.dropFirst().first == UInt8(ascii: "r"): break
            case UInt8(ascii: "R") where line.bytes.dropFirst().first == UInt8(ascii: "e"): break
            case UInt8(ascii: "S") where line.bytes.dropFirst().first == UInt8(ascii: "w"): break
            default: return
            }
            if line.bytes.starts(with: "VmFlags:".utf8) {
                mappings[last].flags = MappingFlags(line.words.dropFirst())
            } else if line.bytes.starts(with: "Anonymous:".utf8) || line.bytes.starts(with: "Swap:".utf8) {
                if line.words.dropFirst().first?.unsigned() != 0 { mappings[last].hasAnonymousPages = true }
            } else if line.bytes.starts(with: "Referenced:".utf8) {
                mappings[last].isReferenced = line.words.dropFirst().first?.unsigned() != 0
            } else if line.bytes.starts(with: "AnonHugePages:".utf8) {
                mappings[last].hasHugePages = line.words.dropFirst().first?.unsigned() != 0
            } else if line.bytes.starts(with: "ProtectionKey:".utf8) {
                mappings[last].protectionKey = line.words.dropFirst().first?.number(Int.self) ?? 0
            } else if line.bytes.starts(with: "KernelPageSize:".utf8) {
                mappings[last].kernelPageBytes = (line.words.dropFirst().first?.unsigned() ?? 0) * 1024
            }
        }
        return mappings
    }

    /// `start-end perms offset major:minor inode   name`.
    static func mapping(_ line: ProcText) -> Mapping? {
        let words = line.words
        guard words.count >= 5, words[1].bytes.count == 4, let range = words[0].cut(at: UInt8(ascii: "-")),
            let device = words[3].cut(at: UInt8(ascii: ":")), let start = range.before.unsigned(radix: 16),
            let end = range.after.unsigned(radix: 16), start < end, let offset = words[2].unsigned(radix: 16),
            let major = device.before.unsigned(radix: 16), let minor = device.after.unsigned(radix: 16),
            let inode = words[4].unsigned()
        else { return nil }
        let permissions = Array(words[1].bytes)
        var protection: Mapping.Protection = []
        if permissions[0] == UInt8(ascii: "r") { protection.insert(.read) }
        if permissions[1] == UInt8(ascii: "w") { protection.insert(.write) }
        if permissions[2] == UInt8(ascii: "x") { protection.insert(.execute) }
        var name = ""
        // A name may hold spaces: all of the line behind the inode.
        if words.count > 5 {
            name = unescape(String(decoding: line.bytes[words[5].bytes.startIndex...], as: UTF8.self), only: "012")
        }
        return Mapping(
            start: start, end: end, protection: protection, isShared: permissions[3] == UInt8(ascii: "s"),
            fileOffset: offset, device: major << 32 | minor, inode: inode, name: name)
    }

    /// Replaces `\ooo` by the byte it stands for.
    ///
    /// - Parameter only: The one code that the file escapes; `nil` for every code. `maps` escapes newlines alone, so a
    ///   name with a real `\040` in it must stay.
    public static func unescape(_ text: String, only: String? = nil) -> String {
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count {
                let digits = String(decoding: bytes[(index + 1)...(index + 3)], as: UTF8.self)
                if only == nil || only == digits, let value = UInt8(digits, radix: 8) {
                    result.append(value)
                    index += 4
                    continue
                }
            }
            result.append(bytes[index])
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }
}
