import Foundation
import LinuxKit

/// What /proc says of a process and must say again after a restore.
///
/// Only facts that stand still in a steady workload; what changes at each step the workload checks itself.
struct ProcessSnapshot {
    /// Fact to value.
    private(set) var facts: [String: String] = [:]

    init(tree: [Int32]) {
        for pid in tree { add(process: pid) }
    }

    /// One line per fact that differs; a descriptor counts only while it is open in both.
    func differences(to other: ProcessSnapshot) -> [String] {
        Set(facts.keys).union(other.facts.keys).sorted().compactMap { key in
            let before = facts[key]
            let after = other.facts[key]
            if before == after || (key.contains(" fd ") && (before == nil || after == nil)) { return nil }
            return "\(key): \(before ?? "nothing") became \(after ?? "nothing")"
        }
    }

    private static let statusLines = [
        "PPid", "Uid", "Gid", "Groups", "Umask", "NSpid", "NSpgid", "NSsid", "SigIgn", "SigCgt", "CapInh", "CapPrm",
        "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Threads",
    ]

    private mutating func add(process pid: Int32) {
        let folder = "/proc/\(pid)/"
        func text(_ file: String) -> String {
            (try? Files.text(of: folder + file)) ?? "none"
        }
        func link(_ file: String) -> String {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + file)) ?? "none"
        }
        let status = text("status")
        let isZombie = status.contains("\nState:\tZ")
        for line in status.split(separator: "\n") {
            let name = String(line.prefix { $0 != ":" })
            // A zombie keeps little; what its parent can still ask for counts.
            let kept = isZombie ? ["PPid", "NSpid", "NSpgid", "NSsid"] : Self.statusLines
            // The root's parent is whoever restored it.
            if kept.contains(name), name != "PPid" || facts["0 pid"] != nil {
                facts["\(pid) \(name)"] = line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
            }
        }
        if facts["0 pid"] == nil { facts["0 pid"] = "\(pid)" }
        if isZombie { return }
        for file in ["cmdline", "environ", "limits", "oom_score_adj", "personality", "timerslack_ns", "auxv"] {
            facts["\(pid) \(file)"] = text(file)
        }
        for file in ["exe", "cwd", "root", "ns/pid", "ns/mnt", "ns/net"] { facts["\(pid) \(file)"] = link(file) }
        for task in (try? FileManager.default.contentsOfDirectory(atPath: folder + "task")) ?? [] {
            facts["\(pid) task \(task) comm"] = text("task/\(task)/comm")
        }
        addDescriptors(pid, folder: folder)
        addMemory(pid, maps: text("maps"))
    }

    private mutating func addDescriptors(_ pid: Int32, folder: String) {
        for descriptor in (try? FileManager.default.contentsOfDirectory(atPath: folder + "fd")) ?? [] {
            let target = (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "fd/" + descriptor)) ?? ""
            // Numbers of pipes and inodes are new; names are not.
            let name = target.hasPrefix("/") ? Self.withoutDeleted(target) : String(target.prefix { $0 != "[" })
            let info = (try? String(contentsOfFile: folder + "fdinfo/" + descriptor, encoding: .utf8)) ?? ""
            let flags = info.split(separator: "\n").first { $0.hasPrefix("flags:") } ?? ""
            facts["\(pid) fd \(descriptor)"] = "\(name) \(flags.dropFirst(6).trimmingCharacters(in: .whitespaces))"
        }
    }

    private static func withoutDeleted(_ name: String) -> String {
        // An unlinked file's name is the kernel's memory of a path, not something that can be given back.
        name.hasSuffix(" (deleted)") ? "(deleted)" : name
    }

    /// Neighbours that differ in nothing else count as one: the kernel splits them for accounting, too.
    private mutating func addMemory(_ pid: Int32, maps: String) {
        var last: (start: UInt64, end: UInt64, offset: UInt64, rest: String)?
        func flush(_ facts: inout [String: String]) {
            guard let last else { return }
            facts["\(pid) map \(String(last.start, radix: 16))-\(String(last.end, radix: 16))"] = last.rest
        }
        for line in maps.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            guard words.count >= 5, ends.count == 2, let offset = UInt64(words[2], radix: 16) else { continue }
            let name = words.count > 5 ? words[5].trimmingCharacters(in: .whitespaces) : ""
            // The destination's vDSO comes with it.
            if ["[vvar]", "[vdso]", "[vvar_vclock]", "[vsyscall]"].contains(name) { continue }
            let rest = "\(words[1]) \(Self.withoutDeleted(name))"
            if let before = last, before.end == ends[0], before.rest == rest,
                name.isEmpty || name.hasPrefix("[") || offset == before.offset + (before.end - before.start)
            {
                last = (before.start, ends[1], before.offset, rest)
            } else {
                flush(&facts)
                last = (ends[0], ends[1], offset, rest)
            }
        }
        flush(&facts)
    }
}
