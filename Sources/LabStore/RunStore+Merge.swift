internal import CRModel
internal import GRDB

extension RunStore {
    /// Takes over what another run recorded: all its boots and events, its dumps where there is none yet, and these cells
    /// with all their attempts. In one transaction.
    func take(_ other: RunReader, cells: [CellResult], runName: String) throws(StoreError) {
        let attempts = try other.attempts()
        let (boots, dumps, events) = (try other.boots(), try other.dumps(), try other.events())
        try write { connection in
            var numbers: [Int: Int] = [:]
            for boot in boots {
                try connection.execute(
                    sql: "INSERT INTO boot (host, purpose, milliseconds) VALUES (?, ?, ?)",
                    arguments: [boot.host.rawValue, boot.purpose, boot.milliseconds])
                numbers[boot.id] = Int(connection.lastInsertedRowID)
            }
            for (key, record) in dumps.sorted(by: { $0.key < $1.key }) {
                var record = record
                record.boot = record.boot.flatMap { numbers[$0] }
                try connection.execute(
                    sql: """
                        INSERT OR IGNORE INTO dump (runtime, workload, source, via, spec, digest, record)
                        VALUES (?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        key.runtime.rawValue, key.workload.rawValue, key.source.rawValue, RunQueries.column(key.via),
                        key.spec.rawValue, record.image?.digest, try JSONCoder.text(of: record),
                    ])
            }
            for event in events {
                try connection.execute(
                    sql: "INSERT INTO event (at, kind, text) VALUES (?, ?, ?)",
                    arguments: [event.at, event.kind, event.text])
            }
            for result in cells {
                var result = result
                result.reproduce = "crlab repro \(runName) \(result.cell.id)"
                try connection.execute(
                    sql: "UPDATE cell SET outcome = ?, result = ? WHERE id = ?",
                    arguments: [result.outcome?.rawValue, try JSONCoder.text(of: result), result.cell.id])
                for attempt in attempts[result.cell.id] ?? [] {
                    var attempt = attempt
                    attempt.boot = attempt.boot.flatMap { numbers[$0] }
                    try connection.execute(
                        sql: "INSERT INTO attempt (cell, number, boot, record) VALUES (?, ?, ?, ?)",
                        arguments: [
                            result.cell.id, attempt.number, attempt.boot, try JSONCoder.text(of: attempt),
                        ])
                }
            }
        }
    }
}
