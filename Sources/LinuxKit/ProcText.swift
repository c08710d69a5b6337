/// Pieces of a text of `/proc`, as bytes: `String` would look for characters in what is only ASCII, and a dump reads
/// several such files for every task.
struct ProcText {
    var bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    /// Hands every line to `body`, without its newline.
    static func lines<Failure: Error>(
        of bytes: [UInt8], _ body: (ProcText) throws(Failure) -> Void
    ) throws(Failure) {
        var start = 0
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\n") {
                if index > start { try body(ProcText(bytes[start..<index])) }
                start = index + 1
            }
            index += 1
        }
        if index > start { try body(ProcText(bytes[start..<index])) }
    }

    /// Words between spaces and tabs.
    var words: [ProcText] {
        var words: [ProcText] = []
        var start = bytes.startIndex
        var index = start
        while index < bytes.endIndex {
            if bytes[index] == 32 || bytes[index] == 9 {
                if index > start { words.append(ProcText(bytes[start..<index])) }
                start = index + 1
            }
            index += 1
        }
        if index > start { words.append(ProcText(bytes[start..<index])) }
        return words
    }

    /// The text before and behind the first `separator`; `nil` without one.
    func cut(at separator: UInt8) -> (before: ProcText, after: ProcText)? {
        guard let place = bytes.firstIndex(of: separator) else { return nil }
        return (ProcText(bytes[..<place]), ProcText(bytes[(place + 1)...]))
    }

    /// Without spaces and tabs at its start.
    var trimmed: ProcText { ProcText(bytes.drop { $0 == 32 || $0 == 9 }) }

    static func == (text: ProcText, other: String) -> Bool { text.bytes.elementsEqual(other.utf8) }

    /// A whole number without sign that fills the text.
    func unsigned(radix: UInt64 = 10) -> UInt64? {
        guard !bytes.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in bytes {
            let digit: UInt64
            switch byte {
            case 0x30...0x39: digit = UInt64(byte - 0x30)
            case 0x61...0x66: digit = UInt64(byte - 0x61 + 10)
            case 0x41...0x46: digit = UInt64(byte - 0x41 + 10)
            default: return nil
            }
            guard digit < radix else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(digit)
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }

    /// A whole number that fills the text.
    func number<Number: FixedWidthInteger>(_ type: Number.Type, radix: UInt64 = 10) -> Number? {
        if bytes.first == UInt8(ascii: "-") {
            guard let magnitude = ProcText(bytes.dropFirst()).unsigned(radix: radix), magnitude < 1 << 63 else {
                return magnitudeOfLowest()
            }
            return Number(exactly: -Int64(magnitude))
        }
        return unsigned(radix: radix).flatMap { Number(exactly: $0) }
    }

    private func magnitudeOfLowest<Number: FixedWidthInteger>() -> Number? {
        self == "-9223372036854775808" ? Number(exactly: Int64.min) : nil
    }

    var string: String { String(decoding: bytes, as: UTF8.self) }
}
