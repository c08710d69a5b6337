import Foundation
import Testing

extension GuestTests {
    /// Guests that are cloned and not booted.
    @Suite("warm hosts", .timeLimit(.minutes(3)))
    struct WarmTests {
        /// What one guest says of itself.
        private struct Words {
            var random: String
            var uuid: String
            var time: Double
            /// What crlab said on standard error.
            var progress: String
        }

        /// Runs a script in a fresh guest and ends it.
        private func ask(_ sandbox: Sandbox, _ scenario: String, _ more: [String] = []) async throws -> Words {
            let script = """
                head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo
                cat /proc/sys/kernel/random/uuid
                date +%s.%N
                """
            let answer = try await sandbox.crlab(
                ["shell", "haswell", "--scenario", scenario, "--accelerator", "tcg"] + more + [
                    "--", "/bin/sh", "-c", script,
                ])
            #expect(answer.status == 0, "\(answer)")
            let lines = answer.output.split(whereSeparator: \.isNewline).map(String.init)
            try #require(lines.count == 3, "\(answer)")
            return Words(
                random: lines[0], uuid: lines[1], time: try #require(Double(lines[2])), progress: answer.errors)
        }

        /// The one template of this test's own cache.
        private func template(_ sandbox: Sandbox) throws -> String {
            let folder = sandbox.path("cache/templates")
            let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasSuffix(".lock") }
            try #require(names.count == 1, "\(names)")
            return folder + "/" + names[0]
        }

        @Test("two clones draw different random numbers and have the right time; a damaged template is made again")
        func clones() async throws {
            try await Sandbox.with { sandbox in
                try sandbox.takeOwnTemplates()
                let scenario = try sandbox.write(Scenarios.single(), to: "single.yaml")
                var seen: [Words] = []
                for number in 0..<2 {
                    let before = Date.now.timeIntervalSince1970
                    let words = try await ask(sandbox, scenario)
                    let after = Date.now.timeIntervalSince1970
                    // The second guest is frozen time after time; what it says is the time of this machine.
                    #expect(words.time > before - 1 && words.time < after + 1, "\(number): \(words)")
                    seen.append(words)
                }
                #expect(Set(seen.map(\.random)).count == 2 && Set(seen.map(\.uuid)).count == 2, "\(seen)")
                let made = try template(sandbox)
                let marks = try FileManager.default.attributesOfItem(atPath: made + "/ram")
                #expect((marks[.size] as? Int) == 512 << 20)

                // The state's end is gone, as after a full disk: not used, made again.
                #expect(truncate(made + "/state", 1000) == 0)
                _ = try await ask(sandbox, scenario)
                #expect(try FileManager.default.contentsOfDirectory(atPath: made).contains("manifest.json"))
                #expect(try Data(contentsOf: URL(filePath: made + "/state")).count > 10_000)
                // Cold, the template is not even looked at.
                #expect(truncate(made + "/state", 1000) == 0)
                _ = try await ask(sandbox, scenario, ["--cold"])
                #expect(try Data(contentsOf: URL(filePath: made + "/state")).count == 1000)
                try await sandbox.expectNothingLeft()
            }
        }
    }
}
