public import CRModel
internal import GRDB

/// The records of a run that is going on: every outcome is on disk before the next cell starts.
///
/// One transaction per record, flushed; so a killed run loses no finished cell and doubles none. Calls cannot be
/// cancelled: what was found out is recorded also while the run is being interrupted.
public actor RunStore {
    /// What the run was started with.
    public nonisolated let run: RunDescription
    public nonisolated let plan: RunPlan
    /// The run's images.
    public nonisolated let images: ImageStore
    /// `FOLDER/run.sqlite`.
    public nonisolated let path: String

    let database: DatabaseQueue
    private let lock: RunLock
    private let executor = StoreExecutor()
    /// Of earlier processes that worked on this run.
    private let earlierSeconds: Double
    private let opened = ContinuousClock.now

    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private init(
        folder: String, run: RunDescription, plan: RunPlan, database: DatabaseQueue, lock: RunLock,
        earlierSeconds: Double
    ) {
        self.run = run
        self.plan = plan
        self.database = database
        self.lock = lock
        self.earlierSeconds = earlierSeconds
        path = folder + "/run.sqlite"
        images = ImageStore(runFolder: folder, shared: run.imageStore)
    }

    // MARK: Opening

    /// Starts the records of a run.
    ///
    /// - Parameter folder: Is made where it is not there.
    /// - Throws: ``StoreError/alreadyThere(path:)`` when it holds a run.
    public static func create(
        at folder: String, run: RunDescription, plan: RunPlan
    ) throws(StoreError) -> RunStore {
        try StoreFile.makeFolder(folder)
        let lock = try RunLock(folder: folder)
        let path = folder + "/run.sqlite"
        guard !StoreFile.exists(path) else { throw .alreadyThere(path: folder) }
        do {
            let database = try DatabaseQueue(path: path, configuration: configuration())
            try StoreSchema.migrator.migrate(database)
            let planHash = try plan.hash()
            try database.write { connection in
                try connection.execute(
                    sql: """
                        INSERT INTO run (only_one, id, description, scenario_hash, hosts, plan_hash)
                        VALUES (1, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        run.id, try JSONCoder.text(of: run), run.scenarioHash, try JSONCoder.text(of: plan.hosts),
                        planHash,
                    ])
                for (position, planned) in plan.cells.enumerated() {
                    let cell = planned.cell
                    try connection.execute(
                        sql: """
                            INSERT INTO cell
                                (id, position, runtime, workload, source, via, destination, spec, expectation)
                            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                            """,
                        arguments: [
                            cell.id, position, cell.runtime.rawValue, cell.workload.rawValue, cell.source.rawValue,
                            RunQueries.column(cell.via), cell.destination.rawValue, cell.spec.rawValue,
                            try planned.expectation.map { try JSONCoder.text(of: $0) },
                        ])
                }
            }
            return RunStore(
                folder: folder, run: run, plan: plan, database: database, lock: lock, earlierSeconds: 0)
        } catch {
            throw StoreError(error, path: path)
        }
    }

    /// Opens a run to go on with it.
    ///
    /// - Throws: ``StoreError/locked(path:process:)`` while another process works on it, ``StoreError`` for a file that is
    ///   damaged, newer than this build, or no run.
    public static func open(at folder: String) throws(StoreError) -> RunStore {
        let path = folder + "/run.sqlite"
        guard StoreFile.exists(path) else { throw .notThere(path: folder) }
        let lock = try RunLock(folder: folder)
        do {
            // Looked at before it is opened for writing: that already changes the file.
            try StoreSchema.openForReading(path, busySeconds: 0).read { connection in
                try StoreSchema.check(connection, path: path, thorough: true)
            }
            let database = try DatabaseQueue(path: path, configuration: configuration())
            try StoreSchema.migrator.migrate(database)
            let (run, plan, seconds) = try database.read { connection in
                let queries = RunQueries(database: connection, path: path)
                return (
                    try queries.description(), try queries.plan(),
                    try Double.fetchOne(connection, sql: "SELECT duration_seconds FROM run") ?? 0
                )
            }
            let store = RunStore(
                folder: folder, run: run, plan: plan, database: database, lock: lock, earlierSeconds: seconds)
            try store.images.removeParts()
            return store
        } catch {
            throw StoreError(error, path: path)
        }
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.journalMode = .wal
        // Readers hold the file only for moments; a checkpoint may have to wait for one.
        configuration.busyMode = .timeout(10)
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        return configuration
    }

    // MARK: Recording

    /// Records what a host turned out to be; the latest counts.
    public func recordHost(_ host: HostResult) throws(StoreError) {
        try write { connection in
            try connection.execute(
                sql:
                    "INSERT INTO host (name, result) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET result = excluded.result",
                arguments: [host.spec.name.rawValue, try JSONCoder.text(of: host)])
        }
    }

    /// Records a boot, also one that came to nothing.
    ///
    /// - Parameter milliseconds: To the agent's answer; `nil` when it did not come to that.
    /// - Returns: The boot's number, for dumps and attempts.
    @discardableResult
    public func recordBoot(host: HostName, purpose: String, milliseconds: Int? = nil) throws(StoreError) -> Int {
        try write { connection in
            try connection.execute(
                sql: "INSERT INTO boot (host, purpose, milliseconds) VALUES (?, ?, ?)",
                arguments: [host.rawValue, purpose, milliseconds])
            return Int(connection.lastInsertedRowID)
        }
    }

    /// Records a dump; one that is made again takes the place of the earlier one.
    public func recordDump(_ key: DumpKey, _ record: DumpRecord) throws(StoreError) {
        try write { connection in
            try connection.execute(
                sql: """
                    INSERT OR REPLACE INTO dump (runtime, workload, source, via, spec, digest, record)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    key.runtime.rawValue, key.workload.rawValue, key.source.rawValue, RunQueries.column(key.via),
                    key.spec.rawValue, record.image?.digest, try JSONCoder.text(of: record),
                ])
        }
    }

    /// Records an attempt.
    ///
    /// - Returns: Its number, from 1 for each cell.
    @discardableResult
    public func recordAttempt(_ attempt: AttemptRecord) throws(StoreError) -> Int {
        try requirePlanned(attempt.cell)
        return try write { connection in
            let id = attempt.cell.id
            var attempt = attempt
            attempt.number =
                try Int.fetchOne(
                    connection, sql: "SELECT coalesce(max(number), 0) + 1 FROM attempt WHERE cell = ?", arguments: [id])
                ?? 1
            try connection.execute(
                sql: "INSERT INTO attempt (cell, number, boot, record) VALUES (?, ?, ?, ?)",
                arguments: [id, attempt.number, attempt.boot, try JSONCoder.text(of: attempt)])
            return attempt.number
        }
    }

    /// Records a cell's outcome from the attempt that is believed. Once and for all.
    ///
    /// - Throws: ``StoreError/alreadyRecorded(cell:)`` when the cell has one.
    public func recordCell(_ result: CellResult) throws(StoreError) {
        try requirePlanned(result.cell)
        let seconds = durationSeconds
        try write { connection in
            let id = result.cell.id
            try connection.execute(
                sql: "UPDATE cell SET outcome = ?, result = ? WHERE id = ? AND result IS NULL",
                arguments: [result.outcome?.rawValue, try JSONCoder.text(of: result), id])
            guard connection.changesCount == 1 else { throw StoreError.alreadyRecorded(cell: id) }
            try connection.execute(sql: "UPDATE run SET duration_seconds = ?", arguments: [seconds])
        }
    }

    /// Records a control that is no cell; the latest counts.
    public func recordControl(_ control: ControlResult) throws(StoreError) {
        try write { connection in
            try connection.execute(
                sql:
                    "INSERT INTO control (id, result) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET result = excluded.result",
                arguments: [control.id, try JSONCoder.text(of: control)])
        }
    }

    /// Records something that is no cell's own.
    public func recordEvent(kind: String, text: String) throws(StoreError) {
        let now = RunIdentifier.iso8601(secondsSince1970: StoreFile.now)
        try write { connection in
            try connection.execute(
                sql: "INSERT INTO event (at, kind, text) VALUES (?, ?, ?)", arguments: [now, kind, text])
        }
    }

    /// Says that the run has come to its end.
    public func finish() throws(StoreError) {
        try finish(afterSeconds: durationSeconds)
    }

    /// Says that the run has come to its end, after time that other processes worked on it.
    func finish(afterSeconds seconds: Double) throws(StoreError) {
        try write { try $0.execute(sql: "UPDATE run SET finished = 1, duration_seconds = ?", arguments: [seconds]) }
    }

    /// Lets go of the run. The file is then one file, which can be copied and read anywhere.
    public func close() throws(StoreError) {
        // A reader that is just looking keeps the journal; the file is complete with it, and the next close tries again.
        try? database.writeWithoutTransaction { connection in
            _ = try Row.fetchAll(connection, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
            _ = try String.fetchOne(connection, sql: "PRAGMA journal_mode = DELETE")
        }
        do {
            try database.close()
        } catch {
            throw StoreError(error, path: path)
        }
        lock.release()
    }

    // MARK: Asking

    public func dump(for key: DumpKey) throws(StoreError) -> DumpRecord? { try read { try $0.dump(key) } }

    public func dumps() throws(StoreError) -> [DumpKey: DumpRecord] { try read { try $0.dumps() } }

    public func finishedCells() throws(StoreError) -> Set<Cell> { Set(try read { try $0.cells(pending: false) }) }

    /// Cells without an outcome, sorted.
    public func pendingCells() throws(StoreError) -> [Cell] { try read { try $0.cells(pending: true) } }

    /// All attempts of a cell, first to last.
    public func attempts(of cell: Cell) throws(StoreError) -> [AttemptRecord] { try read { try $0.attempts(of: cell) } }

    /// The hosts recorded so far.
    public func hosts() throws(StoreError) -> [HostName: HostResult] { try read { try $0.hosts() } }

    /// The controls recorded so far that are no cells.
    public func controls() throws(StoreError) -> [ControlResult] { try read { try $0.controls() } }

    /// Everything recorded so far; cells without an outcome are not in it.
    public func results() throws(StoreError) -> Results { try read { try $0.results() } }

    // MARK: Inside

    /// Time that was worked on the run, over all processes that did.
    private var durationSeconds: Double {
        let components = (ContinuousClock.now - opened).components
        return earlierSeconds + Double(components.seconds) + Double(components.attoseconds) / 1e18
    }

    private func requirePlanned(_ cell: Cell) throws(StoreError) {
        let known = try read { queries in
            try Bool.fetchOne(
                queries.database, sql: "SELECT EXISTS (SELECT 1 FROM cell WHERE id = ?)", arguments: [cell.id]) ?? false
        }
        guard known else { throw .unknownCell(cell: cell.id) }
    }

    func write<Value>(_ body: (Database) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.write(body)
        } catch {
            throw StoreError(error, path: path)
        }
    }

    private func read<Value>(_ body: (RunQueries) throws -> Value) throws(StoreError) -> Value {
        do {
            return try database.read { try body(RunQueries(database: $0, path: path)) }
        } catch {
            throw StoreError(error, path: path)
        }
    }
}
