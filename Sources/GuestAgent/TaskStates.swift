import CRModel
import CRRuntimes
import LinuxKit

/// What the cell's tasks are doing, for people who want to know why nothing moves.
enum TaskStates {
    static let maximum = 200

    /// One line for each task but the cell's first: PID, TID, name, state and, where the kernel tells, what it waits in.
    static func lines() -> [String] {
        var lines: [String] = []
        for process in TaskMaps.processes() where process != 1 {
            for task in (try? Procfs.tasks(of: process)) ?? [] where lines.count < maximum {
                let folder = "/proc/\(process)/task/\(task)/"
                guard let stat = try? Files.text(of: folder + "stat") else { continue }
                let wait = (try? Files.text(of: folder + "wchan")) ?? ""
                lines.append("\(process) \(task) \(named(stat)) \(wait == "0" ? "" : wait)")
            }
        }
        return lines
    }

    /// Name in parentheses and the letter of the state, of a line of `stat`.
    private static func named(_ stat: String) -> String {
        guard let start = stat.firstIndex(of: "("), let end = stat.lastIndex(of: ")") else { return "" }
        return String(stat[start...end]) + String(stat[stat.index(after: end)...].prefix(2))
    }
}

extension RuntimeRequest {
    /// In the folders of every cell.
    static func cell(_ options: RuntimeOptions, process: Int32 = 0) -> RuntimeRequest {
        RuntimeRequest(
            process: process, imageFolder: CellRoot.imageFolder, workFolder: CellRoot.workFolder,
            logFolder: CellRoot.logFolder, bundleFolder: CellRoot.bundleFolder, options: options)
    }
}
