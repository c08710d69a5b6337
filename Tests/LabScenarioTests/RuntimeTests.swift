import CRModel
import LabScenario
import Testing

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
