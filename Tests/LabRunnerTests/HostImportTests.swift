import CRModel
import Testing

@testable import LabRunner
@testable import LabVM

@Suite("A real machine becomes a host")
struct HostImportTests {
    static func model(
        _ name: String, _ vendor: String, _ number: Int, _ features: [String], lost: [String] = []
    ) -> CPUSurvey.Model {
        CPUSurvey.Model(
            name: name, aliasOf: nil, vendor: vendor, family: vendor == "AuthenticAMD" ? 25 : 6, model: number,
            features: features + ["lm", "nx"], lost: lost, isPlain: lost.isEmpty)
    }

    static let base = ["sse", "sse2", "cx16"]
    static let haswell = base + ["avx", "avx2", "xsave", "bmi2"]
    static let milan = base + ["avx", "avx2", "xsave", "sha_ni", "pku"]

    static let survey = CPUSurvey(
        accelerator: "tcg", qemuVersion: "10.0.2",
        models: [
            model("Nehalem", "GenuineIntel", 26, base), model("Haswell", "GenuineIntel", 60, haswell),
            model("Haswell-too", "GenuineIntel", 61, haswell, lost: ["hle"]),
            model("Milan", "AuthenticAMD", 1, milan, lost: ["xsaves"]),
        ], possible: Set(haswell + milan + ["lm"]))

    static func machine(
        _ features: [String], vendor: String = "GenuineIntel", model: Int = 60, xcr0: UInt64 = 7,
        release: String = "6.12.95-1-amd64", libc: String = "2.36", extra: [MachineFingerprint.Leaf] = []
    ) -> MachineFingerprint {
        var leaves: [MachineFingerprint.Leaf] = MachineFingerprint.leaves.map {
            .init(leaf: $0.leaf, subleaf: $0.subleaf, eax: 0, ebx: 0, ecx: 0, edx: 0)
        }
        for name in features + ["lm"] {
            guard let feature = CPUFeature.byName[name],
                let index = leaves.firstIndex(where: { $0.leaf == feature.leaf && $0.subleaf == feature.subleaf })
            else { continue }
            switch feature.register {
            case "eax": leaves[index].eax |= 1 << UInt32(feature.bit)
            case "ebx": leaves[index].ebx |= 1 << UInt32(feature.bit)
            case "ecx": leaves[index].ecx |= 1 << UInt32(feature.bit)
            default: leaves[index].edx |= 1 << UInt32(feature.bit)
            }
        }
        let host = HostFingerprint(
            cpu: CPUFingerprint(
                vendor: vendor, brand: "", family: vendor == "AuthenticAMD" ? 25 : 6, model: model, stepping: 1,
                features: features, xcr0: xcr0, xstateBytes: 832, physicalAddressBits: 46, virtualAddressBits: 48,
                tscKilohertz: 0),
            kernel: KernelFingerprint(
                release: release, version: "#1", commandLine: "quiet vsyscall=none root=/dev/sda1", probe: [:],
                vdso: "",
                vdsoSymbols: []),
            userland: UserlandFingerprint(name: "Some Linux", libc: libc, diskImage: ""), runtimes: ["criu": "4.1"],
            memoryBytes: 1 << 30)
        return MachineFingerprint(
            host: host, cpuid: leaves + extra, state: [.init(component: 5, offset: 1088, bytes: 64)],
            kernelConfiguration: [:], sysctl: ["kernel.pid_max": "32768", "fs.nr_hugepages": "1"], cgroups: "v1",
            cgroupControllers: [], securityModules: ["yama", "selinux"])
    }

    static let offer = HostImport.Offer(
        survey: survey,
        kernels: [
            "debian-5.10": "5.10.0-32-amd64", "debian-6.12": "6.12.107+deb13", "debian-6.12.95": "6.12.95",
            "debian-7.1": "7.1.13",
        ], userlands: ["debian-11": "2.31", "debian-12": "2.36", "busybox-musl": ""])

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let machine: MachineFingerprint
        let cpu: String
        var missing: [String] = []
    }

    static let cases = [
        Case(testDescription: "a model as it is", machine: machine(haswell), cpu: "Haswell"),
        Case(
            testDescription: "the vendor's own family first", machine: machine(haswell, model: 61),
            cpu: "Haswell-too,reduced"),
        Case(
            testDescription: "what the machine lacks is taken away",
            machine: machine(haswell.filter { $0 != "bmi2" }), cpu: "Haswell,-bmi2"),
        Case(
            testDescription: "what another model has is added", machine: machine(haswell + ["sha_ni"]),
            cpu: "Haswell,+sha-ni"),
        Case(
            testDescription: "another vendor's instructions do not make it the nearer one",
            machine: machine(milan.filter { $0 != "pku" }), cpu: "Haswell,-bmi2,+sha-ni"),
        Case(
            testDescription: "AVX-512 is named with leaf and bit, and its state",
            machine: machine(haswell + ["avx512f"], xcr0: 0x27), cpu: "Haswell",
            missing: ["avx512f (CPUID 0x7.0 EBX bit 16)", "state component 5, opmask (XCR0 bit 5, 64 bytes)"]),
        Case(
            testDescription: "a bit without a name",
            machine: machine(
                haswell, extra: [.init(leaf: 7, subleaf: 1, eax: 1 << 30, ebx: 0, ecx: 0, edx: 0)]),
            cpu: "Haswell", missing: ["a feature that crlab has no name for (CPUID 0x7.1 EAX bit 30)"]),
    ]

    @Test("the nearest CPU, and what it lacks", arguments: cases)
    func cpu(_ c: Case) {
        let host = HostImport(c.machine, name: "h", from: Self.offer)
        #expect(host.cpu == c.cpu)
        #expect(host.missing == c.missing)
    }

    @Test("another vendor stands in, and it is said")
    func vendor() {
        let machine = Self.machine(Self.base, vendor: "HygonGenuine", model: 2)
        let host = HostImport(machine, name: "h", from: Self.offer)
        #expect(host.cpu == "Nehalem")
        #expect(host.differences.contains { $0.contains("vendor HygonGenuine") })
    }

    @Test(
        "the nearest kernel",
        arguments: [
            ("6.12.95-1-amd64", "debian-6.12.95"), ("6.12.120", "debian-6.12"), ("6.18.3", "debian-6.12"),
            ("7.4.0", "debian-7.1"), ("4.19.1", "debian-5.10"), ("", "debian-5.10"),
        ])
    func kernel(_ release: String, _ expected: String) {
        #expect(HostImport.kernel(release, Self.offer.kernels) == expected)
    }

    @Test("the nearest userland", arguments: [("2.36", "debian-12"), ("2.17", "debian-11"), ("", "busybox-musl")])
    func userland(_ libc: String, _ expected: String) {
        let machine = Self.machine(Self.base, libc: libc)
        #expect(HostImport(machine, name: "h", from: Self.offer).userland == expected)
    }

    @Test("settings, arguments and the rest")
    func rest() {
        let host = HostImport(Self.machine(Self.haswell), name: "h", from: Self.offer)
        #expect(host.kernelArguments == ["vsyscall=none"])
        #expect(host.sysctl == ["kernel.pid_max": "32768"])
        #expect(host.differences.contains("cgroups v1: guests have v2"))
        #expect(host.differences.contains { $0.hasPrefix("security modules selinux") })
        #expect(host.yaml.hasPrefix("hosts:\n  h:\n    cpu: \"Haswell\"\n    kernel: debian-6.12.95\n"))
        #expect(host.yaml.contains("      kernel.pid_max: \"32768\"\n"))
    }

    @Test("a fingerprint survives its own JSON, and other documents are refused")
    func document() throws {
        let machine = Self.machine(Self.haswell)
        #expect(try MachineFingerprint(text: JSONCoder.text(of: machine, pretty: true)) == machine)
        #expect(throws: (any Error).self) { try MachineFingerprint(text: "{\"schema\":\"crlab.results/1\"}") }
        #expect(throws: (any Error).self) { try MachineFingerprint(text: "[") }
    }

    @Test("no two features share a place or a name")
    func table() {
        #expect(Set(CPUFeature.all.map(\.place)).count == CPUFeature.all.count)
        #expect(CPUFeature.byName.count == CPUFeature.all.count)
        #expect(CPUFeature.byQEMU.count == CPUFeature.all.count)
    }

    @Test("classes: models that differ only in what no program sees are one")
    func classes() {
        let survey = Self.survey
        #expect(survey.classes.map { $0.models.map(\.name) } == [["Nehalem"], ["Haswell", "Haswell-too"], ["Milan"]])
        #expect(survey.classes.map(\.state) == [0, 7, 0x207])
        #expect(survey.classes.map(\.base) == [nil, 1, 1])
        #expect(survey.impossible.contains("avx512f") && !survey.impossible.contains("avx2"))
    }
}
