import CRModel
import Testing

/// Checks a value against the part of JSON Schema (draft 2020-12) that crlab's own schemas use; any other keyword fails.
struct SchemaChecker {
    let root: JSONValue

    init(_ root: JSONValue) { self.root = root }

    func problems(in value: JSONValue) -> [String] { problems(value, root, at: "") }

    private func problems(_ value: JSONValue, _ schema: JSONValue, at path: String) -> [String] {
        guard case .object(let rules) = schema else { return ["\(path): the schema is no object"] }
        var problems: [String] = []
        for (keyword, rule) in rules.sorted(by: { $0.key < $1.key }) {
            problems += check(keyword, rule, value, schema, at: path)
        }
        return problems
    }

    private func check(
        _ keyword: String, _ rule: JSONValue, _ value: JSONValue, _ schema: JSONValue, at path: String
    ) -> [String] {
        func unless(_ holds: Bool) -> [String] { holds ? [] : ["\(path): \(keyword)"] }
        switch keyword {
        case "$schema", "$id", "$defs", "title", "description": return []
        case "$ref":
            let name = rule.text?.split(separator: "/").last.map(String.init) ?? ""
            return problems(value, root["$defs"]?[name] ?? .null, at: path)
        case "type": return unless(rule.text.map { matches(type: $0, value) } ?? false)
        case "enum": return unless(rule.elements?.contains(value) ?? false)
        case "anyOf":
            return unless(rule.elements?.contains { problems(value, $0, at: path).isEmpty } ?? false)
        case "pattern":
            guard let text = value.text else { return [] }
            guard let pattern = rule.text, let expression = try? Regex(pattern) else { return ["\(path): bad pattern"] }
            return unless(text.firstMatch(of: expression) != nil)
        case "minimum": return value.int.map { unless($0 >= rule.int ?? .max) } ?? []
        case "maximum":
            // 2^64-1 is beyond every value that reaches this as an Int.
            return value.int.map { unless(rule.int == nil || $0 <= rule.int ?? .min) } ?? []
        case "minItems": return value.elements.map { unless($0.count >= rule.int ?? .max) } ?? []
        case "maxItems": return value.elements.map { unless($0.count <= rule.int ?? 0) } ?? []
        case "uniqueItems":
            return value.elements.map { elements in
                unless(Set(elements.map { $0.serialized() }).count == elements.count)
            } ?? []
        case "items":
            return (value.elements ?? []).enumerated().flatMap { problems($1, rule, at: "\(path)/\($0)") }
        case "minProperties": return value.members.map { unless($0.count >= rule.int ?? .max) } ?? []
        case "maxProperties": return value.members.map { unless($0.count <= rule.int ?? 0) } ?? []
        case "required":
            guard let members = value.members else { return [] }
            return (rule.elements ?? []).compactMap(\.text).filter { members[$0] == nil }.map { "\(path): lacks \($0)" }
        case "properties":
            guard let members = value.members else { return [] }
            return members.sorted { $0.key < $1.key }.flatMap { key, member in
                rule[key].map { problems(member, $0, at: "\(path)/\(key)") } ?? []
            }
        case "propertyNames":
            return (value.members ?? [:]).keys.sorted().flatMap { problems(.string($0), rule, at: "\(path)/\($0)") }
        case "additionalProperties":
            let named = schema["properties"]?.members ?? [:]
            let others = (value.members ?? [:]).filter { named[$0.key] == nil }.sorted { $0.key < $1.key }
            if rule == .bool(false) { return others.map { "\(path)/\($0.key): not allowed" } }
            return others.flatMap { problems($1, rule, at: "\(path)/\($0)") }
        default: return ["\(path): this checker does not know '\(keyword)'"]
        }
    }

    private func matches(type: String, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case ("object", .object), ("array", .array), ("string", .string), ("boolean", .bool), ("null", .null),
            ("integer", .integer), ("integer", .unsigned), ("number", .number), ("number", .integer):
            true
        default: false
        }
    }
}
