import Foundation
import Testing

extension GuestTests {
    /// The lab's own failures, made on purpose: never an incompatibility.
    @Suite("failures of the lab", .timeLimit(.minutes(3)))
    struct LabFailureTests {
        static let cell = "native/counter/haswell/haswell"

        @Test("a guest killed under a cell: the cell is done again alone, and ends right")
        func guestKilledOnce() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.single(), to: "single.yaml")
                let run = sandbox.run("run")
                let execution = try sandbox.start(sandbox.runWords(scenario, into: run))
                // The first guest makes the dump, the second one makes it again alone; the third one restores.
                for boot in [1, 3] {
                    try await execution.hears("slower than this machine", times: boot)
                    let guests = sandbox.census.guests
                    #expect(guests.map(\.host) == ["haswell"])
                    for guest in guests { sandbox.census.kill(guest) }
                }
                let answer = try await execution.end(seconds: 120)
                #expect(answer.status == 0, "\(answer)")
                #expect(answer.errors.contains("alone in a fresh guest"), "\(answer)")
                let results = try run.results()
                #expect(results.verdicts == [Self.cell: "restored"])
                #expect(results.run.boots == 4)
                try await sandbox.expectNothingLeft()
            }
        }

        @Test("guests killed under every attempt: a miss")
        func guestKilledAlways() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.single(), to: "single.yaml")
                let run = sandbox.run("run")
                let execution = try sandbox.start(sandbox.runWords(scenario, into: run))
                for boot in [2, 3] {
                    try await execution.hears("slower than this machine", times: boot)
                    for guest in sandbox.census.guests { sandbox.census.kill(guest) }
                }
                let answer = try await execution.end(seconds: 120)
                #expect(answer.status == 69, "\(answer)")
                let cell = try #require(try run.results()[Self.cell])
                #expect(cell.outcome == nil && cell.health == "miss" && cell.expected == nil, "\(cell)")
                #expect(cell.finding?.reason.hasPrefix("harness.") == true, "\(cell)")
                try await run.expectWhole()
                try await sandbox.expectNothingLeft()
            }
        }

        @Test("stored images cut and damaged between dump and restore")
        func damagedImages() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.single(["counter", "pipes"]), to: "single.yaml")
                let run = sandbox.run("run")
                let execution = try sandbox.start(sandbox.runWords(scenario, into: run))
                try await wait("both dumps to be stored", seconds: 90) { run.images.count == 2 }
                execution.send(SIGKILL)
                _ = try await execution.end(seconds: 5)
                try await sandbox.expectNothingLeft()
                let images = run.images
                try #require(images.count == 2)
                let cut = try Data(contentsOf: URL(filePath: images[0]))
                try cut.prefix(cut.count / 2).write(to: URL(filePath: images[0]))
                var damaged = try Data(contentsOf: URL(filePath: images[1]))
                damaged[damaged.count / 2] ^= 0x10
                try damaged.write(to: URL(filePath: images[1]))

                let answer = try await sandbox.crlab(sandbox.resumeWords(run))
                let results = try run.results()
                #expect(results.cells.count == 2)
                // Restored before, dumped again, or given up as the lab's own fault; never a statement about hosts.
                for cell in results.cells {
                    #expect(["restored", "miss harness.image"].contains(cell.verdict), "\(cell)")
                }
                #expect(answer.status == (results.run.counts.misses == 0 ? 0 : 69), "\(answer)")
                try await run.expectWhole()
            }
        }

        static let mountMissing = geteuid() == 0 ? nil : "making a small file system needs root"

        @Test(
            "a full disk is a clear error, and the run goes on once there is space",
            .enabled(if: mountMissing == nil, Comment(rawValue: mountMissing ?? "")))
        func fullDisk() async throws {
            try await Sandbox.with { sandbox in
                let disk = sandbox.path("disk")
                try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
                let mounted = try await Tool.run(["/bin/mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk])
                try #require(mounted.status == 0, "\(mounted)")
                do {
                    try await Self.fillAndGoOn(sandbox, disk: disk)
                } catch {
                    _ = try await Tool.run(["/bin/umount", "-l", disk])
                    throw error
                }
                _ = try await Tool.run(["/bin/umount", "-l", disk])
            }
        }

        private static func fillAndGoOn(_ sandbox: Sandbox, disk: String) async throws {
            let scenario = try sandbox.write(Scenarios.single(["counter", "pipes"]), to: "single.yaml")
            let run = RunFolder(path: disk + "/run")
            let execution = try sandbox.start(sandbox.runWords(scenario, into: run))
            try await execution.hears("slower than this machine")
            // All that is left now is taken by something else.
            try fill(disk + "/filler")
            let full = try await execution.end(seconds: 90)
            #expect(full.status == 69, "\(full)")
            #expect(full.errors.contains(/(?i)space|disk full/), "\(full)")
            try await sandbox.expectNothingLeft()

            try FileManager.default.removeItem(atPath: disk + "/filler")
            let resumed = try await sandbox.crlab(sandbox.resumeWords(run))
            let results = try run.results()
            #expect(results.isFreeOfIncompatibility, "\(results.verdicts)")
            #expect(resumed.status == 0, "\(resumed)")
            #expect(results.run.counts.restored == 2, "\(results.verdicts)")
            try await run.expectWhole()
        }

        /// Writes until the file system is full.
        private static func fill(_ path: String) throws {
            let fd = open(path, O_WRONLY | O_CREAT, 0o600)
            guard fd >= 0 else { throw Failure("cannot create \(path)") }
            defer { close(fd) }
            for size in [1 << 20, 4096, 1] {
                let block = [UInt8](repeating: 0, count: size)
                while write(fd, block, size) == size {}
            }
        }
    }
}
