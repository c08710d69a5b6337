import CRModel
import LinuxKit

/// What the source host tells the destination host beside image and files; kept in the archive's `meta` folder.
struct CellRecord: Codable, Hashable, Sendable {
    static let path = CellRoot.metaFolder + "/cell.json"
    static let mapsPath = CellRoot.metaFolder + "/maps.json"

    /// PID of the workload's root task.
    var root: Int32
    var progress: UInt64?

    /// - Parameter maps: Just before the dump: a task may fault before the destination host has looked at its maps.
    func write(maps: TaskMaps) throws(AgentError) {
        guard let text = try? JSONCoder.text(of: self), let mapsText = try? JSONCoder.text(of: maps) else {
            throw .archive("the cell's record cannot be written")
        }
        do throws(LinuxError) {
            try Files.write(Array(text.utf8), to: Self.path)
            try Files.write(Array(mapsText.utf8), to: Self.mapsPath)
        } catch {
            throw .preparation("write the cell's record", error)
        }
    }

    static func read() throws(AgentError) -> CellRecord {
        guard let text = try? Files.text(of: path), let record = try? JSONCoder.decode(CellRecord.self, from: text)
        else { throw .archive("it has no readable record of its cell") }
        return record
    }

    /// The maps beside the record, which only a fault asks for.
    static func maps() -> TaskMaps {
        guard let text = try? Files.text(of: mapsPath) else { return TaskMaps() }
        return (try? JSONCoder.decode(TaskMaps.self, from: text)) ?? TaskMaps()
    }
}
