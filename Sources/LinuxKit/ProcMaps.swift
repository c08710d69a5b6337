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
    public var flags: Set<String> = []
    /// Size of the pages that back it, in bytes; 0 when read from maps.
    public var kernelPageBytes: UInt64 = 0
    /// Whether some of its pages are transparent huge ones.
    public var hasHugePages = false
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

/// Parsers for text of `/proc`. Text in, values out; nothing is read here.
public enum ProcParser {
    /// The mappings of `/proc/PID/maps` or `/proc/PID/smaps`, in order of address.
    public static func mappings(_ text: String, file: String = "maps") throws(LinuxError) -> [Mapping] {
        var mappings: [Mapping] = []
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            guard let first = line.first else { continue }
            // Detail lines of smaps begin with a capital letter, headers with a hexadecimal digit in lower case.
            if first >= UInt8(ascii: "A"), first <= UInt8(ascii: "Z") {
                guard !mappings.isEmpty else { throw .malformed(file, why: "details before any mapping") }
                let words = line.split(separator: UInt8(ascii: " "))
                if words[0].elementsEqual("VmFlags:".utf8) {
                    mappings[mappings.count - 1].flags = Set(
                        words.dropFirst().map { String(decoding: $0, as: UTF8.self) })
                } else if words[0].elementsEqual("AnonHugePages:".utf8), words.count > 1 {
                    mappings[mappings.count - 1].hasHugePages = !words[1].elementsEqual("0".utf8)
                } else if words[0].elementsEqual("ProtectionKey:".utf8), words.count > 1 {
                    mappings[mappings.count - 1].protectionKey = Int(String(decoding: words[1], as: UTF8.self)) ?? 0
                } else if words[0].elementsEqual("KernelPageSize:".utf8), words.count > 1 {
                    mappings[mappings.count - 1].kernelPageBytes =
                        (UInt64(String(decoding: words[1], as: UTF8.self)) ?? 0) * 1024
                }
                continue
            }
            guard let mapping = mapping(String(decoding: line, as: UTF8.self)) else {
                throw .malformed(file, why: "line '\(String(decoding: line, as: UTF8.self))'")
            }
            mappings.append(mapping)
        }
        return mappings
    }

    /// `start-end perms offset major:minor inode   name`.
    static func mapping(_ line: String) -> Mapping? {
        let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        guard words.count >= 5, words[1].utf8.count == 4 else { return nil }
        let range = words[0].split(separator: "-")
        let device = words[3].split(separator: ":")
        guard range.count == 2, device.count == 2, let start = UInt64(range[0], radix: 16),
            let end = UInt64(range[1], radix: 16), start < end, let offset = UInt64(words[2], radix: 16),
            let major = UInt64(device[0], radix: 16), let minor = UInt64(device[1], radix: 16),
            let inode = UInt64(words[4])
        else { return nil }
        let permissions = Array(words[1].utf8)
        var protection: Mapping.Protection = []
        if permissions[0] == UInt8(ascii: "r") { protection.insert(.read) }
        if permissions[1] == UInt8(ascii: "w") { protection.insert(.write) }
        if permissions[2] == UInt8(ascii: "x") { protection.insert(.execute) }
        var name = ""
        if words.count == 6 { name = unescape(String(words[5].drop { $0 == " " }), only: "012") }
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
