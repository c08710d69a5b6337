import CRModel
import LabClassify
import Testing

@Suite("What differs between two hosts")
struct HostDifferenceTests {
    @Test("features are split by whether they can make an instruction fault")
    func features() {
        let difference = HostDifference(
            source: Samples.host(), destination: Samples.host(features: Samples.old + ["rdseed"], xcr0: 3))
        #expect(difference.instructionsLost == ["abm", "avx", "avx2", "bmi1", "bmi2", "fma", "movbe", "xsave"])
        #expect(difference.otherFeaturesLost == ["erms"])
        #expect(difference.featuresGained == ["rdseed"])
        #expect(difference.stateLost == 4)
        #expect(difference.facts.allSatisfy { $0.category == .cpu })
        #expect(difference.facts.contains { $0.text == "state components that the destination lacks: AVX" })
    }

    @Test("equal hosts differ in nothing; a TSC that jitters is no difference")
    func equal() {
        var other = Samples.host()
        other.cpu.tscKilohertz += 900
        #expect(HostDifference(source: Samples.host(), destination: other).facts.isEmpty)
        other.cpu.tscKilohertz += 100_000
        #expect(HostDifference(source: Samples.host(), destination: other).facts.count == 1)
    }

    @Test("one kernel's vDSO differs by CPU, which is no kernel difference")
    func vdso() {
        let sameKernel = HostDifference(
            source: Samples.host(), destination: Samples.host(features: Samples.old, vdso: "bb"))
        #expect(!sameKernel.facts.contains { $0.category == .kernel })
        let otherKernel = HostDifference(
            source: Samples.host(), destination: Samples.host(kernel: "6.12.0", vdso: "bb"))
        #expect(otherKernel.facts.allSatisfy { $0.category == .kernel })
        #expect(otherKernel.facts.contains { $0.text.hasPrefix("vDSO") })
    }

    @Test("a probe is lost when only the destination answers with an error name")
    func probes() {
        let difference = HostDifference(
            source: Samples.host(probe: ["a": "ok", "b": "ENOSYS", "c": "12", "d": "ok"]),
            destination: Samples.host(
                kernel: "5.10.0", probe: ["a": "ENOSYS", "b": "ENOSYS", "c": "EINVAL", "d": "ok"]))
        #expect(difference.probesLost == ["a", "c"])
    }

    @Test("relevant facts come first and the rest is cut")
    func order() {
        let difference = HostDifference(
            source: Samples.host(),
            destination: Samples.host(
                features: Samples.old, kernel: "6.12.0", vdso: "b", userland: "x", runtimes: ["native": "0.2.0"]))
        #expect(difference.facts(first: .filesystem, limit: 1).map(\.category) == [.filesystem])
        #expect(difference.facts(first: .runtimeVersion, limit: 2).map(\.category).first == .runtimeVersion)
        #expect(difference.facts(first: .kernel, limit: 100).count == difference.facts.count)
    }
}
