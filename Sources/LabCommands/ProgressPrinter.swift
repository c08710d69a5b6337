import CRModel
import Foundation
import LabImages
import LabRunner
import Synchronization

/// Shows a run while it goes: one line that renews itself on a terminal, one line for each event elsewhere.
final class ProgressPrinter: Sendable {
    private struct State {
        var lines = ProgressLines()
        var statusShown = false
    }

    private let state = Mutex(State())
    private let interactive = Terminal.isInteractive

    func show(_ event: RunEvent) {
        state.withLock { state in
            let lines = state.lines.take(event)
            if state.statusShown { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
            state.statusShown = false
            for line in lines { Terminal.note(line) }
            if interactive, let status = state.lines.status {
                FileHandle.standardError.write(Data(status.prefix(78).utf8))
                state.statusShown = true
            }
        }
    }

    /// Ends the renewed line, so that what follows starts on a line of its own.
    func end() {
        state.withLock { state in
            if state.statusShown { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
            state.statusShown = false
        }
    }
}

/// Turns events into lines; pure, so that it can be tested.
struct ProgressLines {
    private var finished = 0
    private var total = 0
    private var failed = 0
    private var guests: Set<String> = []
    private var started = ContinuousClock.now

    /// The line that says where the run is; `nil` before there is anything to say.
    var status: String? {
        guard total > 0 else { return nil }
        let elapsed = started.duration(to: .now) / .seconds(1)
        let rate = elapsed > 0 ? Double(finished) / elapsed * 60 : 0
        let busy = guests.sorted().joined(separator: ", ")
        return "\(finished)/\(total) cells, \(failed) not restored, \(Int(rate)) cells/min"
            + (busy.isEmpty ? "" : " [\(busy)]")
    }

    /// Takes one event; returns the lines that it is worth.
    mutating func take(_ event: RunEvent) -> [String] {
        switch event {
        case .started(let id, let folder, let cells, let already, let hosts):
            (total, finished, started) = (cells, already, .now)
            let kept = already > 0 ? ", \(already) of them finished earlier" : ""
            return ["run \(id): \(cells) cells on \(hosts) hosts\(kept), in \(folder)"]
        case .images(let progress): return images(progress)
        case .note(let text): return ["note: \(text)"]
        case .hostUnavailable(let host, let failure): return ["host \(host) is not to be had: \(failure.summary)"]
        case .booting(let host, let purpose):
            guests.insert("\(host) \(purpose)")
            return []
        case .booted(let host, let milliseconds, let slowdown):
            return ["\(host) booted in \(seconds(milliseconds)), \(oneDigit(slowdown)) times slower than this machine"]
        case .ended(let host, let purpose):
            guests.remove("\(host) \(purpose)")
            return []
        case .dumped(let key, let ending, let milliseconds):
            return ["\(key.workload) on \(key.source): dump \(ending.rawValue), \(seconds(milliseconds))"]
        case .retrying(let what, let why): return ["\(what): once more, alone in a fresh guest (\(why))"]
        case .cell(let result, let done, let all):
            (finished, total) = (done, all)
            if result.outcome != .restored { failed += 1 }
            return [line(result)]
        }
    }

    private func line(_ result: CellResult) -> String {
        let verdict = result.outcome?.rawValue ?? "lab failure"
        let mark = result.expected == false ? " (unexpected)" : ""
        let why = result.finding.map { ": \($0.reason.rawValue)" } ?? ""
        let cell = result.cell
        return "[\(finished)/\(total)] \(cell.workload) \(cell.source) → \(cell.destination): \(verdict)\(why)\(mark)"
    }

    private func images(_ progress: ImagesProgress) -> [String] {
        switch progress {
        case .resolving(let kind, let name, let suites):
            ["\(kind.rawValue) \(name): looking up \(suites.joined(separator: ", "))"]
        case .fetching(let kind, let name, let packages, let bytes):
            ["\(kind.rawValue) \(name): \(packages) packages, \(bytes / 1_048_576) MiB"]
        case .building(let kind, let name, let step): ["\(kind.rawValue) \(name): \(step)"]
        case .built(let kind, let name, _, let milliseconds):
            ["\(kind.rawValue) \(name): built in \(seconds(milliseconds))"]
        case .reused: []
        case .stale(let kind, let name, let error):
            ["\(kind.rawValue) \(name): versions known from before are used: \(error.explanation.line)"]
        case .unavailable(let kind, let name, let error):
            ["\(kind.rawValue) \(name) is not to be had: \(error.explanation.line)"]
        case .passedOver(let path, let version, let why): ["QEMU \(version) (\(path)) is not used: \(why)"]
        }
    }

    private func seconds(_ milliseconds: Int) -> String { oneDigit(Double(milliseconds) / 1000) + " s" }
    private func oneDigit(_ value: Double) -> String { String(format: "%.1f", value) }
}
