/// Colours of a terminal; without them everything is still said in words and signs.
struct Style {
    let colour: Bool

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func alarm(_ text: String) -> String { wrap(text, "1;31") }

    func verdict(_ verdict: Verdict, _ text: String) -> String {
        switch verdict {
        case .restored: wrap(text, "32")
        case .refused: wrap(text, "33")
        case .broke: wrap(text, "31")
        case .miss: wrap(text, "35")
        }
    }

    private func wrap(_ text: String, _ code: String) -> String {
        colour && !text.isEmpty ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }
}

/// Laying out text by columns. Widths count characters, which is right for what crlab itself writes.
enum Layout {
    static func pad(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// At most `width` characters; what is cut ends in `…`.
    static func cut(_ text: String, to width: Int) -> String {
        text.count <= width ? text : String(text.prefix(max(0, width - 1))) + "…"
    }

    /// Breaks at spaces. Lines after the first start with `indent`; a word that is longer than a line stays whole, so
    /// that it can be copied.
    static func wrap(_ text: String, columns: Int, indent: String = "", first: String? = nil) -> String {
        var lines: [String] = []
        var line = first ?? indent
        var isEmpty = true
        for paragraph in Escape.terminal(text).split(separator: "\n", omittingEmptySubsequences: false) {
            for word in paragraph.split(separator: " ") {
                if !isEmpty, line.count + 1 + word.count > columns {
                    lines.append(line)
                    (line, isEmpty) = (indent, true)
                }
                line += (isEmpty ? "" : " ") + word
                isEmpty = false
            }
            lines.append(line)
            (line, isEmpty) = (indent, true)
        }
        return lines.joined(separator: "\n")
    }
}
