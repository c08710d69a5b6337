/// One JSON value.
///
/// The static guest and engine executables cannot carry Foundation, so crlab has one small JSON of its own; the lab
/// uses the same one, so that both sides of the guest channel and every file agree to the byte.
public enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Only values above `Int64.max`; smaller ones are `integer`.
    case unsigned(UInt64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

extension JSONValue {
    /// The member of an object; `nil` when this is no object or has no such member.
    public subscript(_ key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }

    /// The text of a string; `nil` for every other kind.
    public var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The value of a whole number that fits; `nil` for every other kind.
    public var int: Int? {
        switch self {
        case .integer(let value): Int(exactly: value)
        case .unsigned(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The elements of an array; `nil` for every other kind.
    public var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The members of an object; `nil` for every other kind.
    public var members: [String: JSONValue]? {
        guard case .object(let members) = self else { return nil }
        return members
    }
}

/// What is wrong with JSON text, or with a value that does not have the expected shape.
public enum JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The text stops being JSON at this byte offset.
    case syntax(offset: Int, expected: String)
    /// Nesting beyond ``JSONParser/maximumDepth``.
    case tooDeep(offset: Int)
    /// The value at this path is of another kind, out of range, or absent.
    case shape(path: String, expected: String)

    public var description: String {
        switch self {
        case .syntax(let offset, let expected): "not JSON at byte \(offset): expected \(expected)"
        case .tooDeep(let offset): "JSON nested deeper than \(JSONParser.maximumDepth) levels at byte \(offset)"
        case .shape(let path, let expected): "JSON value at '\(path)': expected \(expected)"
        }
    }
}
