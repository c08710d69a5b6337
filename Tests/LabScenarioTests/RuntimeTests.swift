import CRModel
import Foundation
import Testing

@testable import LabScenario

@Suite("runtimes of a scenario")
struct RuntimeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        /// Below `runtimes:`.
        var text: String
        var expected: [RuntimeSpec]
        var testDescription: String { name }
    }

    private static func use(_ runtime: RuntimeName, _ arguments: String..., globals: [String] = []) -> RuntimeUse {
        RuntimeUse(runtime: runtime, options: RuntimeOptions(globals: globals, arguments: arguments))
    }

    static let catalogue = Catalogue(
        workloads: ["counter", "ymm-live"], runtimes: ["native", "criu-3.17", "criu-4.1", "runsc-2024"],
        kernels: ["debian-6.1"])

    static let cases = [
        Case(name: "one name", text: "criu-4.1", expected: [RuntimeSpec("criu-4.1")]),
        Case(
            name: "a mapping in place of a list", text: "{ criu-4.1: { shell-job: true, file-locks: false } }",
            expected: [
                RuntimeSpec(
                    name: "criu-4.1", dump: use("criu-4.1", "--shell-job"), restore: use("criu-4.1", "--shell-job"))
            ]),
        Case(
            name: "a name of its own, both stages, one stage, words as they are",
            text: """
                [native, { criu-caps: { runtime: criu-4.1, cpu-cap: [cpu, fpu], args: [-x], external: ["mnt[]"],
                  restore: { cpu-cap: none, file-validation: filesize } } }]
                """,
            expected: [
                RuntimeSpec(.native),
                RuntimeSpec(
                    name: "criu-caps", dump: use("criu-4.1", "--cpu-cap=cpu,fpu", "--external", "mnt[]", "-x"),
                    restore: use(
                        "criu-4.1", "--cpu-cap=none", "--file-validation=filesize", "--external", "mnt[]", "-x")),
            ]),
        Case(
            name: "another version at restore",
            text: "[{ criu-up: { runtime: criu-3.17, restore: { runtime: criu-4.1 } } }]",
            expected: [RuntimeSpec(name: "criu-up", dump: use("criu-3.17"), restore: use("criu-4.1"))]),
        Case(
            name: "an option for one stage only", text: "[{ native: { force: [cpu.tsc, kernel.vdso], tcp: close } }]",
            expected: [
                RuntimeSpec(
                    name: "native", dump: use("native", "--tcp=close"),
                    restore: use("native", "--tcp=close", "--force", "cpu.tsc", "--force", "kernel.vdso"))
            ]),
        Case(
            name: "flags before and after the subcommand, annotations",
            text: """
                [{ runsc-2024: { platform: ptrace, directfs: false, compression: none, annotations: { a.b: "1" } } }]
                """,
            expected: [
                RuntimeSpec(
                    name: "runsc-2024",
                    dump: RuntimeUse(
                        runtime: "runsc-2024",
                        options: RuntimeOptions(
                            globals: ["--platform=ptrace", "--directfs=false"], arguments: ["--compression=none"],
                            annotations: ["a.b": "1"])),
                    restore: RuntimeUse(
                        runtime: "runsc-2024",
                        options: RuntimeOptions(
                            globals: ["--platform=ptrace", "--directfs=false"], annotations: ["a.b": "1"])))
            ]),
    ]

    @Test("names and options become command lines", arguments: cases)
    func runtimes(_ c: Case) throws {
        let read = try scenario(threeHosts + "runtimes: \(c.text)\n", catalogue: Self.catalogue)
        #expect(read.runtimes == c.expected)
        #expect(read.runtime(c.expected[0].name) == c.expected[0])
    }

    /// One line for each option: what a scenario says, and the words at dump and at restore; `-` for none.
    static let optionWords: [RuntimeFamily: String] = [
        .native: """
        tcp: close = --tcp=close
        force: [cpu.tsc, kernel.vdso] = - / --force cpu.tsc --force kernel.vdso
        external: ["/a=/b"] = --external /a=/b
        """,
        .criu: """
        tcp-established: true = --tcp-established
        tcp-close: true = --tcp-close
        shell-job: true = --shell-job
        ext-unix-sk: true = --ext-unix-sk
        file-locks: true = --file-locks
        link-remap: true = --link-remap
        evasive-devices: true = --evasive-devices
        skip-in-flight: true = --skip-in-flight
        force-irmap: true = --force-irmap
        ghost-fiemap: true = --ghost-fiemap
        weak-sysctls: true = --weak-sysctls
        mntns-compat-mode: true = --mntns-compat-mode
        allow-uprobes: true = --allow-uprobes
        track-mem: true = --track-mem
        unprivileged: true = --unprivileged
        enable-external-sharing: true = --enable-external-sharing
        enable-external-masters: false = -
        cpu-cap: [fpu, ins] = --cpu-cap=fpu,ins
        file-validation: buildid = --file-validation=buildid
        external: ["mnt[/a]:b", "dev[8/1]:c"] = --external mnt[/a]:b --external dev[8/1]:c
        inherit-fd: ["fd[3]:pipe:[1]"] = - / --inherit-fd fd[3]:pipe:[1]
        join-ns: "net:/n" = - / --join-ns net:/n
        skip-mnt: [/a] = --skip-mnt /a
        enable-fs: [fuse, nfs] = --enable-fs=fuse,nfs
        empty-ns: net = --empty-ns net
        ghost-limit: 2M = --ghost-limit=2M
        manage-cgroups: soft = --manage-cgroups=soft
        cgroup-root: ["cpu:/a"] = - / --cgroup-root cpu:/a
        lsm-profile: "apparmor:x" = - / --lsm-profile=apparmor:x
        lsm-mount-context: "c" = - / --lsm-mount-context=c
        network-lock: nftables = --network-lock=nftables
        timeout: "30" = --timeout=30
        """,
        .runsc: """
        platform: systrap = --platform=systrap
        overlay2: "root:self" = --overlay2=root:self
        host-uds: open = --host-uds=open
        host-fifo: open = --host-fifo=open
        file-access: shared = --file-access=shared
        file-access-mounts: exclusive = --file-access-mounts=exclusive
        network: sandbox = --network=sandbox
        overlay: true = --overlay=true
        directfs: false = --directfs=false
        fsgofer-host-uds: true = --fsgofer-host-uds=true
        oci-seccomp: true = --oci-seccomp=true
        net-raw: true = --net-raw=true
        cpu-num-from-quota: true = --cpu-num-from-quota=true
        strace: true = --strace=true
        debug: true = --debug=true
        compression: none = --compression=none / -
        exclude-committed-zero-pages: true = --exclude-committed-zero-pages / -
        direct: true = --direct
        """,
    ]

    @Test("every option of every family becomes words", arguments: RuntimeFamily.allCases)
    func options(_ family: RuntimeFamily) throws {
        let name = ["native": "native", "criu": "criu-4.1", "runsc": "runsc-2024"][family.rawValue] ?? ""
        let lines = try #require(Self.optionWords[family]).split(separator: "\n")
        // A line's option is what stands before the first colon.
        #expect(Set(lines.map { String($0.prefix { $0 != ":" }) }) == Set(family.options.map(\.name)))
        for line in lines {
            let sides = line.components(separatedBy: " = ")
            let words = sides[1].components(separatedBy: " / ").map { $0 == "-" ? "" : $0 }
            let read = try scenario(
                threeHosts + "runtimes: [{ \(name): { \(sides[0]) } }]\n", catalogue: Self.catalogue)
            let spec = try #require(read.runtimes.first)
            func text(_ use: RuntimeUse) -> String {
                (use.options.globals + use.options.arguments).joined(separator: " ")
            }
            #expect(text(spec.dump) == words.first, "\(line)")
            #expect(text(spec.restore) == words.last, "\(line)")
        }
    }

    @Test("cells and patterns use the scenario's name")
    func cells() throws {
        let text =
            threeHosts + """
                runtimes: [{ criu-caps: { runtime: criu-4.1, cpu-cap: all } }]
                exclude: [{ runtime: criu-caps, source: nehalem }]
                """
        let plan = try Plan(scenario(text, catalogue: Self.catalogue), today: day("2026-11-21"))
        #expect(Set(plan.cells.map(\.cell.runtime)) == ["criu-caps"])
    }
}
