/// The lines of a runtime's log that can be a cause.
///
/// CRIU prints `(00.012345)    123: Error (criu/files-reg.c:2176): …`: time, PID of the task being restored, place,
/// text. Of several, the first with a PID is usually the cause; those at the end are its consequences.
struct ErrorLog {
    /// Candidates, most decisive first.
    let errors: [String]
    /// Error lines that are normal on some hosts or only repeat that something failed.
    let noise: [String]
    /// All other non-empty lines, in order.
    let others: [String]

    init(_ log: String) {
        var prefixed: [String] = []
        var plain: [String] = []
        var noise: [String] = []
        var others: [String] = []
        for line in log.split(separator: "\n", omittingEmptySubsequences: true) {
            let text = line.trimmed
            guard let head = Self.headOfError(text) else {
                others.append(text)
                continue
            }
            if Self.consequences.contains(where: { text.holds($0) }) {
                noise.append(text)
            } else if Self.hasTaskPrefix(head) {
                prefixed.append(text)
            } else {
                plain.append(text)
            }
        }
        // A check that fails before any task exists has no PID; nothing with a PID can follow it.
        self.errors = prefixed + plain
        self.noise = noise
        self.others = others
    }

    /// What stands before `Error (`; `nil` when the line is no error line.
    private static func headOfError(_ line: String) -> String? {
        guard let tail = line.text(after: "Error (") else { return nil }
        return String(line.dropLast(tail.count + "Error (".count))
    }

    /// Whether the head names a task: `(00.03)  65: `, `pie: 65: `.
    private static func hasTaskPrefix(_ head: String) -> Bool {
        head.split(separator: ":").contains { part in
            let last = part.split(separator: ")").last.map { $0.trimmed } ?? ""
            return !last.isEmpty && last.utf8.allSatisfy { (48...57).contains($0) }
        }
    }

    /// Lines that accompany other failures, or appear on hosts where all is well (a kernel without a diag module).
    private static let consequences = [
        "Diag module missing", "exited, status", "Restoring FAILED", "Dumping FAILED", "killed by signal",
        "cgroupd: recv req error", "`- Can't open vma", "Unable to open fd=", "Restorer fail", "reported by netlink",
        "Can't remove the directory", "Dump files (pid", "Can't dump thread for pid",
        "Unable to create tun", "Unable to open the binfmt_misc", "Unable to create a veth pair",
        "Can't wait or bad status",
    ]
}
