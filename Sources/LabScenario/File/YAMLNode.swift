import Yams

/// A value of a scenario file, with the place where it stands.
struct YAMLNode {
    enum Value {
        /// `plain` without quotes: only such text can be a number, a truth value or nothing.
        case scalar(String, plain: Bool)
        case list([YAMLNode])
        case map([Entry])
    }

    struct Entry {
        let key: String
        let place: Place
        let value: YAMLNode
    }

    let place: Place
    let value: Value

    /// What the value is, for messages.
    var kind: String {
        switch value {
        case .scalar(let text, plain: true) where ["", "~", "null"].contains(text): "nothing"
        case .scalar(let text, _): "the text '\(text.prefix(40))'"
        case .list: "a list"
        case .map: "a mapping"
        }
    }

    /// The text of a scalar that is not nothing; `nil` for every other value.
    var text: String? {
        guard case .scalar(let text, _) = value, !isNothing else { return nil }
        return text
    }

    /// A value that was left out: `key:` with nothing after it.
    var isNothing: Bool {
        guard case .scalar(let text, plain: true) = value else { return false }
        return ["", "~", "null"].contains(text)
    }
}

extension YAMLNode {
    /// A scenario for thousands of cells has some ten kilobytes.
    static let maximumBytes = 256 * 1024
    static let maximumDepth = 16
    static let maximumNodes = 50_000

    /// Parses YAML text with bounds on size, depth and number of values.
    ///
    /// - Throws: ``ScenarioError``; never traps whatever the text.
    static func parse(_ text: String, file: String) throws(ScenarioError) -> YAMLNode {
        guard text.utf8.count <= maximumBytes else {
            throw .tooLarge(file: file, bytes: text.utf8.count, limit: maximumBytes)
        }
        // Aliases let a kilobyte stand for gigabytes, and the parser hashes them before this code sees them; so they
        // are refused in the text. `defaults:` does what people use them for.
        if let name = aliasName(in: text) { throw .alias(file: file, name: name) }
        let root: Node?
        do {
            root = try Yams.Parser(yaml: text, encoding: .utf8).singleRoot()
        } catch let error as YamlError {
            throw problem(error, file: file)
        } catch {
            throw .notYAML(Place(file: file, line: 1, column: 1), problem: "\(error)")
        }
        guard let root else { throw .empty(file: file) }
        var remaining = maximumNodes
        let node = try convert(root, file: file, depth: 0, remaining: &remaining)
        guard !node.isNothing else { throw .empty(file: file) }
        return node
    }

    private static func convert(
        _ node: Node, file: String, depth: Int, remaining: inout Int
    ) throws(ScenarioError) -> YAMLNode {
        let place = place(node.mark, file: file)
        guard depth < maximumDepth else { throw .tooComplex(place, limit: "\(maximumDepth) levels of nesting") }
        guard remaining > 0 else { throw .tooComplex(place, limit: "\(maximumNodes) values") }
        remaining -= 1
        switch node {
        case .scalar(let scalar):
            return YAMLNode(place: place, value: .scalar(scalar.string, plain: scalar.style == .plain))
        case .sequence(let sequence):
            var elements: [YAMLNode] = []
            for element in sequence {
                elements.append(try convert(element, file: file, depth: depth + 1, remaining: &remaining))
            }
            return YAMLNode(place: place, value: .list(elements))
        case .mapping(let mapping):
            var entries: [Entry] = []
            var keys: Set<String> = []
            for (key, value) in mapping {
                let keyPlace = self.place(key.mark, file: file)
                guard case .scalar(let scalar) = key else {
                    throw .wrongType(keyPlace, key: "a key", expected: "text", found: "a list or a mapping")
                }
                guard keys.insert(scalar.string).inserted else { throw .duplicateKey(keyPlace, key: scalar.string) }
                let converted = try convert(value, file: file, depth: depth + 1, remaining: &remaining)
                entries.append(Entry(key: scalar.string, place: keyPlace, value: converted))
            }
            return YAMLNode(place: place, value: .map(entries))
        case .alias:
            throw .alias(file: file, name: "…")
        }
    }

    private static func place(_ mark: Mark?, file: String) -> Place {
        Place(file: file, line: max(1, mark?.line ?? 1), column: max(1, mark?.column ?? 1))
    }

    private static func problem(_ error: YamlError, file: String) -> ScenarioError {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            .notYAML(place(mark, file: file), problem: (context.map { "\($0.text): " } ?? "") + problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            .duplicateKey(place(context.mark, file: file), key: duplicates.first ?? "?")
        case .reader(let problem, let offset, _, let yaml):
            .notYAML(place(offset: offset, in: yaml, file: file), problem: problem)
        default:
            .notYAML(Place(file: file, line: 1, column: 1), problem: "\(error)")
        }
    }

    private static func place(offset: Int?, in text: String, file: String) -> Place {
        let before = text.prefix(max(0, offset ?? 0))
        let line = before.reduce(into: 1) { count, character in if character.isNewline { count += 1 } }
        let column = before.reversed().prefix { !$0.isNewline }.count + 1
        return Place(file: file, line: line, column: column)
    }

    /// The first name that occurs both as `&name` and as `*name`, wherever: text that does so by accident is rarer
    /// than a way to hide an alias from a scanner that knows half of YAML's quoting.
    private static func aliasName(in text: String) -> String? {
        func names(after mark: UInt8) -> Set<String> {
            let bytes = Array(text.utf8)
            var names: Set<String> = []
            for index in bytes.indices where bytes[index] == mark {
                // The characters that libYAML takes for an anchor.
                let name = bytes[(index + 1)...].prefix { byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                        || byte == 0x5f || byte == 0x2d
                }
                if !name.isEmpty { names.insert(String(decoding: name, as: UTF8.self)) }
            }
            return names
        }
        return names(after: UInt8(ascii: "&")).intersection(names(after: UInt8(ascii: "*"))).min()
    }
}
