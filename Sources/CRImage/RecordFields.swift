internal import CRModel

/// A value that is stored in an image: it lists its fields once, and that list writes it, reads it and shows it.
public protocol ImageValue: Sendable, Hashable {
    /// An empty value, for the reader to fill.
    init()

    /// Hands every field, in the order of the format, to `fields`.
    mutating func transfer(_ fields: inout some RecordFields) throws(ImageError)
}

/// What a list of fields is for: writing, reading or showing them.
public protocol RecordFields {
    mutating func number<Number: FixedWidthInteger>(_ name: StaticString, _ value: inout Number) throws(ImageError)
    /// A number that people read in hexadecimal: addresses, masks.
    mutating func hex(_ name: StaticString, _ value: inout UInt64) throws(ImageError)
    mutating func flag(_ name: StaticString, _ value: inout Bool) throws(ImageError)
    mutating func text(_ name: StaticString, _ value: inout String) throws(ImageError)
    mutating func bytes(_ name: StaticString, _ value: inout [UInt8]) throws(ImageError)
    mutating func words(_ name: StaticString, _ value: inout [UInt64]) throws(ImageError)
    mutating func choice<Choice: RawRepresentable & Sendable>(
        _ name: StaticString, _ value: inout Choice
    ) throws(ImageError) where Choice.RawValue == UInt32
    mutating func list<Value: ImageValue>(_ name: StaticString, _ value: inout [Value]) throws(ImageError)
    mutating func list(ofBytes name: StaticString, _ value: inout [[UInt8]]) throws(ImageError)
}

/// Writes fields: integers little endian in their own width, everything of variable size behind a 32-bit count.
struct FieldWriter: RecordFields {
    private(set) var output: [UInt8] = []

    private mutating func put<Number: FixedWidthInteger>(_ value: Number) {
        var rest = value
        for _ in 0..<(Number.bitWidth / 8) {
            output.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    private mutating func count(_ value: Int, _ name: StaticString) throws(ImageError) {
        guard let count = UInt32(exactly: value) else {
            throw .malformed(record: "new record", field: "\(name)", why: "\(value) elements are too many")
        }
        put(count)
    }

    mutating func number<Number: FixedWidthInteger>(_ name: StaticString, _ value: inout Number) { put(value) }
    mutating func hex(_ name: StaticString, _ value: inout UInt64) { put(value) }
    mutating func flag(_ name: StaticString, _ value: inout Bool) { output.append(value ? 1 : 0) }

    mutating func text(_ name: StaticString, _ value: inout String) throws(ImageError) {
        let bytes = Array(value.utf8)
        try count(bytes.count, name)
        output.append(contentsOf: bytes)
    }

    mutating func bytes(_ name: StaticString, _ value: inout [UInt8]) throws(ImageError) {
        try count(value.count, name)
        output.append(contentsOf: value)
    }

    mutating func words(_ name: StaticString, _ value: inout [UInt64]) throws(ImageError) {
        try count(value.count, name)
        for word in value { put(word) }
    }

    mutating func choice<Choice: RawRepresentable & Sendable>(
        _ name: StaticString, _ value: inout Choice
    ) throws(ImageError) where Choice.RawValue == UInt32 { put(value.rawValue) }

    mutating func list<Value: ImageValue>(_ name: StaticString, _ value: inout [Value]) throws(ImageError) {
        try count(value.count, name)
        for index in value.indices { try value[index].transfer(&self) }
    }

    mutating func list(ofBytes name: StaticString, _ value: inout [[UInt8]]) throws(ImageError) {
        try count(value.count, name)
        for index in value.indices { try bytes(name, &value[index]) }
    }
}

/// Reads fields from bytes that may be hostile: never traps, never makes room for more than the bytes can hold.
struct FieldReader: RecordFields {
    private let input: [UInt8]
    private var offset = 0
    private let record: String

    init(_ input: [UInt8], record: String) {
        self.input = input
        self.record = record
    }

    private func fail(_ name: StaticString, _ why: String) -> ImageError {
        .malformed(record: record, field: "\(name)", why: why)
    }

    private mutating func take<Number: FixedWidthInteger>(
        _ name: StaticString, _ type: Number.Type
    ) throws(ImageError) -> Number {
        let width = Number.bitWidth / 8
        guard input.count - offset >= width else { throw fail(name, "the record ends before it") }
        var value: Number = 0
        for index in (0..<width).reversed() {
            value = (value << 8) | Number(truncatingIfNeeded: input[offset + index])
        }
        offset += width
        return value
    }

    /// A count of things that take at least `smallest` bytes each.
    private mutating func count(_ name: StaticString, smallest: Int) throws(ImageError) -> Int {
        let count = Int(try take(name, UInt32.self))
        guard count <= (input.count - offset) / smallest else {
            throw fail(name, "\(count) elements do not fit into what is left of the record")
        }
        return count
    }

    mutating func number<Number: FixedWidthInteger>(
        _ name: StaticString, _ value: inout Number
    ) throws(ImageError) { value = try take(name, Number.self) }

    mutating func hex(_ name: StaticString, _ value: inout UInt64) throws(ImageError) {
        value = try take(name, UInt64.self)
    }

    mutating func flag(_ name: StaticString, _ value: inout Bool) throws(ImageError) {
        let byte = try take(name, UInt8.self)
        guard byte <= 1 else { throw fail(name, "\(byte) is neither 0 nor 1") }
        value = byte == 1
    }

    mutating func text(_ name: StaticString, _ value: inout String) throws(ImageError) {
        var raw: [UInt8] = []
        try bytes(name, &raw)
        let text = String(decoding: raw, as: UTF8.self)
        guard text.utf8.elementsEqual(raw) else { throw fail(name, "it is not UTF-8") }
        value = text
    }

    mutating func bytes(_ name: StaticString, _ value: inout [UInt8]) throws(ImageError) {
        let count = try count(name, smallest: 1)
        value = Array(input[offset..<(offset + count)])
        offset += count
    }

    mutating func words(_ name: StaticString, _ value: inout [UInt64]) throws(ImageError) {
        value = []
        for _ in 0..<(try count(name, smallest: 8)) { value.append(try take(name, UInt64.self)) }
    }

    mutating func choice<Choice: RawRepresentable & Sendable>(
        _ name: StaticString, _ value: inout Choice
    ) throws(ImageError) where Choice.RawValue == UInt32 {
        let raw = try take(name, UInt32.self)
        guard let choice = Choice(rawValue: raw) else { throw fail(name, "\(raw) has no meaning") }
        value = choice
    }

    mutating func list<Value: ImageValue>(_ name: StaticString, _ value: inout [Value]) throws(ImageError) {
        value = []
        for _ in 0..<(try count(name, smallest: 4)) {
            var element = Value()
            try element.transfer(&self)
            value.append(element)
        }
    }

    mutating func list(ofBytes name: StaticString, _ value: inout [[UInt8]]) throws(ImageError) {
        value = []
        for _ in 0..<(try count(name, smallest: 4)) {
            var element: [UInt8] = []
            try bytes(name, &element)
            value.append(element)
        }
    }

    /// Checks that the fields used up the record.
    func end() throws(ImageError) {
        guard offset == input.count else {
            throw .malformed(record: record, field: "end", why: "\(input.count - offset) bytes are left over")
        }
    }
}

/// Shows fields as JSON, for `crengine inspect`.
struct FieldDescriber: RecordFields {
    private(set) var members: [String: JSONValue] = [:]

    private mutating func set(_ name: StaticString, _ value: JSONValue) { members["\(name)"] = value }

    mutating func number<Number: FixedWidthInteger>(_ name: StaticString, _ value: inout Number) {
        set(name, Int64(exactly: value).map { .integer($0) } ?? .unsigned(UInt64(truncatingIfNeeded: value)))
    }

    mutating func hex(_ name: StaticString, _ value: inout UInt64) {
        set(name, .string("0x" + String(value, radix: 16)))
    }

    mutating func flag(_ name: StaticString, _ value: inout Bool) { set(name, .bool(value)) }
    mutating func text(_ name: StaticString, _ value: inout String) { set(name, .string(value)) }
    mutating func bytes(_ name: StaticString, _ value: inout [UInt8]) { set(name, .string(Self.hexadecimal(value))) }

    mutating func words(_ name: StaticString, _ value: inout [UInt64]) {
        set(name, .array(value.map { .string("0x" + String($0, radix: 16)) }))
    }

    mutating func choice<Choice: RawRepresentable & Sendable>(
        _ name: StaticString, _ value: inout Choice
    ) throws(ImageError) where Choice.RawValue == UInt32 { set(name, .string("\(value)")) }

    mutating func list<Value: ImageValue>(_ name: StaticString, _ value: inout [Value]) throws(ImageError) {
        var elements: [JSONValue] = []
        for index in value.indices {
            var inner = FieldDescriber()
            try value[index].transfer(&inner)
            elements.append(.object(inner.members))
        }
        set(name, .array(elements))
    }

    mutating func list(ofBytes name: StaticString, _ value: inout [[UInt8]]) {
        set(name, .array(value.map { .string(Self.hexadecimal($0)) }))
    }

    /// At most the first 4096 bytes: pipe contents and register areas are looked at, not copied, through `inspect`.
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes.prefix(4096) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self) + (bytes.count > 4096 ? "… (\(bytes.count) bytes)" : "")
    }
}
