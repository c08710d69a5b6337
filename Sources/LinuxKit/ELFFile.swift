/// A 64-bit little-endian ELF file, read from its bytes.
///
/// Only tables are looked at, nothing is loaded. Every offset comes from the file and is checked, so that damaged files
/// give fewer symbols and never a trap.
///
/// - Source: `elf(5)`.
public struct ELFFile: Sendable {
    /// A named address.
    public struct Symbol: Sendable, Hashable {
        public var name: String
        /// As in the file; add the load bias for a running program.
        public var address: UInt64
        public var sizeBytes: UInt64
        public var isFunction: Bool
        /// Resolved at start by code (STT_GNU_IFUNC).
        public var isIndirect: Bool
    }

    /// A part of the file that is mapped.
    public struct Segment: Sendable, Hashable {
        public var type: UInt32
        /// PF_X 1, PF_W 2, PF_R 4.
        public var flags: UInt32
        public var fileOffset: UInt64
        public var address: UInt64
        public var fileBytes: UInt64
        public var memoryBytes: UInt64
    }

    struct Section {
        var name: UInt32
        var type: UInt32
        var address: UInt64
        var offset: UInt64
        var size: UInt64
        var link: UInt32
        var entrySize: UInt64
    }

    let bytes: [UInt8]
    public let segments: [Segment]
    let sections: [Section]
    /// ET_EXEC 2, ET_DYN 3.
    public let type: UInt16
    public let entry: UInt64

    /// Reads the headers.
    ///
    /// - Throws: `LinuxError.malformed` when this is no 64-bit little-endian ELF file.
    public init(_ bytes: [UInt8], name: String = "ELF file") throws(LinuxError) {
        guard bytes.count >= 64, bytes[0] == 0x7f, bytes[1] == 0x45, bytes[2] == 0x4c, bytes[3] == 0x46 else {
            throw .malformed(name, why: "it has no ELF magic")
        }
        guard bytes[4] == 2, bytes[5] == 1 else { throw .malformed(name, why: "not 64-bit little-endian") }
        self.bytes = bytes
        type = UInt16(Self.number(bytes, 16, 2))
        entry = Self.number(bytes, 24, 8)
        let programOffset = Self.number(bytes, 32, 8)
        let sectionOffset = Self.number(bytes, 40, 8)
        let programSize = Self.number(bytes, 54, 2)
        let sectionSize = Self.number(bytes, 58, 2)
        var segments: [Segment] = []
        if programSize >= 56 {
            for index in 0..<Self.number(bytes, 56, 2) {
                guard let at = Self.position(programOffset, index, programSize, 56, in: bytes) else { break }
                segments.append(
                    Segment(
                        type: UInt32(Self.number(bytes, at, 4)), flags: UInt32(Self.number(bytes, at + 4, 4)),
                        fileOffset: Self.number(bytes, at + 8, 8), address: Self.number(bytes, at + 16, 8),
                        fileBytes: Self.number(bytes, at + 32, 8), memoryBytes: Self.number(bytes, at + 40, 8)))
            }
        }
        var sections: [Section] = []
        if sectionSize >= 64 {
            for index in 0..<Self.number(bytes, 60, 2) {
                guard let at = Self.position(sectionOffset, index, sectionSize, 64, in: bytes) else { break }
                sections.append(
                    Section(
                        name: UInt32(Self.number(bytes, at, 4)), type: UInt32(Self.number(bytes, at + 4, 4)),
                        address: Self.number(bytes, at + 16, 8), offset: Self.number(bytes, at + 24, 8),
                        size: Self.number(bytes, at + 32, 8), link: UInt32(Self.number(bytes, at + 40, 4)),
                        entrySize: Self.number(bytes, at + 56, 8)))
            }
        }
        self.segments = segments
        self.sections = sections
    }

    /// The lowest mapped address, rounded down to a page: what a mapping's start minus this gives is the load bias.
    public var lowestAddress: UInt64 {
        (segments.filter { $0.type == 1 }.map(\.address).min() ?? 0) & ~4095
    }

    /// The address in the file's own terms of a byte at `fileOffset`; `nil` when no segment maps it.
    public func address(ofFileOffset fileOffset: UInt64) -> UInt64? {
        for segment in segments where segment.type == 1 {
            if fileOffset >= segment.fileOffset, fileOffset - segment.fileOffset < segment.fileBytes {
                return segment.address &+ (fileOffset - segment.fileOffset)
            }
        }
        return nil
    }

    /// All defined symbols of `.symtab` and `.dynsym`, or of the dynamic segment when section headers are stripped.
    public var symbols: [Symbol] {
        var found: [Symbol] = []
        for section in sections where section.type == 2 || section.type == 11 {
            guard Int(section.link) < sections.count else { continue }
            let strings = sections[Int(section.link)]
            found += symbols(at: section.offset, bytes: section.size, stringsAt: strings.offset, strings.size)
        }
        return found
    }

    /// The symbol that holds `address`, or the nearest one below it in the same kind of code.
    ///
    /// - Parameter address: In the file's own terms (load bias taken off).
    /// - Returns: The symbol and the distance in bytes; `nil` when no symbol lies at or below.
    public func nearestSymbol(to address: UInt64) -> (symbol: Symbol, distance: UInt64)? {
        var best: Symbol?
        for symbol in symbols where symbol.address <= address && !symbol.name.isEmpty {
            if let current = best {
                let better =
                    symbol.address > current.address
                    || (symbol.address == current.address && symbol.isFunction && !current.isFunction)
                if !better { continue }
            }
            best = symbol
        }
        return best.map { ($0, address - $0.address) }
    }

    /// The GNU build ID in hexadecimal; `nil` when the file carries none.
    public var buildID: String? {
        var notes = segments.filter { $0.type == 4 }.map { ($0.fileOffset, $0.fileBytes) }
        notes += sections.filter { $0.type == 7 }.map { ($0.offset, $0.size) }
        for (start, length) in notes {
            guard start <= UInt64(bytes.count), length <= UInt64(bytes.count) - start else { continue }
            var at = Int(start)
            let end = Int(start + length)
            while at + 12 <= end {
                let nameBytes = Int(Self.number(bytes, at, 4))
                let valueBytes = Int(Self.number(bytes, at + 4, 4))
                let kind = Self.number(bytes, at + 8, 4)
                let name = at + 12
                let value = name + (nameBytes + 3) / 4 * 4
                guard value + valueBytes <= end else { break }
                if kind == 3, nameBytes == 4, Array(bytes[name..<(name + 4)]) == Array("GNU\0".utf8) {
                    return bytes[value..<(value + valueBytes)].map { hexadecimal($0) }.joined()
                }
                at = value + (valueBytes + 3) / 4 * 4
            }
        }
        return nil
    }

    private func symbols(at offset: UInt64, bytes size: UInt64, stringsAt strings: UInt64, _ stringBytes: UInt64)
        -> [Symbol]
    {
        guard offset <= UInt64(bytes.count), strings <= UInt64(bytes.count) else { return [] }
        let end = min(offset &+ size < offset ? offset : offset + size, UInt64(bytes.count))
        let stringEnd = Int(
            min(strings &+ stringBytes < strings ? strings : strings + stringBytes, UInt64(bytes.count)))
        var found: [Symbol] = []
        var at = Int(offset)
        while at + 24 <= Int(end) {
            let info = bytes[at + 4]
            let kind = info & 0xf
            // Undefined symbols, section and file names tell nothing about an address.
            if Self.number(bytes, at + 6, 2) != 0, kind == 0 || kind == 1 || kind == 2 || kind == 10 {
                let nameAt = Int(strings) + Int(Self.number(bytes, at, 4))
                if nameAt < stringEnd {
                    let name = String(decoding: bytes[nameAt..<stringEnd].prefix { $0 != 0 }, as: UTF8.self)
                    found.append(
                        Symbol(
                            name: name, address: Self.number(bytes, at + 8, 8),
                            sizeBytes: Self.number(bytes, at + 16, 8),
                            isFunction: kind == 2 || kind == 10, isIndirect: kind == 10))
                }
            }
            at += 24
        }
        return found
    }

    private static func position(
        _ table: UInt64, _ index: UInt64, _ size: UInt64, _ needed: Int, in bytes: [UInt8]
    ) -> Int? {
        guard table <= UInt64(bytes.count) else { return nil }
        let at = table + index * size
        return at + UInt64(needed) <= UInt64(bytes.count) ? Int(at) : nil
    }

    private static func number(_ bytes: [UInt8], _ at: Int, _ count: Int) -> UInt64 {
        guard at >= 0, at + count <= bytes.count else { return 0 }
        return (0..<count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[at + $1]) }
    }
}

func hexadecimal(_ byte: UInt8) -> String { byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16) }
