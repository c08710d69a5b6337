/// Every string of a run is hostile: it comes from guests, logs and scenarios. Nothing reaches a report but through
/// here.
enum Escape {
    /// For HTML text and quoted attributes.
    ///
    /// Works on scalars, never on characters: to Swift `"` followed by a combining mark is one character that equals
    /// no quote, while a browser sees the quote.
    static func html(_ text: String) -> String {
        markup(text) { $0 == "'" ? "&#39;" : nil }
    }

    /// For XML text and quoted attributes. Line feeds and tabs become references, as attributes would lose them.
    static func xml(_ text: String) -> String {
        markup(text) { scalar in
            switch scalar {
            case "'": "&apos;"
            case "\n": "&#10;"
            case "\t": "&#9;"
            // U+FFFE and U+FFFF are no XML characters.
            case "\u{fffe}", "\u{ffff}": "\u{fffd}"
            default: nil
            }
        }
    }

    /// - Parameter own: What one language of the two says of a character.
    private static func markup(_ text: String, _ own: (Unicode.Scalar) -> String?) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || htmlSpecial($0) || $0 >= 0x7f }) else { return text }
        var output = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output.append(contentsOf: "&amp;".unicodeScalars)
            case "<": output.append(contentsOf: "&lt;".unicodeScalars)
            case ">": output.append(contentsOf: "&gt;".unicodeScalars)
            case "\"": output.append(contentsOf: "&quot;".unicodeScalars)
            default:
                if let own = own(scalar) {
                    output.append(contentsOf: own.unicodeScalars)
                } else {
                    output.append(visible(scalar))
                }
            }
        }
        return String(output)
    }

    /// For one line of Markdown text or a table cell: no markup, no HTML, no line break, no autolink, no mention.
    static func markdown(_ text: String) -> String {
        var output = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output.append(contentsOf: "&amp;".unicodeScalars)
            case "<": output.append(contentsOf: "&lt;".unicodeScalars)
            case ">": output.append(contentsOf: "&gt;".unicodeScalars)
            case "@": output.append(contentsOf: "&#64;".unicodeScalars)
            case "\\", "`", "*", "_", "[", "]", "|", "~", "#", "!", "$":
                output.append("\\")
                output.append(scalar)
            case "\n", "\r", "\t": output.append(" ")
            default: output.append(visible(scalar))
            }
        }
        return String(output)
    }

    /// For a code span in Markdown. What could end a span or a table cell, or begin a tag, is given as escaped text
    /// instead: inside a span nothing can be escaped.
    static func markdownCode(_ text: String) -> String {
        let risky = text.unicodeScalars.contains { scalar in
            switch scalar {
            case "`", "|", "<", ">", "&", "\\", "\u{0}"..."\u{1f}", "\u{7f}"...: true
            default: false
            }
        }
        return risky || text.isEmpty ? markdown(text) : "`\(text)`"
    }

    /// For a terminal: no escape sequences. Line feeds stay; tabs become spaces.
    static func terminal(_ text: String) -> String {
        guard text.utf8.contains(where: { ($0 < 0x20 && $0 != 0x0a) || $0 >= 0x7f }) else { return text }
        var output = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            scalar == "\t" ? output.append(contentsOf: "    ".unicodeScalars) : output.append(visible(scalar))
        }
        return String(output)
    }

    /// JSON text for a `<script>` block: a `<` only stands in strings, and there it may be written as an escape, so
    /// that neither `</script>` nor `<!--` can be formed.
    static func script(_ json: String) -> String {
        guard json.utf8.contains(UInt8(ascii: "<")) else { return json }
        var output = String.UnicodeScalarView()
        for scalar in json.unicodeScalars {
            if scalar == "<" { output.append(contentsOf: "\\u003c".unicodeScalars) } else { output.append(scalar) }
        }
        return String(output)
    }

    private static func htmlSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "'"): true
        default: false
        }
    }

    /// Control characters, and those that turn the direction of what follows, become a visible mark.
    private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0x09, 0x0a: scalar
        case 0x00..<0x20, 0x7f..<0xa0, 0x202a...0x202e, 0x2066...0x2069: "\u{fffd}"
        default: scalar
        }
    }
}
