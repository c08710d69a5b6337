import Foundation
import LinuxKit
import Synchronization

/// Looks at processes through /proc.
enum ProcessTree {
    /// How children of ours ended, for failure messages.
    private static let ends = Mutex<[Int32: WaitStatus]>([:])

    /// "exited(code: 1)" and the like; `nil` when nobody saw it end.
    static func end(of pid: Int32) -> String? {
        ends.withLock { $0[pid] }.map { "\($0)" }
    }

    /// Whether it still runs; reaps it when it is a dead child of ours.
    static func exists(_ pid: Int32) -> Bool {
        if pid <= 0 { return false }
        if let found = try? Wait.poll(pid), found.status.isEnd {
            ends.withLock { $0[pid] = found.status }
            return false
        }
        guard let stat = fields(pid) else { return false }
        // Somebody else's zombie (a container's init that does not reap) has ended all the same.
        return !(stat[0] == "Z" && Int32(stat[1]) != getpid() && Int32(stat[1]) == 1)
    }

    /// From the state on: state, parent, group, session….
    private static func fields(_ pid: Int32) -> [String]? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(separator: " ").map(String.init)
    }

    /// `root` and all below it, zombies included, in order of depth.
    static func descendants(of root: Int32) -> [Int32] {
        var children: [Int32: [Int32]] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(name), let stat = fields(pid), let parent = Int32(stat[1]) else { continue }
            children[parent, default: []].append(pid)
        }
        guard fields(root) != nil else { return [] }
        var found = [root]
        var index = 0
        while index < found.count {
            found += (children[found[index]] ?? []).sorted()
            index += 1
        }
        return found
    }

    /// Takes the dead children of this process that were in `session`, wherever they came from.
    static func reap(session: Int32) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(name), let stat = fields(pid), stat[0] == "Z", Int32(stat[1]) == getpid(),
                Int32(stat[3]) == session
            else { continue }
            _ = try? Wait.poll(pid)
        }
    }

    /// Tasks of a process with state and what they wait in.
    static func states(_ pid: Int32) -> [(task: Int32, state: String, wait: String)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return names.compactMap { Int32($0) }.sorted().map { task in
            let wait = (try? String(contentsOfFile: "/proc/\(pid)/task/\(task)/wchan", encoding: .utf8)) ?? "?"
            return (task, fields(task)?.first ?? "?", wait)
        }
    }

    /// Whether a PID seen earlier still names a process of this test: it works in the test's own folder.
    static func belongs(_ pid: Int32, to directory: String) -> Bool {
        let now = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) ?? ""
        return now.hasPrefix(directory)
    }
}
