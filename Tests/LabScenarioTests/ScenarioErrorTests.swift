import CRModel
import LabScenario
import Testing

/// Every mistake has its place and its words; `Golden/errors.txt` holds them all.
struct ScenarioErrorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String
        var testDescription: String { name }

        init(_ name: String, _ text: String) {
            self.name = name
            self.text = text
        }

        /// A mistake after three good hosts.
        init(_ name: String, after text: String) { self.init(name, threeHosts + text) }
    }

    static let cases = [
        Case("empty file", ""),
        Case("only a comment", "# nothing\n"),
        Case("no mapping", "- a\n"),
        Case("not YAML", "hosts: [a\nworkloads: all\n"),
        Case("tab", "hosts:\n\ta: 1\n"),
        Case("two documents", "title: a\n---\ntitle: b\n"),
        Case("control character", "title: \"\u{7}\"\n"),
        Case("alias", "hosts: &h { a: { cpu: Haswell } }\nx: *h\n"),
        Case("deep nesting", "hosts: " + String(repeating: "[", count: 20) + String(repeating: "]", count: 20)),
        Case("bottomless nesting", String(repeating: "[", count: 5000)),
        Case("unknown key", after: "expects: []\n"),
        Case("unknown key, nothing near", after: "banana: 1\n"),
        Case("unknown key of a host", "hosts:\n  a:\n    cpu: Haswell\n    kernal: debian-6.1\nworkloads: all\n"),
        Case("duplicate key", "title: a\ntitle: b\n"),
        Case("duplicate host", "hosts:\n  a: { cpu: Haswell }\n  b: { cpu: Haswell }\n  a: { cpu: Nehalem }\n"),
        Case("duplicate quoted key", "hosts:\n  1: { cpu: Haswell }\n  \"1\": { cpu: Nehalem }\n"),
        Case("key that is a list", "? [a]\n: 1\n"),
        Case("no hosts", "workloads: all\n"),
        Case("empty hosts", "hosts: {}\nworkloads: all\n"),
        Case("hosts as a list", "hosts: [a]\nworkloads: all\n"),
        Case("no workloads", "hosts: { a: { cpu: Haswell, kernel: debian-6.1 } }\n"),
        Case("host without cpu", "hosts: { a: { kernel: debian-6.1 } }\nworkloads: all\n"),
        Case("host without kernel", "hosts: { a: { cpu: Haswell } }\nworkloads: all\n"),
        Case("host name with a slash", "hosts: { a/b: { cpu: Haswell, kernel: debian-6.1 } }\nworkloads: all\n"),
        Case("cpu with an option", "hosts: { a: { cpu: 'Haswell,x', kernel: debian-6.1 } }\nworkloads: all\n"),
        Case("cpu as a number", "hosts: { a: { cpu: [1], kernel: debian-6.1 } }\nworkloads: all\n"),
        Case("unknown kernel", "hosts: { a: { cpu: Haswell, kernel: debian-6.11 } }\nworkloads: all\n"),
        Case(
            "unknown userland",
            "hosts: { a: { cpu: Haswell, kernel: debian-6.1, userland: debian-13 } }\nworkloads: all\n"),
        Case("machine", "hosts: { a: { cpu: Haswell, kernel: debian-6.1, machine: pc } }\nworkloads: all\n"),
        Case("memory too small", "hosts: { a: { cpu: Haswell, kernel: debian-6.1, memory: 1 } }\nworkloads: all\n"),
        Case("memory as text", "hosts: { a: { cpu: Haswell, kernel: debian-6.1, memory: 1G } }\nworkloads: all\n"),
        Case(
            "memory beyond any number",
            "hosts: { a: { cpu: Haswell, kernel: debian-6.1, memory: 99999999999999999999 } }\nworkloads: all\n"),
        Case(
            "kernel arguments with a space",
            "hosts: { a: { cpu: Haswell, kernel: debian-6.1, kernel-arguments: 'a b' } }\nworkloads: all\n"),
        Case("own kernel without bzImage", after: "kernels: { mine: { modules: m } }\n"),
        Case("own kernel like a recipe", after: "kernels: { debian-6.1: { bzImage: b } }\n"),
        Case("own userland without a root", after: "userlands: { mine: {} }\n"),
        Case("own userland with two roots", after: "userlands: { mine: { root: { directory: d, tar: t } } }\n"),
        Case("unknown runtime", after: "runtimes: [nativ]\n"),
        Case("runtime twice", after: "runtimes: [native, native]\n"),
        Case("empty list", after: "runtimes: []\n"),
        Case("runtime with an unknown option", after: "runtimes: [{ criu: { cpu-caps: all } }]\n"),
        Case("runtime with another family's option", after: "runtimes: [{ criu: { platform: ptrace } }]\n"),
        Case("runtime without a family", after: "runtimes: [{ mine: { runtime: criu } }]\n"),
        Case("runtime named like another family", after: "runtimes: [{ native-x: { runtime: criu } }]\n"),
        Case("runtime with two names", after: "runtimes: [{ criu: {}, native: {} }]\n"),
        Case(
            "runtime option of the other stage",
            after: "runtimes: [{ native-x: { runtime: native, dump: { force: cpu.tsc } } }]\n"),
        Case(
            "runtime of another family at restore",
            after: "runtimes: [{ criu-x: { runtime: criu, restore: { runtime: native } } }]\n"),
        Case("unknown value of a runtime option", after: "runtimes: [{ criu: { file-validation: size } }]\n"),
        Case("runtime flag as text", after: "runtimes: [{ criu: { shell-job: yes } }]\n"),
        Case("spec", after: "spec: restricted\n"),
        Case("unknown source", after: "matrix: { sources: [haswel] }\n"),
        Case("pairs and sources", after: "matrix: { sources: [haswell], pairs: [[haswell, nehalem]] }\n"),
        Case("pair of three", after: "matrix: { pairs: [[haswell, nehalem, nehalem]] }\n"),
        Case("pair twice", after: "matrix: { pairs: [[haswell, nehalem], [haswell, nehalem]] }\n"),
        Case("no pairs", after: "matrix: { pairs: [] }\n"),
        Case("around and pairs", after: "matrix: { around: nehalem, pairs: [[haswell, nehalem]] }\n"),
        Case("around nobody", after: "matrix: { around: nehalm }\n"),
        Case(
            "around a host that differs in more",
            "hosts: { a: { cpu: Haswell, kernel: debian-6.1 }, b: { cpu: Nehalem, kernel: debian-6.12 } }\n"
                + "workloads: all\nmatrix: { around: a }\n"),
        Case("cover too much", after: "matrix: { cover: 5 }\n"),
        Case("chain of two", after: "matrix: { chains: [[haswell, nehalem]] }\n"),
        Case("chain over nobody", after: "matrix: { chains: [[haswell, nehalm, haswell]] }\n"),
        Case("empty grid", "grid: {}\nworkloads: all\n"),
        Case("grid with an unknown factor", "grid: { cpus: [Haswell] }\nworkloads: all\n"),
        Case("grid with a pattern for nothing", "grid: { cpu: Haswell, kernel: 'suse-*' }\nworkloads: all\n"),
        Case("grid with a value twice", "grid: { cpu: [Haswell, Haswell], kernel: debian-6.1 }\nworkloads: all\n"),
        Case(
            "grid with two values of one name",
            "grid: { cpu: ['Haswell,-avx', 'Haswell-avx'], kernel: debian-6.1 }\nworkloads: all\n"),
        Case(
            "grid with a host of the same name",
            "hosts: { Haswell_debian-6.1: { cpu: Haswell, kernel: debian-6.1 } }\n"
                + "grid: { cpu: Haswell, kernel: debian-6.1 }\nworkloads: all\n"),
        Case("everything left out", after: "exclude: [{ source: [nehalem, '!nehalem'] }]\n"),
        Case("two stars and a slash", after: "exclude: [{ source: '*/x' }]\n"),
        Case("unknown host in a pattern", after: "exclude:\n  - { source: haswell, destination: [nehalm] }\n"),
        Case("unknown workload in a pattern", after: "exclude: [{ workload: pipe }]\n"),
        Case("unknown pattern key", after: "exclude: [{ dest: nehalem }]\n"),
        Case("empty pattern", after: "exclude: [{}]\n"),
        Case("control as text", after: "exclude: [{ control: 'true' }]\n"),
        Case("pattern without a list", after: "exclude: { control: true }\n"),
        Case("expectation without outcome", after: "expect: [{ because: x }]\n"),
        Case("expectation without because", after: "expect: [{ outcome: broke }]\n"),
        Case("unknown outcome", after: "expect: [{ outcome: brok, because: x }]\n"),
        Case("unknown reason", after: "expect: [{ outcome: broke, reason: cpu.instruction-mising, because: x }]\n"),
        Case("lab reason", after: "expect: [{ outcome: broke, reason: harness.boot, because: x }]\n"),
        Case("reason of a restored cell", after: "expect: [{ outcome: restored, reason: cpu.tsc, because: x }]\n"),
        Case("no such day", after: "expect: [{ outcome: broke, because: x, expires: 2027-02-29 }]\n"),
        Case("timeout of zero", after: "timeouts: { boot: 0 }\n"),
        Case("timeout as a fraction", after: "timeouts: { boot: 1.5 }\n"),
        Case("unknown timeout", after: "timeouts: { restor: 5 }\n"),
        Case("repeated too often", after: "confirm: 101\n"),
        Case("negative seed", after: "seed: -1\n"),
        Case("line break in a title", "title: \"a\\nb\"\n" + threeHosts),
    ]

    @Test("a mistake is an error with its place", arguments: cases)
    func mistake(_ c: Case) {
        #expect(throws: ScenarioError.self) { try scenario(c.text) }
    }

    @Test("the words of all errors")
    func words() throws {
        let lines = Self.cases.map { c in
            do {
                _ = try scenario(c.text)
                return "\(c.name): no error"
            } catch {
                return "\(c.name)\n  \(error)"
            }
        }
        try expectGolden(lines.joined(separator: "\n") + "\n", "errors.txt")
    }

    @Test("a file beyond any scenario's size is refused unread")
    func huge() {
        let error = #expect(throws: ScenarioError.self) { try scenario(String(repeating: "#", count: 300_000)) }
        #expect(error == .tooLarge(file: "s.yaml", bytes: 300_000, limit: 262_144))
    }

    @Test("an alias bomb is refused before the parser meets it", .timeLimit(.minutes(1)))
    func bomb() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...30 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1), *a\(level - 1)]\n" }
        text += "? *a30\n: x\n"
        #expect(throws: ScenarioError.self) { try scenario(text) }
    }

    @Test("too many values are refused")
    func values() {
        let text = "title: [" + String(repeating: "1,", count: 60_000) + "1]"
        #expect(throws: ScenarioError.self) { try scenario(text) }
    }

    @Test("no truncation and no changed byte of a scenario traps")
    func mangled() throws {
        let text = Array(
            (threeHosts + "expect:\n  - { match: { source: haswell }, outcome: broke, because: 'x' }\n").utf8)
        for length in 0..<text.count { _ = try? scenario(String(decoding: text[..<length], as: UTF8.self)) }
        for index in text.indices {
            for byte in Array("[]{}&*!|>'\"%@`:-?#,\0\n\t\u{ff}".utf8) {
                var changed = text
                changed[index] = byte
                _ = try? scenario(String(decoding: changed, as: UTF8.self))
            }
        }
    }
}
