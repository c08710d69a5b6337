/// One place that apt fetches packages from, as the machine's configuration names it.
struct AptSource: Sendable, Equatable {
    let uri: String
    let suite: String
    let components: [String]
    /// Key rings by path; empty when the source names none.
    let signedBy: [String]
}

/// Reads apt's source lists in both forms; lines that are no source are passed over, as apt does.
///
/// - Source: `sources.list(5)`.
enum AptSources {
    /// `deb [option=value …] uri suite component…`, one source in each line.
    static func parseOneLine(_ text: String) -> [AptSource] {
        text.split(separator: "\n").flatMap { rawLine -> [AptSource] in
            let line = rawLine.prefix { $0 != "#" }
            var rest = line.drop(while: \.isWhitespace)
            guard rest.hasPrefix("deb"), rest.dropFirst(3).first?.isWhitespace == true else { return [] }
            rest = rest.dropFirst(3).drop(while: \.isWhitespace)
            var signedBy: [String] = []
            if rest.first == "[" {
                guard let end = rest.firstIndex(of: "]") else { return [] }
                for option in rest[rest.index(after: rest.startIndex)..<end].split(whereSeparator: \.isWhitespace)
                where option.lowercased().hasPrefix("signed-by=") {
                    signedBy = keyrings(String(option.dropFirst("signed-by=".count)))
                }
                rest = rest[rest.index(after: end)...]
            }
            let words = rest.split(whereSeparator: \.isWhitespace).map(String.init)
            guard words.count >= 2 else { return [] }
            return [
                AptSource(uri: words[0], suite: words[1], components: Array(words.dropFirst(2)), signedBy: signedBy)
            ]
        }
    }

    /// Stanzas of `Types:`, `URIs:`, `Suites:`, `Components:` (deb822).
    static func parseStanzas(_ text: String) -> [AptSource] {
        ControlStanzas.parse(text).flatMap { stanza -> [AptSource] in
            let fields = Dictionary(stanza.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
            func words(_ key: String) -> [String] {
                (fields[key] ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
            }
            guard words("types").contains("deb"), fields["enabled"]?.lowercased() != "no" else { return [] }
            // An inline key block is no path; the default key rings serve then.
            let signedBy = fields["signed-by"].map { $0.contains("BEGIN PGP") ? [] : keyrings($0) } ?? []
            return words("uris").flatMap { uri in
                words("suites").map {
                    AptSource(uri: uri, suite: $0, components: words("components"), signedBy: signedBy)
                }
            }
        }
    }

    private static func keyrings(_ text: String) -> [String] {
        text.split { $0.isWhitespace || $0 == "," }.map(String.init).filter { $0.hasPrefix("/") }
    }
}

/// The paragraph format of Debian's control files, package indexes and deb822 source lists.
enum ControlStanzas {
    /// Fields by name in each paragraph; continuation lines are joined by newlines, comment lines left out.
    static func parse(_ text: String) -> [[String: String]] {
        var stanzas: [[String: String]] = []
        var current: [String: String] = [:]
        var last: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.first == "#" { continue }
            if line.allSatisfy(\.isWhitespace) {
                if !current.isEmpty { stanzas.append(current) }
                current = [:]
                last = nil
            } else if line.first == " " || line.first == "\t" {
                if let last { current[last, default: ""] += "\n" + line.drop(while: \.isWhitespace) }
            } else if let colon = line.firstIndex(of: ":") {
                let key = String(line[..<colon])
                let value = line[line.index(after: colon)...].drop(while: \.isWhitespace)
                current[key] = String(value)
                last = key
            }
        }
        if !current.isEmpty { stanzas.append(current) }
        return stanzas
    }
}
