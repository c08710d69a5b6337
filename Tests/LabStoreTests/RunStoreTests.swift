import CRModel
import Foundation
import Testing

@testable import LabStore
@testable import StoreVictim

struct RunStoreTests {
    let folder: TemporaryFolder
    var path: String { folder.file("Reports/run") }

    init() throws { folder = try TemporaryFolder() }

    @Test("what is recorded is there, for the store and for a reader beside it")
    func roundTrip() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        let cells = samplePlan().cells.map(\.cell)
        let host = HostResult(
            spec: samplePlan().hosts[0], fingerprint: nil, unavailable: LabFailure(reason: .harnessBoot, summary: "no"))
        try await store.recordHost(HostResult(spec: samplePlan().hosts[0], fingerprint: nil))
        try await store.recordHost(host)
        let boot = try await store.recordBoot(host: "s0", purpose: "dump", milliseconds: 1900)
        #expect(boot == 1)
        #expect(try await store.recordBoot(host: "s1", purpose: "restore") == 2)
        let dump = DumpRecord(
            evidence: StageEvidence(stage: .dump, ending: .done), image: StoredImage(digest: "ab", bytes: 7), boot: boot
        )
        try await store.recordDump(cells[0].dump, DumpRecord(evidence: dump.evidence, image: nil, boot: nil))
        try await store.recordDump(cells[0].dump, dump)
        #expect(try await store.dump(for: cells[0].dump) == dump)
        #expect(try await store.dump(for: cells[4].dump) == nil)
        #expect(try await store.recordAttempt(sampleAttempt(cells[0], boot: boot)) == 1)
        #expect(try await store.recordAttempt(sampleAttempt(cells[0])) == 2)
        #expect(try await store.recordAttempt(sampleAttempt(cells[1])) == 1)
        try await store.recordCell(sampleResult(cells[0]))
        try await store.recordCell(sampleResult(cells[1], outcome: nil))
        try await store.recordEvent(kind: "tainted", text: "s0: oops")
        var control = ControlResult(kind: .knownFault, runtime: .native, host: "s0", passed: nil, summary: "no")
        try await store.recordControl(control)
        control.passed = true
        try await store.recordControl(control)
        #expect(try await store.controls() == [control])

        let reader = try RunReader.open(at: path)
        #expect(reader.run == sampleRun())
        #expect(reader.plan == samplePlan())
        #expect(try reader.pendingCells() == Array(cells[2...]))
        #expect(try reader.dumps() == [cells[0].dump: dump])
        #expect(try reader.boots().map(\.purpose) == ["dump", "restore"])
        #expect(try reader.events().map(\.text) == ["s0: oops"])
        let attempts = try reader.attempts(of: cells[0])
        #expect(attempts.map(\.number) == [1, 2])
        #expect(attempts.first?.evidence == sampleAttempt(cells[0]).evidence)

        let results = try await store.results()
        #expect(try reader.results().cells == results.cells)
        #expect(results.cells.map(\.cell) == Array(cells[..<2]))
        #expect(results.hosts["s0"] == host)
        #expect(results.controls == [control])
        #expect(results.hosts["s1"] == HostResult(spec: samplePlan().hosts[1], fingerprint: nil))
        #expect(results.run.boots == 2)
        #expect(results.run.counts.restored == 1)
        #expect(results.run.counts.misses == 1)
        #expect(results.run.durationSeconds > 0)
        #expect(try await store.finishedCells() == Set(cells[..<2]))
        try await store.finish()
        try await store.close()
    }

    @Test("a closed run is one file")
    func closed() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        try await store.recordCell(sampleResult(sampleCell(0)))
        try await store.close()
        let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        #expect(names == ["run.lock", "run.sqlite"])
        try FileManager.default.copyItem(atPath: path + "/run.sqlite", toPath: folder.file("run.sqlite"))
        #expect(try RunReader.open(at: folder.path).results().cells.count == 1)
    }

    @Test("a cell takes one outcome, and only a planned cell takes any")
    func once() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        try await store.recordCell(sampleResult(sampleCell(0)))
        await #expect(throws: StoreError.alreadyRecorded(cell: sampleCell(0).id)) {
            try await store.recordCell(sampleResult(sampleCell(0), outcome: .broke))
        }
        #expect(try await store.results().cells.map(\.outcome) == [.restored])
        let stranger = Cell(runtime: "criu", workload: "w", source: "a", destination: "b")
        await #expect(throws: StoreError.unknownCell(cell: stranger.id)) {
            try await store.recordCell(sampleResult(stranger))
        }
        await #expect(throws: StoreError.unknownCell(cell: stranger.id)) {
            try await store.recordAttempt(sampleAttempt(stranger))
        }
        try await store.close()
    }

    @Test("many at once are recorded one after the other")
    func concurrent() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan(64))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for planned in samplePlan(64).cells {
                group.addTask {
                    try await store.recordAttempt(sampleAttempt(planned.cell))
                    try await store.recordCell(sampleResult(planned.cell))
                }
            }
            try await group.waitForAll()
        }
        #expect(try await store.pendingCells() == [])
        try await store.close()
    }

    @Test("a cancelled task still records what it found out")
    func cancelled() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await store.recordCell(sampleResult(sampleCell(0)))
        }
        try await task.value
        #expect(try await store.finishedCells() == [sampleCell(0)])
        try await store.close()
    }

    @Test("time adds up over the processes that worked on a run")
    func duration() async throws {
        var last = 0.0
        for index in 0..<3 {
            let store =
                try index == 0
                ? RunStore.create(at: path, run: sampleRun(), plan: samplePlan()) : RunStore.open(at: path)
            try await store.recordCell(sampleResult(sampleCell(index)))
            let duration = try await store.results().run.durationSeconds
            #expect(duration > last)
            last = duration
            try await store.close()
        }
    }

    @Test("a second process is refused, and knows which one is first")
    func locked() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        let me = Int(ProcessInfo.processInfo.processIdentifier)
        #expect(throws: StoreError.locked(path: path, process: me)) { try RunStore.open(at: path) }
        #expect(throws: StoreError.locked(path: path, process: me)) {
            try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        }
        #expect(try victim("open", path, "\(me)") == .code(7))
        try await store.close()
        #expect(throws: StoreError.alreadyThere(path: path)) {
            try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        }
        try await RunStore.open(at: path).close()
    }

    @Test("a full disk is told as such, and what was recorded stays")
    func noSpace() async throws {
        let store = try RunStore.create(at: path, run: sampleRun(), plan: samplePlan())
        try await store.recordCell(sampleResult(sampleCell(0)))
        let pages = try await store.database.read { try Int.fetchOne($0, sql: "PRAGMA page_count") ?? 0 }
        try await store.database.write { try $0.execute(sql: "PRAGMA max_page_count = \(pages + 1)") }
        var evidence = sampleAttempt(sampleCell(1))
        evidence.evidence.restore?.log = String(repeating: "x", count: 100_000)
        let big = evidence
        await #expect(throws: StoreError.noSpace(path: path + "/run.sqlite")) { try await store.recordAttempt(big) }
        #expect(try await store.finishedCells() == [sampleCell(0)])
        #expect(try await store.attempts(of: sampleCell(1)) == [])
        try await store.close()
    }

    @Test("plan and scenario have hashes that tell them apart")
    func hashes() throws {
        #expect(try samplePlan().hash() == samplePlan().hash())
        #expect(try samplePlan().hash() != samplePlan(7).hash())
        #expect(sampleRun().scenarioHash == SHA256.hex(of: "hosts: {}\n".utf8))
    }
}
