import Yams

/// Reads one mapping of a recipe; every complaint names the file and the line, and a key nobody asked for is an error.
struct RecipeReader {
    let file: String
    private let pairs: [String: (key: Node, value: Node)]
    private let line: Int

    /// Reads a whole recipe file.
    init(text: String, file: String) throws(ImagesError) {
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw .recipeInvalid(
                file: file, line: Self.line(of: error), reason: "it is not YAML: \(Self.problem(error))")
        } catch {
            throw .recipeInvalid(file: file, line: 0, reason: "it is not YAML: \(error)")
        }
        guard let node else { throw .recipeInvalid(file: file, line: 0, reason: "it is empty") }
        try self.init(node: node, file: file)
    }

    init(node: Node, file: String) throws(ImagesError) {
        self.file = file
        line = node.mark?.line ?? 0
        guard let mapping = node.mapping else {
            throw .recipeInvalid(file: file, line: line, reason: "a mapping of keys to values is expected here")
        }
        var pairs: [String: (key: Node, value: Node)] = [:]
        for (key, value) in mapping {
            guard let name = key.string else {
                throw .recipeInvalid(file: file, line: key.mark?.line ?? line, reason: "a key must be a word")
            }
            pairs[name] = (key, value)
        }
        self.pairs = pairs
    }

    /// Refuses keys that are not in the list.
    func allow(_ known: [String]) throws(ImagesError) {
        let unknown = pairs.filter { !known.contains($0.key) }
        guard let first = unknown.min(by: { ($0.value.key.mark?.line ?? 0) < ($1.value.key.mark?.line ?? 0) }) else {
            return
        }
        throw .recipeInvalid(
            file: file, line: first.value.key.mark?.line ?? line,
            reason: "the key \(first.key) is unknown; known are \(known.sorted().joined(separator: ", "))")
    }

    func has(_ key: String) -> Bool { pairs[key] != nil }

    /// The line a key stands on; the mapping's own when it is absent.
    func line(of key: String) -> Int { pairs[key]?.key.mark?.line ?? line }

    func text(_ key: String) throws(ImagesError) -> String? {
        guard let value = pairs[key]?.value else { return nil }
        guard let scalar = value.scalar else { throw wrong(key, value, "a text is expected") }
        return scalar.string
    }

    func requiredText(_ key: String) throws(ImagesError) -> String {
        guard let value = try text(key), !value.isEmpty else {
            throw .recipeInvalid(file: file, line: line(of: key), reason: "the key \(key) is missing or empty")
        }
        return value
    }

    func int(_ key: String) throws(ImagesError) -> Int? {
        guard let value = pairs[key]?.value else { return nil }
        guard let number = value.int else { throw wrong(key, value, "a whole number is expected") }
        return number
    }

    func texts(_ key: String) throws(ImagesError) -> [String]? {
        guard let value = pairs[key]?.value else { return nil }
        guard let sequence = value.sequence else { throw wrong(key, value, "a list is expected") }
        var found: [String] = []
        for element in sequence {
            guard let scalar = element.scalar, !scalar.string.isEmpty else {
                throw wrong(key, element, "a list of texts is expected")
            }
            found.append(scalar.string)
        }
        return found
    }

    /// A mapping of text to text.
    func textTable(_ key: String) throws(ImagesError) -> [String: String]? {
        guard let reader = try mapping(key) else { return nil }
        var found: [String: String] = [:]
        for name in reader.pairs.keys { found[name] = try reader.text(name) ?? "" }
        return found
    }

    func mapping(_ key: String) throws(ImagesError) -> RecipeReader? {
        guard let value = pairs[key]?.value else { return nil }
        return try RecipeReader(node: value, file: file)
    }

    private func wrong(_ key: String, _ node: Node, _ what: String) -> ImagesError {
        .recipeInvalid(file: file, line: node.mark?.line ?? line(of: key), reason: "\(what) for the key \(key)")
    }

    private static func line(of error: YamlError) -> Int {
        switch error {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
        case .duplicatedKeysInMapping(_, let context): context.mark.line
        default: 0
        }
    }

    private static func problem(_ error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _): problem
        case .duplicatedKeysInMapping(let duplicates, _):
            "the key \(duplicates.map { "\($0)" }.sorted().joined(separator: ", ")) stands there twice"
        default: "\(error)"
        }
    }
}
