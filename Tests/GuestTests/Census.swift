import Foundation

/// The processes that carry a mark in their environment: what a `crlab` started with it, and all that came of that.
struct Census {
    struct Entry: Sendable {
        var pid: Int32
        var words: [String]
        /// The host that a QEMU emulates; `nil` for other processes.
        var host: String? {
            guard words.contains(where: { $0.contains("qemu-system") }),
                let at = words.firstIndex(of: "-name"), at + 1 < words.count, words[at + 1].hasPrefix("crlab-")
            else { return nil }
            return String(words[at + 1].dropFirst("crlab-".count))
        }
    }

    static let variable = "CRLAB_TEST_MARK"
    let mark: String

    var processes: [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { isMarked($0) }.map { pid in
            Entry(pid: pid, words: Self.strings("/proc/\(pid)/cmdline"))
        }.sorted { $0.pid < $1.pid }
    }

    var guests: [Entry] { processes.filter { $0.host != nil } }

    /// Kills one of them, and never a stranger that has taken its PID since.
    func kill(_ entry: Entry) { send(SIGKILL, to: entry) }

    /// The same for any signal.
    func send(_ signal: Int32, to entry: Entry) {
        guard isMarked(entry.pid) else { return }
        _ = Foundation.kill(entry.pid, signal)
    }

    private func isMarked(_ pid: Int32) -> Bool {
        // A zombie has no environment any more: it is its parent's business and does nothing.
        Self.strings("/proc/\(pid)/environ").contains("\(Self.variable)=\(mark)")
    }

    private static func strings(_ path: String) -> [String] {
        guard let file = FileHandle(forReadingAtPath: path) else { return [] }
        defer { try? file.close() }
        guard let data = try? file.readToEnd() else { return [] }
        return data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
