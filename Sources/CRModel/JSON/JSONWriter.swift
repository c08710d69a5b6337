extension JSONValue {
    /// The value as JSON text: keys sorted, so that equal values give equal bytes.
    ///
    /// - Parameter pretty: Two spaces of indentation and one member per line; otherwise no white space at all.
    public func serialized(pretty: Bool = false) -> String {
        var writer = JSONWriter(pretty: pretty)
        writer.write(self, depth: 0)
        return writer.text
    }
}

private struct JSONWriter {
    let pretty: Bool
    var text = ""

    mutating func write(_ value: JSONValue, depth: Int) {
        switch value {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .unsigned(let value): text += String(value)
        // JSON has no infinities; null is what every reader takes for "no number".
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): write(string: value)
        case .array(let elements):
            list("[", "]", count: elements.count, depth: depth) { writer, index in
                writer.write(elements[index], depth: depth + 1)
            }
        case .object(let members):
            let keys = members.keys.sorted()
            list("{", "}", count: keys.count, depth: depth) { writer, index in
                writer.write(string: keys[index])
                writer.text += writer.pretty ? ": " : ":"
                writer.write(members[keys[index]] ?? .null, depth: depth + 1)
            }
        }
    }

    private mutating func list(
        _ open: String, _ close: String, count: Int, depth: Int, element: (inout JSONWriter, Int) -> Void
    ) {
        text += open
        for index in 0..<count {
            if index > 0 { text += "," }
            newline(depth + 1)
            element(&self, index)
        }
        if count > 0 { newline(depth) }
        text += close
    }

    private mutating func newline(_ depth: Int) {
        guard pretty else { return }
        text += "\n" + String(repeating: "  ", count: depth)
    }

    private mutating func write(string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            // 0x7f and the line separators are legal JSON but break terminals and inline scripts.
            case "\u{0}"..."\u{1f}", "\u{7f}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
