import CRModel
import Testing

@testable import LabScenario

@Suite("Hosts of a scenario")
struct HostTests {
    static let catalogue: Catalogue = {
        var catalogue = Catalogue(workloads: ["counter"], kernels: ["debian-6.1"])
        catalogue.families = ["debian": ["debian-6.12-first", "debian-7.1"]]
        catalogue.mayBeKernel = { $0 == "debian-6.12.95" }
        catalogue.qemus = ["qemu-10.0", "qemu-11"]
        return catalogue
    }()

    static func host(_ text: String, defaults: String = "") throws -> HostSpec {
        try #require(
            scenario(
                """
                defaults: { cpu: Haswell, kernel: debian-6.1\(defaults) }
                hosts:
                  a: \(text)
                workloads: all

                """, catalogue: catalogue
            ).hosts.first)
    }

    @Test("a QEMU of its own, and settings of the running kernel")
    func asked() throws {
        let host = try Self.host(
            #"{ qemu: qemu-11, sysctl: { kernel.pid_max: 32768, net/ipv4/conf/eth0.1/forwarding: "1" } }"#)
        #expect(host.qemu == "qemu-11")
        #expect(host.sysctl == ["kernel.pid_max": "32768", "net/ipv4/conf/eth0.1/forwarding": "1"])
        let plain = try Self.host("{ memory: 256 }")
        #expect(plain.qemu == nil && plain.sysctl == nil)
    }

    @Test("defaults hold for hosts that say nothing")
    func defaults() throws {
        let host = try Self.host("{ memory: 256 }", defaults: ", qemu: qemu-10.0, sysctl: { vm.max_map_count: 5 }")
        #expect(host.qemu == "qemu-10.0")
        #expect(host.sysctl == ["vm.max_map_count": "5"])
    }

    @Test("a host's settings add to the defaults', and win over them")
    func settings() throws {
        let host = try Self.host(
            "{ sysctl: { kernel.pid_max: 7, vm.swappiness: 1 } }",
            defaults: ", sysctl: { vm.max_map_count: 5, vm.swappiness: 60 }")
        #expect(host.sysctl == ["vm.max_map_count": "5", "kernel.pid_max": "7", "vm.swappiness": "1"])
    }

    @Test("kernels of families", arguments: ["debian-6.12-first", "debian-7.1", "debian-6.12.95"])
    func families(_ kernel: String) throws {
        #expect(try Self.host("{ kernel: \(kernel) }").kernel == kernel)
    }

    @Test("what is left of a model")
    func reduced() throws {
        #expect(try Self.host("{ cpu: 'Icelake-Server,reduced,-avx2' }").cpu == "Icelake-Server,reduced,-avx2")
    }

    @Test(
        "refused",
        arguments: [
            "{ qemu: qemu-9 }", "{ kernel: debian-9.9 }", "{ sysctl: { pid_max: 1 } }", "{ sysctl: { kernel..x: 1 } }",
            "{ sysctl: { /kernel/x: 1 } }", "{ sysctl: { Kernel.x: 1 } }", "{ sysctl: { kernel.x: '' } }",
            "{ sysctl: { kernel.x: [1] } }", "{ sysctl: [kernel.x] }", "{ sysctl: { 'kernel.x y': 1 } }",
            "{ cpu: 'Haswell,lessened' }",
        ])
    func refused(_ text: String) {
        #expect(throws: ScenarioError.self) { try Self.host(text) }
    }
}
