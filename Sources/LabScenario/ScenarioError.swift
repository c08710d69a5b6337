public import CRModel

/// Where something stands in a scenario file.
public struct Place: Sendable, Hashable, CustomStringConvertible {
    public let file: String
    /// Counted from 1.
    public let line: Int
    /// Counted from 1, in Unicode scalars.
    public let column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`, which editors and terminals open at that place.
    public var description: String { "\(file):\(line):\(column)" }
}

/// Why a scenario cannot be used, or nothing of it is left to run.
public enum ScenarioError: Explained, Equatable {
    case tooLarge(file: String, bytes: Int, limit: Int)
    case tooComplex(Place, limit: String)
    case alias(file: String, name: String)
    case notYAML(Place, problem: String)
    case empty(file: String)
    case unknownKey(Place, key: String, section: String, known: [String])
    case duplicateKey(Place, key: String)
    case missingKey(Place, key: String, section: String)
    case wrongType(Place, key: String, expected: String, found: String)
    case invalidValue(Place, key: String, value: String, expected: String)
    case unknownName(Place, kind: String, name: String, known: [String])
    case duplicateName(Place, kind: String, name: String)
    /// A pattern needs to know which kernels a family has, and nobody has asked the mirror yet.
    case familyUnseen(Place, family: String)
    case nothingPlanned(file: String)
    case tooManyCells(file: String, cells: Int, limit: Int)
    case selectionInvalid(text: String, why: String)
    case selectionUnknown(text: String, key: String, name: String, known: [String])
    case nothingSelected(only: [String], cells: Int)

    public var explanation: Explanation {
        switch self {
        case .tooLarge(let file, let bytes, let limit):
            read(file, "it has \(bytes) bytes, and no scenario needs more than \(limit)", "name the scenario file")
        case .tooComplex(let place, let limit):
            read(place, "the file goes beyond \(limit)", "make it simpler")
        case .alias(let file, let name):
            read(
                file, "it uses the YAML alias '*\(name)', which scenarios do not have",
                "write the value out, or put what hosts share under 'defaults:'")
        case .notYAML(let place, let problem):
            read(place, "it is not YAML here: \(problem)", "check indentation, quotes and brackets up to this place")
        case .empty(let file):
            read(file, "it is empty", "start from Scenarios/quickstart.yaml")
        case .unknownKey(let place, let key, let section, let known):
            read(place, "\(section) has no key '\(key)'", suggestion(for: key, among: known, kind: "keys"))
        case .duplicateKey(let place, let key):
            read(place, "the key '\(key)' is given twice", "keep one of them")
        case .missingKey(let place, let key, let section):
            read(place, "\(section) lacks the key '\(key)'", "add it")
        case .wrongType(let place, let key, let expected, let found):
            read(place, "'\(key)' must be \(expected), and is \(found)", "")
        case .invalidValue(let place, let key, let value, let expected):
            read(place, "'\(key)' is '\(value)', and must be \(expected)", "")
        case .unknownName(let place, let kind, let name, let known):
            read(place, "there is no \(kind) '\(name)'", suggestion(for: name, among: known, kind: "\(kind)s"))
        case .duplicateName(let place, let kind, let name):
            read(place, "the \(kind) '\(name)' is listed twice", "keep one of them")
        case .familyUnseen(let place, let family):
            read(
                place, "which kernels the family '\(family)' has was not looked up here yet",
                "'crlab images list' asks the mirror")
        case .nothingPlanned(let file):
            Explanation(
                what: "the scenario has no cell", at: file, why: "'matrix' and 'exclude' leave nothing to run",
                next: "widen 'matrix', or take a pattern out of 'exclude'")
        case .tooManyCells(let file, let cells, let limit):
            Explanation(
                what: "the scenario has too many cells", at: file, why: "\(cells) are more than \(limit)",
                next: "split it, or list 'pairs'")
        case .selectionInvalid(let text, let why):
            Explanation(
                what: "cannot read the selection", at: text, why: why,
                next: "write KEY=NAME[|NAME…][,KEY=…] with \(CellPattern.keys.joined(separator: ", ")), or a cell's id")
        case .selectionUnknown(let text, let key, let name, let known):
            Explanation(
                what: "cannot select cells", at: text, why: "the plan has no \(key) '\(name)'",
                next: suggestion(for: name, among: known, kind: "\(key)s"))
        case .nothingSelected(let only, let cells):
            Explanation(
                what: "nothing is selected", at: only.joined(separator: " "),
                why: "none of the \(cells) cells of the plan matches", next: "'crlab plan' lists them")
        }
    }

    private func read(_ place: Place, _ why: String, _ next: String) -> Explanation {
        read(place.description, why, next)
    }

    private func read(_ place: String, _ why: String, _ next: String) -> Explanation {
        Explanation(what: "cannot use the scenario", at: place, why: why, next: next)
    }

    private func suggestion(for name: String, among known: [String], kind: String) -> String {
        if let close = Spelling.closest(to: name, among: known) { return "did you mean '\(close)'?" }
        guard !known.isEmpty else { return "there are no \(kind) to choose from" }
        let shown = known.prefix(24).joined(separator: ", ")
        return "the \(kind) are \(shown)" + (known.count > 24 ? " and \(known.count - 24) more" : "")
    }
}
