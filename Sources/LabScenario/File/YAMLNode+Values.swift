/// A mapping whose keys are all known.
struct Fields {
    let place: Place
    let section: ScenarioKeys.Section
    let entries: [YAMLNode.Entry]

    /// - Parameter name: The key that holds the mapping, for messages.
    init(_ node: YAMLNode, of section: ScenarioKeys.Section, name: String) throws(ScenarioError) {
        let entries = try node.entries(name)
        for entry in entries where !section.keys.contains(entry.key) {
            throw .unknownKey(entry.place, key: entry.key, section: section.title, known: section.keys)
        }
        place = node.place
        self.section = section
        self.entries = entries
    }

    /// The value of a key; `nil` when it is absent or was left empty.
    subscript(_ key: String) -> YAMLNode? {
        guard let entry = entries.first(where: { $0.key == key }), !entry.value.isNothing else { return nil }
        return entry.value
    }

    func required(_ key: String) throws(ScenarioError) -> YAMLNode {
        guard let node = self[key] else { throw .missingKey(place, key: key, section: section.title) }
        return node
    }
}

extension YAMLNode {
    func entries(_ key: String) throws(ScenarioError) -> [Entry] {
        guard case .map(let entries) = value else { throw wrongType(key, "a mapping") }
        return entries
    }

    func elements(_ key: String) throws(ScenarioError) -> [YAMLNode] {
        guard case .list(let elements) = value else { throw wrongType(key, "a list") }
        return elements
    }

    func string(_ key: String) throws(ScenarioError) -> String {
        guard let text else { throw wrongType(key, "text") }
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
            throw invalid(key, "one line of text without control characters")
        }
        return text
    }

    func bool(_ key: String) throws(ScenarioError) -> Bool {
        if case .scalar(let text, plain: true) = value {
            if text == "true" { return true }
            if text == "false" { return false }
        }
        throw wrongType(key, "true or false")
    }

    func integer<Value: FixedWidthInteger>(_ key: String, _ range: ClosedRange<Value>) throws(ScenarioError) -> Value {
        guard case .scalar(let text, plain: true) = value, let first = text.utf8.first,
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) || first == UInt8(ascii: "-")
        else { throw wrongType(key, "a whole number") }
        // A number beyond the type is out of range like any other.
        guard let number = Value(text) else {
            let isNumber = text.utf8.dropFirst().allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            throw isNumber
                ? invalid(key, "from \(range.lowerBound) to \(range.upperBound)") : wrongType(key, "a whole number")
        }
        guard range.contains(number) else { throw invalid(key, "from \(range.lowerBound) to \(range.upperBound)") }
        return number
    }

    /// One name, or a list of them; never empty.
    func oneOrMore(_ key: String) throws(ScenarioError) -> [YAMLNode] {
        if case .list(let elements) = value {
            guard !elements.isEmpty else { throw invalid(key, "a name or a list of at least one", value: "[]") }
            return elements
        }
        guard text != nil else { throw wrongType(key, "a name or a list of names") }
        return [self]
    }

    /// Names chosen from those that there are: one or a list of names, patterns (`debian-*`) and what to leave out
    /// (`!debian-newest`); never empty.
    ///
    /// - Parameters:
    ///   - known: `nil` takes any name, and then no pattern.
    ///   - sets: Names that stand for several.
    func choice(
        _ key: String, kind: String, among known: [String]?, sets: [String: [String]] = [:]
    ) throws(ScenarioError) -> [String] {
        var words: [String] = []
        var named: Set<String> = []
        // A set may be empty, and is a choice nevertheless.
        var namesSet = false
        for element in try oneOrMore(key) {
            let text = try element.string(key)
            guard let word = Choice.word(text) else { throw element.invalid(key, Self.nameRule) }
            guard named.insert(text).inserted else { throw .duplicateName(element.place, kind: kind, name: text) }
            if case .name = word, let members = sets[text] {
                namesSet = true
                words += members.filter { known?.contains($0) ?? true }
                continue
            }
            if let unknown = Choice.names([text], among: known).unknown {
                throw .unknownName(
                    element.place, kind: kind, name: unknown, known: (known ?? []).sorted() + sets.keys.sorted())
            }
            words.append(text)
        }
        let names = Choice.names(words, among: known, fromAll: !namesSet).names
        guard !names.isEmpty else { throw invalid(key, "a choice that leaves something") }
        return names
    }

    /// A name that stands in cell identifiers, file names and command lines.
    func name(_ key: String) throws(ScenarioError) -> String {
        let text = try string(key)
        guard Self.isName(text) else { throw invalid(key, Self.nameRule) }
        return text
    }

    static let nameRule =
        "a name of letters, digits, '.', '_', '-' and '+', at most 64, starting with a letter or digit"

    static func isName(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= 64 else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || [0x2e, 0x5f, 0x2d, 0x2b].contains($0) }
    }

    func wrongType(_ key: String, _ expected: String) -> ScenarioError {
        .wrongType(place, key: key, expected: expected, found: kind)
    }

    func invalid(_ key: String, _ expected: String, value: String? = nil) -> ScenarioError {
        // The message is one line, whatever the value.
        let shown = String((value ?? text ?? kind).prefix(80)).unicodeScalars.map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7f ? "\u{FFFD}" : String(scalar)
        }
        return .invalidValue(place, key: key, value: shown.joined(), expected: expected)
    }
}
