import Foundation
import Testing

extension GuestTests {
    /// Guests that go wrong under their work: no wrong outcome, and the run comes to its end.
    ///
    /// Killed guests, damaged images and full disks are in ``LabFailureTests``, damaged templates in ``WarmTests``, a
    /// killed `crlab` in ``StopTests``.
    @Suite("guests that go wrong", .timeLimit(.minutes(5)))
    struct GuestFaultTests {
        @Test("a guest that hangs: the work is done again alone, and ends right")
        func hung() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(Scenarios.single(), to: "single.yaml")
                let run = sandbox.run("run")
                let execution = try sandbox.start(sandbox.runWords(scenario, into: run))
                try await execution.hears("slower than this machine")
                for guest in sandbox.census.guests { sandbox.census.send(SIGSTOP, to: guest) }
                let answer = try await execution.end(seconds: 240)
                #expect(answer.status == 0, "\(answer)")
                #expect(answer.errors.contains("alone in a fresh guest"), "\(answer)")
                #expect(try run.results().verdicts == [LabFailureTests.cell: "restored"])
                try await sandbox.expectNothingLeft()
            }
        }

        /// What the shell runs once the workload works.
        private static let faults = [
            "calm": ":", "panics": "echo c > /proc/sysrq-trigger", "clock": "date -s '2031-01-01 00:00:00' > /dev/null",
        ]

        private static let program = """
            #!/bin/sh
            count=0
            echo ready >> status
            while [ ! -e verify ]; do
                count=$((count + 1))
                printf '%020d\\n' $count 1<> progress
                [ $count = 2 ] && { FAULT; }
                sleep 0.05
            done
            echo verified >> status

            """

        @Test("a guest that panics and one whose clock is moved: only the work that did it suffers")
        func panicAndClock() async throws {
            try await Sandbox.with { sandbox in
                try Self.makeUserland(sandbox)
                let scenario = try sandbox.write(
                    """
                    title: Workloads that break their guests
                    defaults: { kernel: \(GuestLab.kernel), userland: shell }
                    hosts:
                      haswell: { cpu: Haswell }
                    userlands:
                      shell: { root: { directory: root } }
                    workloads: [calm, clock, panics]
                    expect:
                      - outcome: restored
                        because: what happens to the guest says nothing about hosts
                    """, to: "faults.yaml")
                let run = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: run), seconds: 240)
                let results = try run.results()
                #expect(answer.status == 69, "\(answer)")
                #expect(results["native/calm/haswell/haswell"]?.verdict == "restored", "\(answer)")
                #expect(results["native/clock/haswell/haswell"]?.verdict == "restored", "\(answer)")
                #expect(answer.errors.contains("alone in a fresh guest (clock)"), "\(answer)")
                let panics = try #require(results["native/panics/haswell/haswell"])
                #expect(panics.outcome == nil && panics.verdict.hasPrefix("miss harness."), "\(panics)")
                #expect(panics.finding?.summary.contains("panic") == true, "\(panics)")
                // No guest that a fault was seen in did anything after it.
                #expect(results.run.boots >= 5, "\(answer)")
                #expect(results.controls.map(\.kind) == ["known-fault"] && results.controls[0].passed == true)
                try await run.expectWhole()
                try await sandbox.expectNothingLeft()
            }
        }

        /// A userland of a shell and no more, with these workloads and no others.
        private static func makeUserland(_ sandbox: Sandbox) throws {
            let files = FileManager.default
            for name in ["sh", "sleep", "date"] {
                try copy("/bin/" + name, to: sandbox.path("root/bin/" + name))
            }
            for path in ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"] {
                try copy(path, to: sandbox.path("root" + path))
            }
            let workloads = sandbox.path("home/.build/workloads")
            try files.removeItem(atPath: workloads)
            for (name, fault) in faults {
                let folder = workloads + "/" + name
                try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try Data(program.replacing("FAULT", with: fault).utf8)
                    .write(to: URL(filePath: folder + "/run"))
                let manifest = """
                    {"name": "\(name)", "summary": "a fault of its guest", "needs": [], "latches": [], "readySeconds": 10,
                     "command": ["/bin/sh", "/opt/crlab/workloads/\(name)/run"]}
                    """
                try Data(manifest.utf8).write(to: URL(filePath: folder + "/workload.json"))
            }
        }

        private static func copy(_ path: String, to target: String) throws {
            let folder = URL(filePath: target).deletingLastPathComponent().path(percentEncoded: false)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let file = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
            try FileManager.default.copyItem(atPath: file, toPath: target)
        }
    }
}
