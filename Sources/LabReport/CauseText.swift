import CRModel

/// What failures with one cause have in common, in words.
///
/// A finding's summary tells one cell as exactly as it can: the source host, the instruction, the offset in its file.
/// Cells that failed of the same thing therefore differ in their words. This takes out of a summary, step by step,
/// what tells cells apart and says nothing about the cause. What it leaves is still a sentence, true of all of them.
struct CauseText: Hashable {
    /// How much is taken out.
    enum Detail: Int, CaseIterable {
        /// The summary as it is.
        case all
        /// Without the host that plays no part: the source of a restore, the destination of a dump.
        case withoutHost
        /// Also without instructions, addresses and numbers of objects.
        case gist
    }

    let reason: Reason
    /// The workload, where the cause lies in it; else empty.
    let workload: String
    let gist: String

    /// `nil` for a cell without a finding.
    init?(_ result: CellResult) {
        guard let finding = result.finding else { return nil }
        reason = finding.reason
        workload = finding.category == .workload ? result.cell.workload.rawValue : ""
        gist = Self.text(finding.summary, of: result, .gist)
    }

    /// The most exact sentence that is true of all `results`, which have one cause, and how exact it is.
    static func sentence(_ results: [CellResult]) -> (text: String, detail: Detail) {
        guard let first = results.first, let summary = first.finding?.summary else { return ("", .all) }
        for detail in Detail.allCases.dropLast() {
            let text = text(summary, of: first, detail)
            if results.dropFirst().allSatisfy({ self.text($0.finding?.summary ?? "", of: $0, detail) == text }) {
                return (text, detail)
            }
        }
        return (text(summary, of: first, .gist), .gist)
    }

    /// What one of the cells executed when it died; `nil` where no instruction is known.
    static func instruction(_ finding: Finding) -> String? {
        finding.evidence.first { $0.kind == "instruction" }.map { item in
            item.text.range(of: ", bytes ").map { String(item.text[..<$0.lowerBound]) } ?? item.text
        }
    }

    static func text(_ summary: String, of result: CellResult, _ detail: Detail) -> String {
        guard detail != .all, let finding = result.finding, finding.category != .harness else { return summary }
        let cell = result.cell
        var text = summary
        // What already failed at home has the same cause on every destination.
        if text.hasPrefix("already on its own host"), let end = text.range(of: ": ") {
            text.removeSubrange(..<end.upperBound)
        }
        if result.stage == .dump || finding.category == .workload {
            text = replacing(cell.destination.rawValue, in: text, with: cell.isControl ? nil : "the destination host")
        }
        if result.stage != .dump || finding.category == .workload {
            text = replacing(cell.source.rawValue, in: text, with: "the source host")
        }
        guard detail == .gist else { return text }
        if let instruction = instruction(finding), let found = text.range(of: instruction) {
            let isaExtension = instruction.last == "]" ? instruction.split(separator: "[").last?.dropLast() : nil
            text.replaceSubrange(found, with: isaExtension.map { "\($0) code" } ?? "code")
        }
        return withoutNumbers(text)
    }

    /// Whole names only: `haswell` is not in `haswell-6.12`.
    private static func replacing(_ name: String, in text: String, with words: String?) -> String {
        guard let words, !name.isEmpty else { return text }
        var output = ""
        var rest = Substring(text)
        while let found = rest.range(of: name) {
            let before = rest[..<found.lowerBound]
            let after = rest[found.upperBound...]
            output += before
            output += isNameEnd(before.last ?? output.last) && isNameStart(after) ? words : name
            rest = after
        }
        return output + rest
    }

    private static func isNameEnd(_ character: Character?) -> Bool {
        character.map { !($0.isLetter || $0.isNumber || "-_./".contains($0)) } ?? true
    }

    private static func isNameStart(_ rest: Substring) -> Bool {
        guard let first = rest.first else { return true }
        // A full stop ends the sentence, or goes on with the name.
        if first == "." { return rest.dropFirst().first.map { $0.isWhitespace } ?? true }
        return !(first.isLetter || first.isNumber || "-_/".contains(first))
    }

    /// Without places in files, and with `…` for addresses and for numbers of objects.
    private static func withoutNumbers(_ text: String) -> String {
        var words: [Substring] = []
        var rest = text.split(separator: " ", omittingEmptySubsequences: false)[...]
        while let word = rest.first {
            rest.removeFirst()
            let next = rest.first
            if word == "at", next == "file", rest.dropFirst().first == "offset", rest.count > 2 {
                rest = rest.dropFirst(3)
            } else if word == "(in", let place = next, place.last == ")", place.contains("+0x") {
                rest = rest.dropFirst()
            } else {
                words.append(masked(word))
            }
        }
        return words.joined(separator: " ")
    }

    private static func masked(_ word: Substring) -> Substring {
        guard word.contains(where: \.isNumber) else { return word }
        let end = word.last.map { ".,:;)".contains($0) } == true ? word.suffix(1) : ""
        let core = word.dropLast(end.count)
        if core.hasPrefix("0x") || core.count > 3 && core.allSatisfy(\.isNumber) { return "…" + end }
        // `socket:[11955]`
        if core.last == "]", let start = core.lastIndex(of: "[") {
            let inner = core[core.index(after: start)...].dropLast()
            if !inner.isEmpty, inner.allSatisfy(\.isNumber) { return core[...start] + "…]" + end }
        }
        return word
    }
}

extension StringProtocol {
    /// Where `part` occurs first; plain, by characters.
    fileprivate func range(of part: String) -> Range<Index>? {
        guard let first = part.utf8.first else { return nil }
        var position = startIndex
        while position < endIndex {
            guard let start = utf8[position...].firstIndex(of: first) else { return nil }
            if utf8[start...].starts(with: part.utf8) {
                return start..<utf8.index(start, offsetBy: part.utf8.count)
            }
            position = utf8.index(after: start)
        }
        return nil
    }
}
