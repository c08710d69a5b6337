import CRModel
import Testing

@testable import LabVM

@Suite("QEMU's command line")
struct QEMUArgumentsTests {
    private func words(_ spec: HostSpec, disk: String?, _ accelerator: Accelerator = .tcg) -> [String] {
        QEMUArguments(
            qemu: QEMUBinary(executable: "/q", dataFolders: ["/d"]), spec: spec,
            cpu: CPUChoice(requested: "Haswell", argument: "Haswell,-pcid", reducedBy: ["pcid"]),
            images: BootImages(kernel: "/k", initramfs: "/i", disk: disk), accelerator: accelerator,
            tscKilohertz: 2_596_136
        ).words
    }

    private func value(_ option: String, in words: [String]) -> String? {
        words.firstIndex(of: option).map { words[$0 + 1] }
    }

    @Test("enforced CPU, sandbox, no network, no reboot")
    func safety() {
        let words = words(HostSpec(name: "a", cpu: "Haswell", kernel: "k"), disk: "/x,y")
        #expect(value("-cpu", in: words) == "Haswell,-pcid,enforce")
        #expect(value("-sandbox", in: words)?.hasPrefix("on,") == true)
        #expect(words.contains("-nodefaults") && words.contains("-no-reboot"))
        #expect(!words.contains { $0.contains("netdev") || $0.contains("virtio-net") })
        // A comma in a path must not end the option.
        #expect(value("-blockdev", in: words)?.contains(#""filename":"/x,y","read-only":true"#) == true)
    }

    @Test("the kernel's words depend on the accelerator")
    func commandLine() {
        var spec = HostSpec(name: "a", cpu: "Haswell", kernel: "k", kernelArguments: ["clearcpuid=avx2"])
        let tcg = value("-append", in: words(spec, disk: nil))
        #expect(tcg?.contains("tsc_early_khz=2596136 tsc=reliable no_timer_check") == true)
        // The kernel obeys the last one: a scenario's replaces the lab's.
        let cleared = tcg?.split(separator: " ").filter { $0.hasPrefix("clearcpuid=") }
        #expect(cleared == ["clearcpuid=297,580,395", "clearcpuid=avx2"])
        let kvm = value("-append", in: words(spec, disk: nil, .kvm))
        #expect(kvm?.contains("tsc_early") == false && kvm?.contains("297") == false)
        spec.machine = "microvm"
        let microvm = words(spec, disk: "/d")
        #expect(microvm.contains("virtio-serial-device"))
        #expect(microvm.contains("virtio-blk-device,drive=root,serial=root"))
    }

    @Test("a template's memory is shared with its file, a clone's is not, and QEMU waits for the clone's state")
    func memory() {
        var arguments = QEMUArguments(
            qemu: QEMUBinary(executable: "/q"), spec: HostSpec(name: "a", cpu: "Haswell", kernel: "k"),
            cpu: CPUChoice(requested: "Haswell", argument: "Haswell", reducedBy: []),
            images: BootImages(kernel: "/k", initramfs: "/i", disk: nil), accelerator: .tcg, tscKilohertz: 1)
        #expect(!arguments.words.contains("-object") && !arguments.words.contains("-incoming"))
        let cold = arguments.machineWords
        arguments.memory = .template("/t,x/ram")
        #expect(value("-object", in: arguments.words)?.contains(#""mem-path":"/t,x/ram""#) == true)
        #expect(value("-object", in: arguments.words)?.contains(#""share":true,"size":536870912"#) == true)
        #expect(value("-machine", in: arguments.words) == "q35,memory-backend=ram")
        #expect(!arguments.words.contains("-incoming"))
        arguments.memory = .clone("/t/ram")
        #expect(value("-object", in: arguments.words)?.contains(#""share":false"#) == true)
        #expect(value("-incoming", in: arguments.words) == "defer")
        // Hosts that differ in their name only share a template.
        arguments.memory = .own
        arguments.spec.name = "b"
        #expect(arguments.machineWords == cold && arguments.words.contains("crlab-b"))
    }

    struct ClockCase: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var kilohertz: Int
        var testDescription: String { name }
    }

    @Test(
        "the lab machine's TSC",
        arguments: [
            ClockCase(
                name: "known", text: "model name\t: AMD EPYC\ncpu MHz\t\t: 2596.136\nflags\t\t: fpu tsc_known_freq\n",
                kilohertz: 2_596_136),
            ClockCase(
                name: "nominal", text: "model name\t: Intel(R) X @ 2.60GHz\ncpu MHz\t\t: 1200.5\nflags\t: fpu\n",
                kilohertz: 2_600_000),
            ClockCase(name: "unknown", text: "model name\t: AMD EPYC\ncpu MHz\t\t: 1200.5\n", kilohertz: 0),
            ClockCase(name: "empty", text: "", kilohertz: 0),
        ])
    func clock(_ c: ClockCase) {
        #expect(LabClock.tscKilohertz(cpuinfo: c.text) == c.kilohertz)
    }
}
