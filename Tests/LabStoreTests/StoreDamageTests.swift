import CRModel
import Foundation
import GRDB
import Testing

@testable import LabStore
@testable import StoreVictim

struct StoreDamageTests {
    let folder: TemporaryFolder
    var path: String { folder.path }
    var file: String { folder.file("run.sqlite") }

    init() throws { folder = try TemporaryFolder() }

    private func make() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan(200))
        for index in 0..<100 { try await store.recordCell(sampleResult(sampleCell(index))) }
        try await store.close()
    }

    private func change(_ sql: String) async throws {
        let database = try DatabaseQueue(path: file)
        try await database.write { try $0.execute(sql: sql) }
        try database.close()
    }

    /// Store and reader must say the same.
    private func expectRefusal(_ error: StoreError) {
        #expect(throws: error) { try RunStore.open(at: path) }
        #expect(throws: error) { try RunReader.open(at: path) }
    }

    @Test(
        "what was half written when a process was killed between two journals is taken back", arguments: [true, false])
    func hotJournal(readerFirst: Bool) async throws {
        try await make()
        let copy = folder.file("killed")
        try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
        let database = try DatabaseQueue(path: file)
        try await database.writeWithoutTransaction { connection in
            // Pages go to the file before the transaction ends; the copy is what a kill leaves then.
            try connection.execute(sql: "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 2; BEGIN IMMEDIATE")
            try connection.execute(sql: "UPDATE cell SET outcome = 'broke', workload = hex(randomblob(400))")
            for name in ["run.sqlite", "run.sqlite-journal"] {
                try FileManager.default.copyItem(atPath: folder.file(name), toPath: copy + "/" + name)
            }
            try connection.execute(sql: "ROLLBACK")
        }
        if readerFirst { #expect(try RunReader.open(at: copy).results().cells.count == 100) }
        let store = try RunStore.open(at: copy)
        #expect(try await store.results().cells.count == 100)
        #expect(try await store.pendingCells().count == 100)
        try await store.close()
    }

    @Test("a newer format is refused and stays as it is")
    func newer() async throws {
        try await make()
        try await change("PRAGMA user_version = 4")
        let before = try Data(contentsOf: URL(filePath: file))
        expectRefusal(.newerSchema(path: file, found: 4, readable: 3))
        #expect(try Data(contentsOf: URL(filePath: file)) == before)
        #expect(
            StoreError.newerSchema(path: "r", found: 4, readable: 3).description
                == "cannot open the run (r): its format is version 4, and this build reads up to 3; use the crlab that made it"
        )
    }

    @Test("no file, an empty one, a foreign one")
    func foreign() async throws {
        expectRefusal(.notThere(path: path))
        try Data().write(to: URL(filePath: file))
        expectRefusal(.neverStarted(path: file))
        try await change("CREATE TABLE other (x)")
        expectRefusal(.notARun(path: file))
    }

    @Test("text instead of a database")
    func text() throws {
        try String(repeating: "not a database\n", count: 1000).write(toFile: file, atomically: false, encoding: .utf8)
        #expect { try RunStore.open(at: path) } throws: { error in
            if case StoreError.damaged = error { true } else { false }
        }
        #expect { try RunReader.open(at: path) } throws: { error in
            if case StoreError.damaged = error { true } else { false }
        }
    }

    @Test("a file cut or overwritten anywhere opens or is an error, never a trap")
    func mangled() async throws {
        try await make()
        let good = try Data(contentsOf: URL(filePath: file))
        for part in stride(from: 0, to: good.count, by: max(1, good.count / 40)) {
            for cut in [true, false] {
                var bad = cut ? good.prefix(part) : good
                if !cut {
                    bad.replaceSubrange(part..<min(part + 64, good.count), with: Data(repeating: 0xa5, count: 64))
                }
                try Data(bad).write(to: URL(filePath: file))
                do {
                    let store = try RunStore.open(at: path)
                    _ = try? await store.results()
                    try? await store.close()
                } catch {
                    #expect(error.description.hasPrefix("cannot "))
                }
                for name in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file + name) }
            }
        }
    }

    @Test("a record that is no JSON is an error with its place")
    func record() async throws {
        try await make()
        try await change("UPDATE cell SET result = '{' WHERE position = 3")
        #expect { try RunReader.open(at: path).results() } throws: { error in
            if case StoreError.unreadableRecord(file, _) = error { true } else { false }
        }
    }
}
