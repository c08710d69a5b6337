/// Scenario texts.
enum Scenarios {
    /// Two CPUs, one with AVX2; with what is really expected of it.
    static func pair(_ workloads: [String] = ["counter", "avx2-dispatch"]) -> String {
        """
        title: Two CPUs
        defaults: { kernel: \(GuestLab.kernel), userland: \(GuestLab.userland) }
        hosts:
          haswell: { cpu: Haswell }
          nehalem: { cpu: Nehalem }
        workloads: [\(workloads.joined(separator: ", "))]
        expect:
          - outcome: restored
            because: the destination has all that the workload uses
          - match: { workload: avx2-dispatch, source: haswell, destination: nehalem }
            outcome: broke
            reason: cpu.instruction-missing
            because: picked AVX2 code when it started
        """
    }

    /// One host: all cells are controls.
    static func single(_ workloads: [String] = ["counter"], outcome: String = "restored") -> String {
        """
        title: One host
        defaults: { kernel: \(GuestLab.kernel), userland: \(GuestLab.userland) }
        hosts:
          haswell: { cpu: Haswell }
        workloads: [\(workloads.joined(separator: ", "))]
        expect:
          - outcome: \(outcome)
            because: this test says so
        """
    }
}
