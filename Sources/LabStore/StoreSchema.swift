internal import CRModel
internal import GRDB

/// The tables of `run.sqlite`, version by version. A released version never changes; a new one is added.
enum StoreSchema {
    static let version = 3
    /// "crlb": tells a run from any other SQLite file.
    static let applicationID: Int32 = 0x6372_6c62

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE run (
                        only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
                        id TEXT NOT NULL,
                        description TEXT NOT NULL,
                        scenario_hash TEXT NOT NULL,
                        hosts TEXT NOT NULL,
                        plan_hash TEXT NOT NULL,
                        duration_seconds REAL NOT NULL DEFAULT 0,
                        finished INTEGER NOT NULL DEFAULT 0
                    );
                    CREATE TABLE host (name TEXT PRIMARY KEY, result TEXT NOT NULL) WITHOUT ROWID;
                    CREATE TABLE boot (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        host TEXT NOT NULL,
                        purpose TEXT NOT NULL,
                        milliseconds INTEGER
                    );
                    CREATE TABLE dump (
                        runtime TEXT NOT NULL,
                        workload TEXT NOT NULL,
                        source TEXT NOT NULL,
                        spec TEXT NOT NULL,
                        digest TEXT,
                        record TEXT NOT NULL,
                        PRIMARY KEY (runtime, workload, source, spec)
                    ) WITHOUT ROWID;
                    CREATE TABLE cell (
                        id TEXT PRIMARY KEY,
                        position INTEGER NOT NULL UNIQUE,
                        runtime TEXT NOT NULL,
                        workload TEXT NOT NULL,
                        source TEXT NOT NULL,
                        destination TEXT NOT NULL,
                        spec TEXT NOT NULL,
                        expectation TEXT,
                        outcome TEXT,
                        result TEXT
                    );
                    CREATE TABLE attempt (
                        cell TEXT NOT NULL REFERENCES cell (id),
                        number INTEGER NOT NULL,
                        boot INTEGER REFERENCES boot (id),
                        record TEXT NOT NULL,
                        PRIMARY KEY (cell, number)
                    ) WITHOUT ROWID;
                    CREATE TABLE event (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        at TEXT NOT NULL,
                        kind TEXT NOT NULL,
                        text TEXT NOT NULL
                    );
                    PRAGMA user_version = 1;
                    PRAGMA application_id = \(applicationID);
                    """)
        }
        // Chains: a dump can be made on its way, and then is another one than its source host's first.
        migrator.registerMigration("2") { database in
            try database.execute(
                sql: """
                    ALTER TABLE cell ADD COLUMN via TEXT NOT NULL DEFAULT '';
                    ALTER TABLE dump RENAME TO dump_1;
                    CREATE TABLE dump (
                        runtime TEXT NOT NULL,
                        workload TEXT NOT NULL,
                        source TEXT NOT NULL,
                        via TEXT NOT NULL,
                        spec TEXT NOT NULL,
                        digest TEXT,
                        record TEXT NOT NULL,
                        PRIMARY KEY (runtime, workload, source, via, spec)
                    ) WITHOUT ROWID;
                    INSERT INTO dump SELECT runtime, workload, source, '', spec, digest, record FROM dump_1;
                    DROP TABLE dump_1;
                    PRAGMA user_version = 2;
                    """)
        }
        // Controls beside the same-host cells.
        migrator.registerMigration("3") { database in
            try database.execute(
                sql: """
                    CREATE TABLE control (id TEXT PRIMARY KEY, result TEXT NOT NULL) WITHOUT ROWID;
                    PRAGMA user_version = 3;
                    """)
        }
        return migrator
    }

    /// Opens a run's file to look at it. What a process wrote in half is taken back first, when it was killed while the
    /// file went from one journal to the other: a connection that only reads cannot do that.
    static func openForReading(_ path: String, busySeconds: Double) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(busySeconds)
        func open() throws -> DatabaseQueue {
            let database = try DatabaseQueue(path: path, configuration: configuration)
            _ = try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") }
            return database
        }
        do {
            return try open()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_READONLY {
            configuration.readonly = false
            try open().close()
            configuration.readonly = true
            return try open()
        }
    }

    /// Refuses a file that this build cannot read, before anything is written to it.
    ///
    /// - Parameter thorough: Also checks the structure of every page; some milliseconds per megabyte.
    static func check(_ database: Database, path: String, thorough: Bool) throws {
        let application = try Int32.fetchOne(database, sql: "PRAGMA application_id") ?? 0
        let found = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        if application == 0, found == 0 {
            // A process killed in its first moments may have left the migrator's own table, and nothing else.
            let tables =
                try Int.fetchOne(
                    database,
                    sql: "SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'grdb_%' AND name NOT LIKE 'sqlite_%'")
                ?? 0
            throw tables == 0 ? StoreError.neverStarted(path: path) : StoreError.notARun(path: path)
        }
        guard application == applicationID else { throw StoreError.notARun(path: path) }
        guard found <= version else {
            throw StoreError.newerSchema(path: path, found: found, readable: version)
        }
        guard thorough else { return }
        let answer = try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
        guard answer == "ok" else { throw StoreError.damaged(path: path, detail: answer) }
    }
}
