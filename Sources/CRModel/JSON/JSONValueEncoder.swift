/// Where an encoder puts its value: containers outlive the call that made them, so they share a box.
final class JSONBox {
    var scalar: JSONValue?
    var members: [String: JSONBox]?
    var elements: [JSONBox]?

    var value: JSONValue {
        if let members { return .object(members.mapValues(\.value)) }
        if let elements { return .array(elements.map(\.value)) }
        return scalar ?? .null
    }
}

struct JSONValueEncoder: Encoder {
    let box: JSONBox
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(path: [any CodingKey], box: JSONBox = JSONBox()) {
        codingPath = path
        self.box = box
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if box.members == nil { box.members = [:] }
        return KeyedEncodingContainer(KeyedBox(box: box, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if box.elements == nil { box.elements = [] }
        return UnkeyedBox(box: box, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleBox(box: box, codingPath: codingPath)
    }
}

private struct SingleBox: SingleValueEncodingContainer {
    let box: JSONBox
    var codingPath: [any CodingKey]

    mutating func encodeNil() { box.scalar = .null }
    mutating func encode(_ value: Bool) { box.scalar = .bool(value) }
    mutating func encode(_ value: String) { box.scalar = .string(value) }
    mutating func encode(_ value: Double) { box.scalar = .number(value) }
    mutating func encode(_ value: Float) { box.scalar = .number(Double(value)) }
    mutating func encode(_ value: Int) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: Int8) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: Int16) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: Int32) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: Int64) { box.scalar = .integer(value) }
    mutating func encode(_ value: UInt) { encode(UInt64(value)) }
    mutating func encode(_ value: UInt8) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: UInt16) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: UInt32) { box.scalar = .integer(Int64(value)) }
    mutating func encode(_ value: UInt64) {
        box.scalar = Int64(exactly: value).map(JSONValue.integer) ?? .unsigned(value)
    }
    mutating func encode(_ value: some Encodable) throws {
        try value.encode(to: JSONValueEncoder(path: codingPath, box: box))
    }
}

private struct KeyedBox<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let box: JSONBox
    var codingPath: [any CodingKey]

    private func member(_ key: some CodingKey) -> JSONBox {
        let member = JSONBox()
        box.members?[key.stringValue] = member
        return member
    }

    mutating func encodeNil(forKey key: Key) { member(key).scalar = .null }
    mutating func encode(_ value: some Encodable, forKey key: Key) throws {
        try value.encode(to: JSONValueEncoder(path: codingPath + [key], box: member(key)))
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        JSONValueEncoder(path: codingPath + [key], box: member(key)).container(keyedBy: keyType)
    }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        JSONValueEncoder(path: codingPath + [key], box: member(key)).unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder {
        let member = JSONBox()
        box.members?["super"] = member
        return JSONValueEncoder(path: codingPath, box: member)
    }
    mutating func superEncoder(forKey key: Key) -> any Encoder {
        JSONValueEncoder(path: codingPath + [key], box: member(key))
    }
}

private struct UnkeyedBox: UnkeyedEncodingContainer {
    let box: JSONBox
    var codingPath: [any CodingKey]
    var count: Int { box.elements?.count ?? 0 }

    private func element() -> JSONBox {
        let element = JSONBox()
        box.elements?.append(element)
        return element
    }

    mutating func encodeNil() { element().scalar = .null }
    mutating func encode(_ value: some Encodable) throws {
        let path = codingPath + [IndexKey(count)]
        try value.encode(to: JSONValueEncoder(path: path, box: element()))
    }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        JSONValueEncoder(path: codingPath + [IndexKey(count)], box: element()).container(keyedBy: keyType)
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        JSONValueEncoder(path: codingPath + [IndexKey(count)], box: element()).unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { JSONValueEncoder(path: codingPath, box: element()) }
}
