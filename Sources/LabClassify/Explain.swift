public import CRModel

/// What `crlab explain` prints; pure text, wrapped at 78 columns.
public enum Explain {
    /// One reason with meaning, evidence and remedy.
    public static func text(_ reason: Reason) -> String {
        let guide = reason.guide
        return """
            \(reason.rawValue)  [\(reason.category.rawValue)]

            \(wrap(guide.meaning))

              Evidence  \(wrap(guide.evidence, indent: 12))

              Remedy    \(wrap(guide.remedy, indent: 12))

            """
    }

    /// All reasons with the first sentence of their meaning, grouped by category.
    public static func overview() -> String {
        let width = Reason.allCases.map(\.rawValue.count).max() ?? 0
        var text = ""
        for category in Category.allCases {
            let reasons = Reason.allCases.filter { $0.category == category }
            guard !reasons.isEmpty else { continue }
            text += "\(category.rawValue)\n"
            for reason in reasons {
                let name = reason.rawValue + String(repeating: " ", count: width - reason.rawValue.count)
                text += "  \(name)  \(wrap(gist(reason), indent: width + 4))\n"
            }
        }
        return text
    }

    /// The reason that `text` names; also without its category (`oops`), when only one fits.
    public static func reason(named text: String) -> Reason? {
        if let exact = Reason(rawValue: text) { return exact }
        let fitting = Reason.allCases.filter { $0.rawValue.hasSuffix(".\(text)") }
        return fitting.count == 1 ? fitting.first : nil
    }

    /// The sentence that tells reasons of one category apart.
    private static func gist(_ reason: Reason) -> String {
        var meaning = Substring(reason.guide.meaning)
        if reason.category == .harness, let rest = meaning.text(after: "compatibility. ") { meaning = rest }
        guard let rest = meaning.text(after: ". ") else { return String(meaning) }
        return meaning.dropLast(rest.count + 1).trimmed
    }

    private static func wrap(_ text: String, indent: Int = 0, columns: Int = 78) -> String {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, indent + line.count + 1 + word.count > columns {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        lines.append(line)
        return lines.joined(separator: "\n" + String(repeating: " ", count: indent))
    }
}
