/// What a kernel module says about itself in its `.modinfo` section.
struct ModuleInfo: Sendable, Equatable {
    let name: String
    /// Modules that must be loaded before.
    let depends: [String]
    /// Modules that should be loaded before where they exist (`softdep=pre:`).
    let softDepends: [String]

    init(name: String, depends: [String] = [], softDepends: [String] = []) {
        self.name = Self.canonical(name)
        self.depends = depends.map(Self.canonical)
        self.softDepends = softDepends.map(Self.canonical)
    }

    /// Reads the `.modinfo` section of an ELF64 object.
    ///
    /// - Returns: `nil` when the bytes are no such object.
    init?(name: String, object: [UInt8]) {
        guard let section = ELFObject(object)?.section(named: ".modinfo") else { return nil }
        var depends: [String] = []
        var soft: [String] = []
        for entry in object[section].split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let value = String(decoding: entry[(equals + 1)...], as: UTF8.self)
            switch String(decoding: entry[..<equals], as: UTF8.self) {
            case "depends": depends += value.split(separator: ",").map(String.init)
            case "softdep": soft += Self.before(value)
            default: continue
            }
        }
        self.init(name: name, depends: depends, softDepends: soft)
    }

    /// The kernel treats `-` and `_` in module names as the same.
    static func canonical(_ name: String) -> String { name.replacing("-", with: "_") }

    /// The `pre:` part of `pre: a b post: c`.
    private static func before(_ text: String) -> [String] {
        var inPre = false
        var found: [String] = []
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
            if word.hasSuffix(":") { inPre = word == "pre:" } else if inPre { found.append(String(word)) }
        }
        return found
    }
}

/// Just enough of ELF64, little endian, to find a section by name; every offset is checked.
///
/// - Source: `elf(5)`.
struct ELFObject {
    private let bytes: [UInt8]

    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 64, Array(bytes[0..<4]) == [0x7f, 0x45, 0x4c, 0x46], bytes[4] == 2, bytes[5] == 1 else {
            return nil
        }
        self.bytes = bytes
    }

    /// The bytes of a section; `nil` when there is none or the headers point outside the file.
    func section(named name: String) -> Range<Int>? {
        guard let table = number(0x28, 8), let size = number(0x3a, 2), let count = number(0x3c, 2),
            let namesIndex = number(0x3e, 2), size >= 64, let names = content(table + namesIndex * size)
        else { return nil }
        for index in 0..<count {
            let header = table + index * size
            guard let offset = number(header, 4) else { return nil }
            let start = names.lowerBound + offset
            guard start < names.upperBound else { continue }
            let text = bytes[start..<names.upperBound].prefix { $0 != 0 }
            if Array(text) == Array(name.utf8) { return content(header) }
        }
        return nil
    }

    private func content(_ header: Int) -> Range<Int>? {
        guard let offset = number(header + 24, 8), let size = number(header + 32, 8), offset <= bytes.count,
            size <= bytes.count - offset
        else { return nil }
        return offset..<(offset + size)
    }

    /// An unsigned number; `nil` outside the file or when it cannot be an offset.
    private func number(_ at: Int, _ width: Int) -> Int? {
        guard at >= 0, at <= bytes.count - width else { return nil }
        var value: UInt64 = 0
        for index in (0..<width).reversed() { value = value << 8 | UInt64(bytes[at + index]) }
        return value < 1 << 40 ? Int(value) : nil
    }
}
