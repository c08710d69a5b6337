public import CRModel

/// What happens in a run, as far as progress shows it.
public enum ProgressEvent: Sendable {
    /// `finished` cells were recorded by an earlier execution of the same run.
    case started(id: String, cells: Int, finished: Int)
    /// A guest starts or stops doing something: `dump`, `restore`.
    case guest(HostName, purpose: String, running: Bool)
    case cell(CellResult, finished: Int, of: Int)
    case note(String)
}

/// Live progress; pure: state and event in, lines out.
///
/// A terminal shows ``statusLine(at:columns:)`` and renews it; elsewhere the lines that ``take(_:at:)`` returns are
/// printed one by one. On a terminal only those lines are worth printing that ``isWorthKeeping(_:)`` says.
public struct ProgressRenderer: Sendable {
    private var finished = 0
    private var total = 0
    private var already = 0
    private var startedAt = 0.0
    private var counts: [Int: Int] = [:]
    private var unexpected = 0
    private var guests: Set<String> = []

    public init() {}

    /// - Parameter seconds: Monotonic time of the event; only differences matter.
    /// - Returns: Finished lines, without escape sequences.
    public mutating func take(_ event: ProgressEvent, at seconds: Double) -> [String] {
        switch event {
        case .started(let id, let cells, let finished):
            (total, self.finished, already, startedAt) = (cells, finished, finished, seconds)
            let kept = finished > 0 ? ", \(finished) of them finished earlier" : ""
            return [Escape.terminal("run \(id): \(Words.count(cells, "cell"))\(kept)")]
        case .guest(let host, let purpose, let running):
            let name = Escape.terminal("\(host) \(purpose)")
            if running { guests.insert(name) } else { guests.remove(name) }
            return []
        case .cell(let result, let finished, let total):
            (self.finished, self.total) = (finished, total)
            counts[Verdict(result).rawValue, default: 0] += 1
            if result.expected == false { unexpected += 1 }
            return [line(result)]
        case .note(let text): return [Escape.terminal(text)]
        }
    }

    /// Whether a cell deserves a line of its own even where a status line tells the rest.
    public static func isWorthKeeping(_ result: CellResult) -> Bool {
        result.expected == false || result.outcome == nil
    }

    /// Where the run is, in one line of at most `columns`; `nil` before the number of cells is known.
    public func statusLine(at seconds: Double, columns: Int = 80) -> String? {
        guard total > 0 else { return nil }
        let elapsed = seconds - startedAt
        let done = finished - already
        var parts = [bar + " \(finished)/\(total)"]
        for verdict in Verdict.allCases {
            if let count = counts[verdict.rawValue] { parts.append("\(verdict.sign) \(count)") }
        }
        if unexpected > 0 { parts.append("! \(unexpected)") }
        if done > 0, elapsed > 0 {
            let rate = Double(done) / elapsed
            parts.append("\(Int((rate * 60).rounded()))/min")
            if finished < total { parts.append("\(Words.duration(seconds: Double(total - finished) / rate)) left") }
        }
        let busy = guests.sorted().joined(separator: ", ")
        if !busy.isEmpty { parts.append("[\(busy)]") }
        return Layout.cut(parts.joined(separator: "  "), to: columns - 1)
    }

    private var bar: String {
        let width = 16
        let filled = min(width, max(0, finished * width / max(1, total)))
        return String(repeating: "━", count: filled) + String(repeating: "┄", count: width - filled)
    }

    private func line(_ result: CellResult) -> String {
        let verdict = Verdict(result)
        let cell = result.cell
        let runtime = cell.runtime == .native ? "" : " (\(cell.runtime))"
        let why = result.finding.map { ": \($0.reason.rawValue)" } ?? ""
        let mark = (result.expected == false ? "  ! not as expected" : "") + (result.isFlaky ? ", flaky" : "")
        let width = String(total).count
        let number = String(repeating: " ", count: max(0, width - String(finished).count)) + "\(finished)/\(total)"
        return Escape.terminal(
            "[\(number)] \(verdict.sign) \(cell.workload)\(runtime) \(cell.route): "
                + "\(verdict.word)\(why)\(mark)")
    }
}
