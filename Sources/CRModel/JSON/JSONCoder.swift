/// Any `Encodable` to and from JSON without Foundation.
public enum JSONCoder {
    /// The value as JSON text with sorted keys.
    public static func text(of value: some Encodable, pretty: Bool = false) throws -> String {
        try encode(value).serialized(pretty: pretty)
    }

    /// The value as a ``JSONValue``. Members that are `nil` are left out unless the type encodes them itself.
    public static func encode(_ value: some Encodable) throws -> JSONValue {
        let encoder = JSONValueEncoder(path: [])
        try value.encode(to: encoder)
        return encoder.box.value
    }

    /// Decodes JSON text.
    ///
    /// - Throws: ``JSONError`` or what the type's own `init(from:)` throws.
    public static func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
        try decode(type, from: JSONParser.parse(text))
    }

    /// Decodes a value.
    public static func decode<Value: Decodable>(_ type: Value.Type, from value: JSONValue) throws -> Value {
        try type.init(from: JSONValueDecoder(value: value, path: []))
    }
}

func pathText(_ path: [any CodingKey]) -> String {
    path.isEmpty ? "." : path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
}

struct IndexKey: CodingKey {
    let index: Int
    var stringValue: String { String(index) }
    var intValue: Int? { index }
    init(_ index: Int) { self.index = index }
    init?(stringValue: String) { nil }
    init?(intValue: Int) { index = intValue }
}
