import Foundation
import Testing

extension GuestTests {
    @Suite("hosts like real machines")
    struct ImportTests {
        @Test("this machine's fingerprint becomes a host that boots and a scenario that plans", .timeLimit(.minutes(3)))
        func thisMachine() async throws {
            try await Sandbox.with { sandbox in
                let shown = try await sandbox.crlab(["fingerprint"])
                #expect(shown.status == 0, "\(shown)")
                // With a kernel that is prepared: fetching another would charge this test with the network's time.
                let text = shown.output.replacing(#/"release": "[^"]*"/#, with: #""release": "6.1.0-50-cloud-amd64""#)
                let file = try sandbox.write(text, to: "machine.json")
                let words = ["hosts", "import", file, "--name", "mine", "--boot", "--accelerator", "tcg"]
                let imported = try await sandbox.crlab(words, seconds: 120)
                #expect(imported.status == 0, "\(imported)")
                #expect(imported.output.contains("    kernel: \(GuestLab.kernel)\n"), "\(imported)")
                let booted = try #require(imported.output.split(separator: "# Booted:\n").last, "\(imported)")
                #expect(booted.contains("#   kernel 6.1."), "\(imported)")
                let scenario = try sandbox.write(imported.output + "workloads: [counter]\n", to: "mine.yaml")
                let plan = try await sandbox.crlab(["plan", scenario, "--format", "json"]).decoded(PlanAnswer.self)
                #expect(plan.cells.map(\.id) == ["native/counter/mine/mine"])
                try await sandbox.expectNothingLeft()
            }
        }
    }
}
