import Foundation
import Testing

extension EngineTests {
    /// What an image cannot hold makes the dump refuse by name, and the workload runs on unharmed.
    @Suite("refusals leave the workload running", EngineLab.trait)
    struct RefusalTests {
        struct Case: Sendable, CustomTestStringConvertible {
            var kind: String
            /// One of these words must be in the refusal, so that a reader knows what to get rid of.
            var words: [String]
            var testDescription: String { kind }
            init(_ kind: String, _ words: String...) {
                self.kind = kind
                self.words = words
            }
        }

        static let cases = [
            Case("io_uring", "io_uring"), Case("aio", "aio"),
            Case("fanotify", "fanotify"), Case("userfaultfd", "userfaultfd"),
            Case("perf", "perf"), Case("bpf", "bpf"),
            Case("sysv-undo", "SEM_UNDO"), Case("mseal", "sealed"), Case("secret-memory", "secret"),
            Case("session-keyring", "keyring"), Case("segments", "descriptor table"),
            Case("landlock", "Landlock"), Case("signed-tcp", "MD5"),
            Case("mqueue-notify", "mq_notify"),
            Case("traced-child", "tracing"),
            Case("vfork", "vfork"), Case("foreign-terminal", "terminal"), Case("stray", "left the tree"),
        ]

        @Test("an object that no image holds", arguments: cases)
        func object(_ c: Case) throws {
            let running = try RunningWorkload(Workload(holding: c.kind))
            defer { running.finish() }
            if let reason = running.events.first(where: { $0.hasPrefix("cannot:") }) {
                print("engine tests skip \(c.kind): \(reason)")
                return
            }
            try Self.expectRefusal(of: running, naming: c.words)
        }

        @Test("a workload that needs more than this engine carries", arguments: Workload.refused)
        func workload(_ workload: Workload) throws {
            let running = try RunningWorkload(workload)
            defer { running.finish() }
            try Self.expectRefusal(of: running, naming: ["socket", "terminal", "lock"])
        }

        static func expectRefusal(of running: RunningWorkload, naming words: [String]) throws {
            try running.advance()
            let answer = try Engine.run(["dump", "--pid", "\(running.pid)", "-o", running.image])
            #expect(answer.code == 1, "dump: \(Engine.words(answer))")
            let refusal = answer.json?["refusal"]
            #expect(refusal?["reason"]?.text == "workload-unsupported", "\(Engine.words(answer))")
            let named = [refusal?["object"]?.text, refusal?["message"]?.text].compactMap { $0 }.joined(separator: " ")
            #expect(words.contains { named.localizedCaseInsensitiveContains($0) }, "the refusal says: \(named)")
            #expect((refusal?["task"]?.int ?? 0) > 0, "the refusal names no task: \(answer.stdout)")
            do {
                try running.advance(2)
                try running.verify()
            } catch {
                Issue.record("after the refused dump: \(error)")
            }
        }
    }
}
