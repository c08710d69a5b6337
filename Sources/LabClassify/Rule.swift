import CRModel

/// What a rule says about an attempt.
struct Diagnosis {
    /// Name of the rule, for the corpus test.
    var rule: String
    var reason: Reason
    var confidence: Confidence
    /// Without the final full stop.
    var summary: String
    /// `nil` takes the reason's own.
    var remedy: String?
    /// What this rule looked at, most relevant first.
    var evidence: [EvidenceItem] = []
}

/// One small question to the evidence.
struct Rule: Sendable {
    let name: String
    let match: @Sendable (AttemptContext) -> Diagnosis?

    /// Most specific first: what the lab did wrong, what the runtime itself states, what the CPU did, what the kernel
    /// said, what a log line means, what an error number hints at.
    static let table: [Rule] =
        labRules + controlRules + refusalRules + faultRules + kernelRules + logRules + errnoRules + workloadRules
}

/// How much of a thing is kept in a finding.
enum Limits {
    static let consoleLines = 30
    static let evidenceItems = 28
    static let textCharacters = 600
    static let logLines = 6
    static let kernelLines = 6
    static let differences = 10
}

/// Small text helpers that need no Foundation.
enum Text {
    /// First letter as given, full stop at the end.
    static func sentence(_ text: String) -> String {
        let trimmed = text.trimmed
        return trimmed.isEmpty || trimmed.hasSuffix(".") ? trimmed : trimmed + "."
    }

    /// `a`, `a and b`, `a, b and c`; cut after `limit` items.
    static func list(_ items: [String], limit: Int = 8) -> String {
        if items.count > limit {
            return items.prefix(limit).joined(separator: ", ") + " and \(items.count - limit) more"
        }
        guard let last = items.last, items.count > 1 else { return items.first ?? "" }
        return items.dropLast().joined(separator: ", ") + " and " + last
    }

    static func cut(_ text: String) -> String {
        text.count > Limits.textCharacters ? String(text.prefix(Limits.textCharacters)) + "…" : text
    }

    static func signal(_ number: Int) -> String {
        let names = [
            1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
            9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
            24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
        ]
        return names[number] ?? "signal \(number)"
    }

    static func hex(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
}

extension StringProtocol {
    var trimmed: String {
        let blank: (Character) -> Bool = { $0.isWhitespace }
        return String(drop(while: blank).reversed().drop(while: blank).reversed())
    }

    /// Whether the text holds `part`; plain and case-sensitive.
    func holds(_ part: String) -> Bool { text(after: part) != nil }

    /// What follows the first occurrence of `part`; `nil` when it does not occur.
    func text(after part: String) -> Substring? {
        let whole = Substring(self)
        guard let first = part.utf8.first else { return whole }
        let needle = Array(part.utf8)
        let bytes = whole.utf8
        var position = bytes.startIndex
        while let start = bytes[position...].firstIndex(of: first) {
            if bytes[start...].starts(with: needle) {
                return whole[bytes.index(start, offsetBy: needle.count)...]
            }
            position = bytes.index(after: start)
        }
        return nil
    }

    /// What lies between `start` and the next `end`, or the rest; `nil` when `start` does not occur.
    func text(between start: String, and end: String) -> String? {
        guard let rest = text(after: start) else { return nil }
        guard let tail = rest.text(after: end) else { return String(rest) }
        return String(rest.dropLast(tail.count + end.count))
    }
}
