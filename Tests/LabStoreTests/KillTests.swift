import CRModel
import Foundation
import Testing

@testable import LabStore

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
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, milliseconds = milliseconds as Int] in
                let store = try RunStore.open(at: path)
                let start = ContinuousClock.now
                let killer = Thread {
                    // The moment is the thing under test here: killed wherever it then is.
                    Thread.sleep(forTimeInterval: Double(milliseconds) / 1000)
                    _ = Glibc.kill(getpid(), SIGKILL)
                }
                killer.start()
                for cell in try await store.pendingCells() {
                    try await store.recordAttempt(sampleAttempt(cell))
                    try await store.recordCell(sampleResult(cell))
                    let told = open(path + "/told", O_WRONLY | O_CREAT | O_APPEND, 0o644)
                    let line = Array("\(cell.id)\n".utf8)
                    _ = line.withUnsafeBytes { write(told, $0.baseAddress, $0.count) }
                    close(told)
                }
                while ContinuousClock.now - start < .seconds(60) { try await Task.sleep(for: .milliseconds(10)) }
            }
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
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = folder.path as String, milliseconds = milliseconds as Int] in
                Thread {
                    Thread.sleep(forTimeInterval: Double(milliseconds) / 1000)
                    _ = Glibc.kill(getpid(), SIGKILL)
                }.start()
                let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan(2000))
                while true { try await store.recordEvent(kind: "x", text: "x") }
            }
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
