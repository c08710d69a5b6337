/// Names chosen from those that there are: `debian-6.1`, `debian-*`, and `!debian-newest` to leave one out again.
enum Choice {
    /// What a word stands for.
    enum Word: Equatable {
        case name(String)
        case pattern(String)
        case without(String)
    }

    /// `nil` when the word is neither a name nor a pattern.
    static func word(_ text: String) -> Word? {
        if text.hasPrefix("!") {
            let rest = String(text.dropFirst())
            return isNameOrPattern(rest) ? .without(rest) : nil
        }
        if YAMLNode.isName(text) { return .name(text) }
        return isNameOrPattern(text) ? .pattern(text) : nil
    }

    private static func isNameOrPattern(_ text: String) -> Bool {
        // A star stands for characters of a name, also for its first.
        !text.isEmpty && YAMLNode.isName("a" + text.replacing("*", with: "a"))
            && (text.hasPrefix("*") || YAMLNode.isName(String(text.prefix(1))))
    }

    /// The names that words choose, in the words' order, those of a pattern in the order given.
    ///
    /// - Parameters:
    ///   - fromAll: Words that only leave out choose from all.
    ///   - known: `nil` takes any name, and then no pattern.
    /// - Returns: Also the first word that stands for nothing; `nil` when each stands for something.
    static func names(
        _ words: [String], among known: [String]?, fromAll: Bool = true
    ) -> (names: [String], unknown: String?) {
        var chosen: [String] = []
        var left: Set<String> = []
        var onlyLeavesOut = fromAll
        for text in words {
            let found: [String]
            switch word(text) {
            case .name(let name):
                onlyLeavesOut = false
                found = known?.contains(name) ?? true ? [name] : []
                chosen += found
            case .pattern(let pattern):
                onlyLeavesOut = false
                found = (known ?? []).filter { matches($0, pattern) }
                chosen += found
            case .without(let pattern):
                found = (known ?? []).filter { matches($0, pattern) }
                left.formUnion(found)
                // Whether there is something of a kind to leave out may depend on the day.
                if pattern.contains("*") { continue }
            case nil: found = []
            }
            if found.isEmpty { return ([], text) }
        }
        if onlyLeavesOut { chosen = known ?? [] }
        var seen = left
        return (chosen.filter { seen.insert($0).inserted }, nil)
    }

    /// Whether a name fits a pattern, in which `*` stands for any characters, also none.
    static func matches(_ name: String, _ pattern: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false).map { Array($0.utf8) }
        let name = Array(name.utf8)
        guard let first = parts.first, let last = parts.last, parts.count > 1 else {
            return name == Array(pattern.utf8)
        }
        guard name.count >= first.count + last.count, name.starts(with: first), name.suffix(last.count) == last[...]
        else { return false }
        var rest = name[first.count..<(name.count - last.count)]
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return true
    }
}
