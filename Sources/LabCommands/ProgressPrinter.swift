import CRModel
import Foundation
import LabImages
import LabReport
import LabRunner
import LabVM
import Synchronization

/// Shows a run while it goes: one line that renews itself on a terminal, one line for each event elsewhere.
final class ProgressPrinter: Sendable {
    private struct State {
        var renderer = ProgressRenderer()
        var statusShown = false
    }

    private let state = Mutex(State())
    private let interactive = Terminal.isInteractive
    private let start = ContinuousClock.now

    func show(_ event: RunEvent) {
        let now = start.duration(to: .now) / .seconds(1)
        state.withLock { state in
            clear(&state)
            for progress in event.progress {
                let lines = state.renderer.take(progress, at: now)
                // The status line counts the cells that went as they should.
                if interactive, case .cell(let result, _, _) = progress, !ProgressRenderer.isWorthKeeping(result) {
                    continue
                }
                for line in lines { Terminal.note(line) }
            }
            guard interactive,
                let status = state.renderer.statusLine(at: now, columns: RawTerminal.size.columns)
            else { return }
            FileHandle.standardError.write(Data(status.utf8))
            state.statusShown = true
        }
    }

    /// Ends the renewed line, so that what follows starts on a line of its own.
    func end() {
        state.withLock { clear(&$0) }
    }

    private func clear(_ state: inout State) {
        if state.statusShown { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
        state.statusShown = false
    }
}

extension RunEvent {
    /// The event as progress shows it; empty when it is not worth a line.
    var progress: [ProgressEvent] {
        switch self {
        case .started(let id, let folder, let cells, let finished, let hosts):
            [.started(id: id, cells: cells, finished: finished), .note("\(hosts) hosts; reports go to \(folder)")]
        case .images(let progress): progress.line.map { [.note($0)] } ?? []
        case .note(let text): [.note("note: \(text)")]
        case .hostUnavailable(let host, let failure): [.note("host \(host) is not to be had: \(failure.summary)")]
        case .booting(let host, let purpose): [.guest(host, purpose: purpose, running: true)]
        case .booted(let host, let milliseconds, let origin, let slowdown):
            origin.lines(of: host)
                + [
                    .note(
                        "\(host) \(origin.verb) in \(seconds(milliseconds)), \(oneDigit(slowdown)) times slower than this machine"
                    )
                ]
        case .ended(let host, let purpose): [.guest(host, purpose: purpose, running: false)]
        case .dumped(let key, let ending, let milliseconds):
            [.note("\(key.workload) on \(key.source): dump \(ending.rawValue), \(seconds(milliseconds))")]
        case .retrying(let what, let why): [.note("\(what): once more, alone in a fresh guest (\(why))")]
        case .cell(let result, let finished, let total): [.cell(result, finished: finished, of: total)]
        }
    }
}

extension Guest.Origin {
    fileprivate var verb: String {
        if case .clone = self { "cloned" } else { "booted" }
    }

    /// What is to be said before it.
    fileprivate func lines(of host: HostName) -> [ProgressEvent] {
        switch self {
        case .clone(let milliseconds?): [.note("\(host) booted in \(seconds(milliseconds)), and kept for clones")]
        case .bootInstead(let why): [.note("note: \(host) is booted and not cloned: \(why)")]
        case .boot, .clone(nil): []
        }
    }
}

extension ImagesProgress {
    /// `nil` when it is not worth a line.
    fileprivate var line: String? {
        switch self {
        case .resolving(let kind, let name, let suites):
            "\(kind.rawValue) \(name): looking up \(suites.joined(separator: ", "))"
        case .fetching(let kind, let name, let packages, let bytes):
            "\(kind.rawValue) \(name): \(packages) packages, \(bytes / 1_048_576) MiB"
        case .building(let kind, let name, let step): "\(kind.rawValue) \(name): \(step)"
        case .built(let kind, let name, _, let milliseconds):
            "\(kind.rawValue) \(name): built in \(seconds(milliseconds))"
        case .reused: nil
        case .stale(let kind, let name, let error):
            "\(kind.rawValue) \(name): versions known from before are used: \(error.explanation.line)"
        case .unavailable(let kind, let name, let error):
            "\(kind.rawValue) \(name) is not to be had: \(error.explanation.line)"
        case .suspect(let kind, let name, let why): "warning: \(kind.rawValue) \(name) is used though \(why)"
        case .passedOver(let path, let version, let why): "QEMU \(version) (\(path)) is not used: \(why)"
        }
    }
}

private func seconds(_ milliseconds: Int) -> String { oneDigit(Double(milliseconds) / 1000) + " s" }
private func oneDigit(_ value: Double) -> String { String(format: "%.1f", value) }
