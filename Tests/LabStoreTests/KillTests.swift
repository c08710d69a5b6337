import CRModel
import Foundation
import Testing

@testable import LabStore
@testable import StoreVictim

/// A process that records is killed at moments of its life; what it was told to be recorded must be there.
struct KillTests {
    static let moments = [0, 1, 3, 7, 12, 20, 33, 50, 80, 130]

    @Test("kill -9 loses no finished cell and doubles none", .timeLimit(.minutes(3)))
    func kill() async throws {
        let folder = try TemporaryFolder()
        let path = folder.file("run")
        let count = 400
        try await RunStore.create(at: path, run: sampleRun(), plan: samplePlan(count)).close()

        var finished = 0
        for milliseconds in Self.moments {
            #expect(try victim("record", path, "\(milliseconds)") == .signal(SIGKILL))
            let told = (try? String(contentsOfFile: path + "/told", encoding: .utf8)) ?? ""
            let lines = told.split(separator: "\n").map(String.init)
            #expect(Set(lines).count == lines.count)
            // A reader can look at what a killed process left, before anybody has cleaned up.
            let results = try RunReader.open(at: path).results()
            #expect(Set(lines).isSubset(of: results.cells.map(\.cell.id)))
            #expect(Set(results.cells.map(\.cell)).count == results.cells.count)
            // At most one cell was recorded and could not be told any more, in each life.
            #expect(results.cells.count >= finished)
            finished = results.cells.count
            let store = try RunStore.open(at: path)
            #expect(try await store.finishedCells().count + store.pendingCells().count == count)
            try await store.close()
        }
        #expect(finished > 0)

        let store = try RunStore.open(at: path)
        for cell in try await store.pendingCells() { try await store.recordCell(sampleResult(cell)) }
        #expect(try await store.results().cells.map(\.cell) == samplePlan(count).cells.map(\.cell))
        try await store.close()
    }

    @Test("killed while it was being set up")
    func setUp() async throws {
        for milliseconds in [0, 1, 2, 4, 8] {
            let folder = try TemporaryFolder()
            #expect(try victim("create", folder.path, "\(milliseconds)") == .signal(SIGKILL))
            do {
                let store = try RunStore.open(at: folder.path)
                #expect(try await store.pendingCells().count == 2000)
                try await store.close()
            } catch StoreError.neverStarted, StoreError.notThere {
                // Nothing was done, and that is what it says.
            }
        }
    }
}
