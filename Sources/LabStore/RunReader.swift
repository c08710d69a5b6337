public import CRModel
internal import GRDB

/// A run for those who only look: works beside the process that writes it, and changes nothing.
public struct RunReader: Sendable {
    /// What the run was started with.
    public let run: RunDescription
    public let plan: RunPlan
    /// The run's images.
    public let images: ImageStore
    private let database: DatabaseQueue
    private let path: String

    /// Opens the run in a folder.
    public static func open(at folder: String) throws(StoreError) -> RunReader {
        let path = folder + "/run.sqlite"
        guard StoreFile.exists(path) else { throw .notThere(path: folder) }
        do {
            let database = try StoreSchema.openForReading(path, busySeconds: 5)
            return try database.read { connection in
                try StoreSchema.check(connection, path: path, thorough: false)
                let queries = RunQueries(database: connection, path: path)
                let run = try queries.description()
                return RunReader(
                    run: run, plan: try queries.plan(),
                    images: ImageStore(runFolder: folder, shared: run.imageStore),
                    database: database, path: path)
            }
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// Everything recorded so far; cells without an outcome are not in it.
    public func results() throws(StoreError) -> Results { try read { try $0.results() } }

    /// Cells without an outcome, sorted.
    public func pendingCells() throws(StoreError) -> [Cell] { try read { try $0.cells(pending: true) } }

    /// All attempts of a cell, first to last.
    public func attempts(of cell: Cell) throws(StoreError) -> [AttemptRecord] {
        try read { try $0.attempts(of: cell) }
    }

    /// All attempts by their cell's identifier, each cell's first to last.
    func attempts() throws(StoreError) -> [String: [AttemptRecord]] { try read { try $0.attempts() } }

    public func dumps() throws(StoreError) -> [DumpKey: DumpRecord] { try read { try $0.dumps() } }

    public func boots() throws(StoreError) -> [BootRecord] { try read { try $0.boots() } }

    public func events() throws(StoreError) -> [EventRecord] { try read { try $0.events() } }

    private func read<Value>(_ body: (RunQueries) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.read { try body(RunQueries(database: $0, path: path)) }
        } catch {
            throw StoreError(error, path: path)
        }
    }
}
