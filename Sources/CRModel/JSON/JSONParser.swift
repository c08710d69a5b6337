/// Reads JSON text that may come from a guest or a damaged file: never traps, bounded depth, exact offsets in errors.
public struct JSONParser {
    /// Deeper nesting than any crlab document has; keeps hostile input from exhausting the stack.
    public static let maximumDepth = 64

    private let bytes: [UInt8]
    private var offset = 0

    private init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Parses one whole document.
    ///
    /// - Parameter bytes: UTF-8; invalid sequences in strings become U+FFFD.
    public static func parse(_ bytes: some Sequence<UInt8>) throws(JSONError) -> JSONValue {
        var parser = JSONParser(Array(bytes))
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.offset == parser.bytes.count else {
            throw .syntax(offset: parser.offset, expected: "the end of the text")
        }
        return value
    }

    /// Parses one whole document.
    public static func parse(_ text: String) throws(JSONError) -> JSONValue {
        try parse(text.utf8)
    }

    private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { offset += 1 }
    }

    private mutating func take(_ literal: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let text = "\(literal)".utf8
        guard bytes.count - offset >= text.count, bytes[offset..<(offset + text.count)].elementsEqual(text) else {
            throw .syntax(offset: offset, expected: "\(literal)")
        }
        offset += text.count
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < Self.maximumDepth else { throw .tooDeep(offset: offset) }
        skipSpace()
        switch current {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try take("true", .bool(true))
        case UInt8(ascii: "f"): return try take("false", .bool(false))
        case UInt8(ascii: "n"): return try take("null", .null)
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return try number()
        default: throw .syntax(offset: offset, expected: "a value")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        var members: [String: JSONValue] = [:]
        offset += 1
        skipSpace()
        if current == UInt8(ascii: "}") {
            offset += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard current == UInt8(ascii: "\"") else { throw .syntax(offset: offset, expected: "a member name") }
            let key = try string()
            skipSpace()
            guard current == UInt8(ascii: ":") else { throw .syntax(offset: offset, expected: "':'") }
            offset += 1
            members[key] = try value(depth: depth + 1)
            skipSpace()
            switch current {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "}"):
                offset += 1
                return .object(members)
            default: throw .syntax(offset: offset, expected: "',' or '}'")
            }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        offset += 1
        skipSpace()
        if current == UInt8(ascii: "]") {
            offset += 1
            return .array(elements)
        }
        while true {
            elements.append(try value(depth: depth + 1))
            skipSpace()
            switch current {
            case UInt8(ascii: ","): offset += 1
            case UInt8(ascii: "]"):
                offset += 1
                return .array(elements)
            default: throw .syntax(offset: offset, expected: "',' or ']'")
            }
        }
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        while let byte = current, "+-.eE0123456789".utf8.contains(byte) { offset += 1 }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if let value = Int64(text) { return .integer(value) }
        if let value = UInt64(text) { return .unsigned(value) }
        if let value = Double(text), value.isFinite { return .number(value) }
        throw .syntax(offset: start, expected: "a number")
    }

    private mutating func string() throws(JSONError) -> String {
        offset += 1
        var text: [UInt8] = []
        while let byte = current {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw .syntax(offset: offset - 1, expected: "an escaped control character")
            default: text.append(byte)
            }
        }
        throw .syntax(offset: offset, expected: "'\"'")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
        guard let byte = current else { throw .syntax(offset: offset, expected: "an escape") }
        offset += 1
        switch byte {
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "u"):
            var code = try hex4()
            if (0xd800..<0xdc00).contains(code), current == UInt8(ascii: "\\"),
                offset + 1 < bytes.count, bytes[offset + 1] == UInt8(ascii: "u")
            {
                offset += 2
                let low = try hex4()
                guard (0xdc00..<0xe000).contains(low) else {
                    throw .syntax(offset: offset, expected: "a low surrogate")
                }
                code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
            }
            text.append(contentsOf: String(Unicode.Scalar(code) ?? "\u{fffd}").utf8)
        default: throw .syntax(offset: offset - 1, expected: "an escape")
        }
    }

    private mutating func hex4() throws(JSONError) -> UInt32 {
        guard bytes.count - offset >= 4,
            let code = UInt32(String(decoding: bytes[offset..<(offset + 4)], as: UTF8.self), radix: 16)
        else { throw .syntax(offset: offset, expected: "four hexadecimal digits") }
        offset += 4
        return code
    }
}
