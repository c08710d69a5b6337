import CRModel

/// How a cell ended, as reports show it: a sign, a word, and a letter for style sheets. A sign never stands for its
/// meaning alone, and colour adds nothing that sign and word do not say.
enum Verdict: Int, CaseIterable {
    case restored, refused, broke, miss

    init(_ result: CellResult) {
        switch result.outcome {
        case .restored: self = .restored
        case .refused: self = .refused
        case .broke: self = .broke
        case nil: self = .miss
        }
    }

    var sign: String {
        switch self {
        case .restored: "✓"
        case .refused: "⊘"
        case .broke: "✗"
        case .miss: "?"
        }
    }

    var word: String {
        switch self {
        case .restored: "restored"
        case .refused: "refused"
        case .broke: "broke"
        case .miss: "lab failure"
        }
    }

    var meaning: String {
        switch self {
        case .restored: "restored, and the workload verified itself"
        case .refused: "the runtime said no, at dump or at restore"
        case .broke: "the runtime said yes, then the workload died, hung or was wrong"
        case .miss: "the lab failed: says nothing about compatibility"
        }
    }

    /// Class in the page's style sheet.
    var letter: String {
        switch self {
        case .restored: "r"
        case .refused: "f"
        case .broke: "b"
        case .miss: "m"
        }
    }
}

extension RunCounts {
    func count(of verdict: Verdict) -> Int {
        switch verdict {
        case .restored: restored
        case .refused: refused
        case .broke: broke
        case .miss: misses
        }
    }
}

extension Confidence {
    var meaning: String {
        switch self {
        case .proven: "by experiment: with only this factor put back, it works"
        case .supported: "several independent pieces of evidence agree"
        case .suspected: "one piece of evidence says so"
        }
    }
}

extension Category {
    var title: String {
        switch self {
        case .cpu: "CPU"
        case .kernel: "Kernel"
        case .runtimeVersion: "Runtime version"
        case .spec: "Container spec"
        case .filesystem: "File system"
        case .workload: "Workload unsupported"
        case .harness: "Lab failure"
        case .unclassified: "Unclassified"
        }
    }
}

/// Numbers as people read them.
enum Words {
    static func seconds(milliseconds: Int) -> String {
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        if milliseconds < 60_000 { return decimal(Double(milliseconds) / 1000) + " s" }
        return duration(seconds: Double(milliseconds) / 1000)
    }

    static func duration(seconds: Double) -> String {
        // A clock may be wrong; a number that Int cannot hold must not trap.
        guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "unknown" }
        if seconds < 60 { return decimal(seconds) + " s" }
        let whole = Int(seconds.rounded())
        if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3600) h \(whole % 3600 / 60) min"
    }

    static func bytes(_ count: UInt64) -> String {
        switch count {
        case 0..<1024: "\(count) B"
        case 1024..<1_048_576: decimal(Double(count) / 1024) + " KiB"
        case 1_048_576..<1_073_741_824: decimal(Double(count) / 1_048_576) + " MiB"
        default: decimal(Double(count) / 1_073_741_824) + " GiB"
        }
    }

    /// One digit after the point.
    static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
        "\(grouped(number)) \(number == 1 ? one : many ?? one + "s")"
    }

    /// Thousands apart by a thin space: `20 000`.
    static func grouped(_ number: Int) -> String {
        let digits = String(number.magnitude)
        guard digits.count > 4 else { return String(number) }
        var output = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { output += "\u{202f}" }
            output.append(digit)
        }
        return (number < 0 ? "-" : "") + output
    }

    static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// `a, b and c`; beyond `limit`: `a, b and 7 more`.
    static func list(_ items: [String], limit: Int = 6) -> String {
        if items.count <= 1 { return items.first ?? "" }
        if items.count > limit {
            return items.prefix(limit - 1).joined(separator: ", ") + " and \(items.count - limit + 1) more"
        }
        return items.dropLast().joined(separator: ", ") + " and " + (items.last ?? "")
    }
}
