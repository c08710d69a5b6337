import Testing

@testable import LinuxKit

@Suite("Settings of the kernel")
struct SysctlTests {
    @Test(
        "names",
        arguments: [
            ("kernel.pid_max", "/proc/sys/kernel/pid_max"),
            ("net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"),
        ])
    func path(_ name: String, _ expected: String) {
        #expect(Sysctl.path(name) == expected)
    }

    @Test("values are equal however they are spaced")
    func values() {
        #expect(Sysctl.plain("4\t4  1\t7\n") == "4 4 1 7")
        #expect(Sysctl.value("kernel.ostype") == "Linux")
        #expect(Sysctl.value("kernel.no_such_setting") == nil)
    }

    @Test("a setting that does not exist is an error with its file")
    func missing() {
        #expect(throws: LinuxError.self) { try Sysctl.set("kernel.no_such_setting", to: "1") }
    }

    @Test("a kernel's configuration: what is not there is not set")
    func configuration() {
        let found = MachineProbe.values(
            in: "# CONFIG_USER_NS is not set\nCONFIG_CHECKPOINT_RESTORE=y\nCONFIG_HZ=250\nCONFIG_OTHER=y\n")
        #expect(found["CHECKPOINT_RESTORE"] == "y")
        #expect(found["HZ"] == "250")
        #expect(found["USER_NS"] == "n")
        #expect(found["OTHER"] == nil)
        #expect(MachineProbe.values(in: "nothing").isEmpty)
    }

    @Test("this machine's fingerprint names the bits that its CPU shows")
    func machine() {
        let machine = MachineProbe.fingerprint(runtimes: [:])
        #expect(machine.features.contains { $0.name == "sse2" && $0.place == "CPUID 0x1.0 EDX bit 26" })
        #expect(!machine.cpuid.isEmpty)
        #expect(machine.state.isEmpty == (machine.host.cpu.xcr0 & ~3 == 0))
    }
}
