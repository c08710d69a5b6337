internal import CRModel
internal import GRDB

/// What store and reader both ask of the database.
struct RunQueries {
    let database: Database
    let path: String

    func description() throws -> RunDescription {
        guard let text = try String.fetchOne(database, sql: "SELECT description FROM run") else {
            throw StoreError.neverStarted(path: path)
        }
        return try JSONCoder.decode(RunDescription.self, from: text)
    }

    func plan() throws -> RunPlan {
        let hosts = try String.fetchOne(database, sql: "SELECT hosts FROM run") ?? "[]"
        let cells = try Row.fetchAll(database, sql: "SELECT id, expectation FROM cell ORDER BY position").map { row in
            RunPlan.PlannedCell(
                cell: try cell(row["id"]),
                expectation: try (row["expectation"] as String?).map {
                    try JSONCoder.decode(Expectation.self, from: $0)
                })
        }
        return RunPlan(hosts: try JSONCoder.decode([HostSpec].self, from: hosts), cells: cells)
    }

    func hosts() throws -> [HostName: HostResult] {
        var hosts: [HostName: HostResult] = [:]
        for row in try Row.fetchAll(database, sql: "SELECT name, result FROM host") {
            hosts[HostName(row["name"] as String)] = try JSONCoder.decode(
                HostResult.self, from: row["result"] as String)
        }
        return hosts
    }

    func cells(pending: Bool) throws -> [Cell] {
        try String.fetchAll(
            database,
            sql: "SELECT id FROM cell WHERE result IS \(pending ? "" : "NOT") NULL ORDER BY position"
        ).map(cell)
    }

    func attempts(of cell: Cell) throws -> [AttemptRecord] {
        try String.fetchAll(
            database, sql: "SELECT record FROM attempt WHERE cell = ? ORDER BY number", arguments: [cell.id]
        ).map { try JSONCoder.decode(AttemptRecord.self, from: $0) }
    }

    func attempts() throws -> [String: [AttemptRecord]] {
        var attempts: [String: [AttemptRecord]] = [:]
        for row in try Row.fetchAll(database, sql: "SELECT cell, record FROM attempt ORDER BY cell, number") {
            attempts[row["cell"], default: []].append(
                try JSONCoder.decode(AttemptRecord.self, from: row["record"] as String))
        }
        return attempts
    }

    func dump(_ key: DumpKey) throws -> DumpRecord? {
        try String.fetchOne(
            database,
            sql: "SELECT record FROM dump WHERE runtime = ? AND workload = ? AND source = ? AND via = ? AND spec = ?",
            arguments: [
                key.runtime.rawValue, key.workload.rawValue, key.source.rawValue, Self.column(key.via),
                key.spec.rawValue,
            ]
        ).map { try JSONCoder.decode(DumpRecord.self, from: $0) }
    }

    func dumps() throws -> [DumpKey: DumpRecord] {
        var dumps: [DumpKey: DumpRecord] = [:]
        // A reader opens runs of before there were chains as they are.
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let via = version < 2 ? "'' AS via" : "via"
        for row in try Row.fetchAll(database, sql: "SELECT runtime, workload, source, \(via), spec, record FROM dump") {
            let key = DumpKey(
                runtime: RuntimeName(row["runtime"] as String), workload: WorkloadName(row["workload"] as String),
                source: HostName(row["source"] as String),
                via: (row["via"] as String).split(separator: ":").map { HostName(String($0)) },
                spec: SpecName(row["spec"] as String))
            dumps[key] = try JSONCoder.decode(DumpRecord.self, from: row["record"] as String)
        }
        return dumps
    }

    func boots() throws -> [BootRecord] {
        try Row.fetchAll(database, sql: "SELECT id, host, purpose, milliseconds FROM boot ORDER BY id").map { row in
            BootRecord(
                id: row["id"], host: HostName(row["host"] as String), purpose: row["purpose"],
                milliseconds: row["milliseconds"])
        }
    }

    func events() throws -> [EventRecord] {
        try Row.fetchAll(database, sql: "SELECT at, kind, text FROM event ORDER BY id").map { row in
            EventRecord(at: row["at"], kind: row["kind"], text: row["text"])
        }
    }

    func controls() throws -> [ControlResult] {
        // A reader opens runs of before there were controls as they are.
        guard try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0 >= 3 else { return [] }
        return try String.fetchAll(database, sql: "SELECT result FROM control ORDER BY id")
            .map { try JSONCoder.decode(ControlResult.self, from: $0) }
    }

    func results() throws -> Results {
        let run = try description()
        let cells = try String.fetchAll(
            database, sql: "SELECT result FROM cell WHERE result IS NOT NULL ORDER BY position"
        ).map { try JSONCoder.decode(CellResult.self, from: $0) }
        var hosts: [HostName: HostResult] = [:]
        for spec in try plan().hosts { hosts[spec.name] = HostResult(spec: spec, fingerprint: nil) }
        hosts.merge(try self.hosts()) { _, recorded in recorded }
        let duration = try Double.fetchOne(database, sql: "SELECT duration_seconds FROM run") ?? 0
        return Results(
            run: RunSummary(
                id: run.id, scenario: run.scenarioName, title: run.title, startedAt: run.startedAt,
                durationSeconds: duration, crlabVersion: run.crlabVersion, accelerator: run.accelerator,
                qemuVersion: run.qemuVersion,
                boots: try Int.fetchOne(
                    database, sql: "SELECT count(*) FROM boot WHERE purpose != ?", arguments: [BootRecord.template])
                    ?? 0, counts: RunCounts(cells), shard: run.shard, mergedFrom: run.mergedFrom),
            hosts: hosts, cells: cells, controls: try controls())
    }

    /// The column `via`: host names have no colon.
    static func column(_ via: [HostName]) -> String { via.map(\.rawValue).joined(separator: ":") }

    private func cell(_ id: String) throws -> Cell {
        guard let cell = Cell(id: id) else {
            throw StoreError.unreadableRecord(path: path, detail: "'\(id)' is no cell")
        }
        return cell
    }
}
