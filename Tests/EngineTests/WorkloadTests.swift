import Foundation
import Testing

extension EngineTests {
    /// Workloads by themselves, without any dump: one that cannot fail would prove nothing, and one that fails alone would
    /// blame the engine. Needs no root.
    @Suite("workloads check themselves", .enabled(if: !Workload.all.isEmpty, "run 'make workloads'"))
    struct WorkloadTests {
        @Test("an undisturbed workload verifies", arguments: Workload.all)
        func whole(_ workload: Workload) throws {
            let running = try RunningWorkload(workload)
            defer { running.finish() }
            try running.advance(3)
            try running.verify()
            #expect(running.events == ["ready", "verified"])
        }

        @Test("a workload that breaks itself says so", arguments: Workload.all)
        func broken(_ workload: Workload) throws {
            let running = try RunningWorkload(workload.with("CRLAB_BREAK=1"))
            defer { running.finish() }
            try wait("\(workload.name): failed:", seconds: 20) { running.events.last?.hasPrefix("failed:") == true }
            #expect(!running.events.contains("verified"))
        }
    }
}
