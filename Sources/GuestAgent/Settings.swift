import CRModel
import LinuxKit

/// Kernel settings that a scenario asks for.
///
/// Many belong to a namespace (all of `net`, `kernel.shmmax`, from 6.14 on `kernel.pid_max`), and a fresh one starts with
/// the kernel's own values: so they are made in the guest once and again in every cell.
enum Settings {
    private static let list = "/run/crlab-sysctl"

    /// Makes settings in the guest and notes them for the cells.
    ///
    /// - Returns: Those that could not be made, each with the reason.
    static func make(_ settings: [String: String]) -> [String: String] {
        var refused: [String: String] = [:]
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
            do throws(LinuxError) {
                try Sysctl.set(name, to: value)
                let found = Sysctl.value(name) ?? ""
                if found != Sysctl.plain(value) { refused[name] = "the kernel made it '\(found)'" }
            } catch {
                refused[name] = error.explanation.line
            }
        }
        let lines = settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }.joined()
        do throws(LinuxError) {
            try Files.write(Array(lines.utf8), to: list)
        } catch {
            for name in settings.keys where refused[name] == nil { refused[name] = error.explanation.line }
        }
        return refused
    }

    /// - Precondition: In the namespaces of the cell, and still in the guest's root.
    static func repeatInCell() throws(AgentError) {
        guard let text = try? Files.text(of: list) else { return }
        for line in text.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let name = String(line[..<equals])
            try AgentError.preparing("set \(name)") { () throws(LinuxError) in
                try Sysctl.set(name, to: String(line[line.index(after: equals)...]))
            }
        }
    }
}
