import CRModel
import LinuxKit

/// The page maps of a cell's processes at one moment: what an instruction pointer is looked up in after its task died.
struct TaskMaps: Codable, Hashable, Sendable {
    struct Process: Codable, Hashable, Sendable {
        /// In the cell's PID namespace.
        var process: Int32
        /// Names of its tasks; the first is the process's own.
        var comms: [String]
        /// The text of `/proc/PID/maps`.
        var maps: String
    }

    var processes: [Process] = []

    /// All processes of this PID namespace but its first.
    static func snapshot() -> TaskMaps {
        var maps = TaskMaps()
        for process in processes() where process != 1 {
            guard let text = try? Files.text(of: "/proc/\(process)/maps"), !text.isEmpty else { continue }
            var comms: [String] = []
            for task in (try? Procfs.tasks(of: process)) ?? [] {
                let comm = (try? Files.text(of: "/proc/\(process)/task/\(task)/comm")) ?? ""
                let name = comm.hasSuffix("\n") ? String(comm.dropLast()) : comm
                if !comms.contains(name) { comms.append(name) }
            }
            maps.processes.append(Process(process: process, comms: comms, maps: text))
        }
        return maps
    }

    /// PIDs that `/proc` shows.
    static func processes() -> [Int32] {
        ((try? Files.names(in: "/proc")) ?? []).compactMap { Int32($0) }.sorted()
    }

    /// The executable mapping that holds an address.
    ///
    /// - Parameter process: Only this one's maps; `nil` for any with this `comm`, then for any at all.
    func mapping(at address: UInt64, process: Int32?, comm: String) -> (process: Int32, mapping: Mapping)? {
        let candidates: [[Process]] =
            process.map { wanted in [processes.filter { $0.process == wanted }] }
            ?? [processes.filter { $0.comms.contains(comm) }, processes]
        for candidate in candidates {
            for process in candidate {
                guard let mappings = try? ProcParser.mappings(process.maps) else { continue }
                if let found = mappings.first(where: { $0.start <= address && address < $0.end }) {
                    return (process.process, found)
                }
            }
        }
        return nil
    }
}

/// Which task of the cell a PID of the guest's first PID namespace is.
struct OuterTasks {
    /// Outer TID to (TID, PID) in the cell.
    private(set) var inner: [Int32: (task: Int32, process: Int32)] = [:]
    private let outerProc: String

    /// - Parameter descriptor: Of the guest's own `/proc`, opened before the cell's root was entered.
    init(descriptor: Int32) { outerProc = "/proc/self/fd/\(descriptor)" }

    /// Looks at all tasks of this cell that live now; ended ones stay known.
    ///
    /// - Precondition: This is the cell's first process, from which all others descend.
    mutating func update() {
        guard let first = try? Files.link(outerProc + "/self") else { return }
        var processes = [first]
        while let name = processes.popLast() {
            for task in (try? Files.names(in: "\(outerProc)/\(name)/task")) ?? [] {
                let children = (try? Files.text(of: "\(outerProc)/\(name)/task/\(task)/children")) ?? ""
                processes += children.split(separator: " ").map(String.init)
                guard let text = try? Files.text(of: "\(outerProc)/\(name)/task/\(task)/status"),
                    let status = try? ProcParser.status(text), let outer = status.namespaceTids.first,
                    let tid = status.namespaceTids.last, let process = status.namespaceProcesses.last
                else { continue }
                inner[outer] = (tid, process)
            }
        }
    }
}
