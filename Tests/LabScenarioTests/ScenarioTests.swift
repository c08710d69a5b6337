import CRModel
import LabScenario
import Testing

struct ScenarioTests {
    @Test("everything a file may say")
    func full() throws {
        let read = try scenario(
            """
            title: All of it
            defaults: { cpu: Haswell, kernel: debian-6.1, memory: 1024, machine: microvm, kernel-arguments: [quiet, a=b] }
            hosts:
              plain:
              special: { cpu: 'Haswell,-avx2,+pku,hle=off', kernel: mine, userland: own, memory: 256, machine: q35 }
            kernels: { mine: { bzImage: ../k/bzImage, modules: ../k/modules } }
            userlands: { own: { root: { tar: root.tar.xz } }, other: { root: { directory: /srv/root } } }
            runtimes: [native, criu]
            workloads: [pipes, counter]
            spec: default
            matrix: { sources: plain, destinations: all }
            exclude: [{ workload: pipes, control: false }]
            include: [{ source: special, destination: [plain, special] }]
            expect:
              - match: { runtime: criu }
                outcome: refused
                reason: runtime.dependency
                because: not installed
                expires: 2027-06-30
            timeouts: { boot: 5, restore: 7, run: 600 }
            confirm: 3
            seed: 18446744073709551615
            """)
        #expect(read.name == "s")
        #expect(read.title == "All of it")
        #expect(
            read.hosts == [
                HostSpec(
                    name: "plain", cpu: "Haswell", kernel: "debian-6.1", memoryMebibytes: 1024,
                    kernelArguments: ["quiet", "a=b"], machine: "microvm"),
                HostSpec(
                    name: "special", cpu: "Haswell,-avx2,+pku,hle=off", kernel: "mine", userland: "own",
                    memoryMebibytes: 256, kernelArguments: ["quiet", "a=b"], machine: "q35"),
            ])
        #expect(read.kernels == ["mine": OwnKernel(bzImage: "../k/bzImage", modules: "../k/modules")])
        #expect(read.userlands == ["own": .tar("root.tar.xz"), "other": .directory("/srv/root")])
        #expect(read.runtimes.map(\.name) == ["native", "criu"])
        #expect(read.workloads == ["pipes", "counter"])
        #expect(read.matrix == .product(sources: ["plain"], destinations: ["plain", "special"]))
        #expect(read.exclude.map(\.pattern) == [CellPattern(workloads: ["pipes"], control: false)])
        #expect(
            read.include.map(\.pattern) == [CellPattern(sources: ["special"], destinations: ["plain", "special"])])
        let rule = try #require(read.expect.first)
        #expect(
            rule.expectation
                == Expectation(
                    outcome: .refused, reason: .runtimeDependency, because: "not installed", expires: "2027-06-30"))
        #expect(rule.place == Place(file: "s.yaml", line: 15, column: 5))
        #expect(read.confirm == 3)
        #expect(read.timeouts.boot == .seconds(5))
        #expect(read.timeouts.restore == .seconds(7))
        #expect(read.timeouts.dump == Timeouts().dump)
        #expect(read.timeouts.run == .seconds(600))
        #expect(read.seed == .max)
    }

    @Test("what a short file means")
    func short() throws {
        let read = try scenario(threeHosts)
        #expect(read.runtimes == [RuntimeSpec(.native)])
        #expect(read.specs == [.standard])
        #expect(read.seed == 1)
        #expect(read.timeouts == Timeouts())
        #expect(
            read.matrix
                == .product(
                    sources: ["haswell", "sandybridge", "nehalem"], destinations: ["haswell", "sandybridge", "nehalem"])
        )
    }

    @Test("'all' means the workloads at hand, sorted")
    func allWorkloads() throws {
        let text = "hosts: { a: { cpu: Haswell, kernel: k } }\nworkloads: all\n"
        let read = try scenario(text, catalogue: Catalogue(workloads: ["z", "a", "z"]))
        #expect(read.workloads == ["a", "z"])
        #expect(throws: ScenarioError.self) { try scenario(text, catalogue: Catalogue(workloads: [])) }
    }

    @Test("a set stands for its workloads, beside others by name")
    func workloadSets() throws {
        let catalogue = Catalogue(workloads: ["a", "b", "c"], sets: ["standard": ["a", "b"], "objects": []])
        func workloads(_ text: String) throws -> [WorkloadName] {
            try scenario("hosts: { a: { cpu: Haswell, kernel: k } }\nworkloads: \(text)\n", catalogue: catalogue)
                .workloads
        }
        #expect(try workloads("standard") == ["a", "b"])
        #expect(try workloads("[c, standard, a]") == ["c", "a", "b"])
        #expect(throws: ScenarioError.self) { try workloads("objects") }
        #expect(throws: ScenarioError.self) { try workloads("applications") }
    }

    @Test(
        "a scenario is named after its file",
        arguments: [
            ("Scenarios/quickstart.yaml", "quickstart"), ("a.b.yaml", "a"), ("", "scenario"), ("über.yaml", "-ber"),
            ("my file.yaml", "my-file"), (".yaml", "yaml"),
        ])
    func names(file: String, name: String) throws {
        let read = try Scenario.parse(threeHosts, file: file, catalogue: everything)
        #expect(read.name == (name == "-ber" ? "scenario" : name))
    }

    @Test("timeouts stretch, but not the run's and never to less")
    func slowdown() {
        let timeouts = Timeouts(boot: .seconds(10), run: .seconds(100))
        #expect(timeouts.scaled(by: 2.5).boot == .seconds(25))
        #expect(timeouts.scaled(by: 2.5).run == .seconds(100))
        for strange in [0.1, -1, .nan, -.infinity] { #expect(timeouts.scaled(by: strange) == timeouts) }
        #expect(timeouts.scaled(by: .infinity) == timeouts)
    }

    static let days: [(Int64, String)] = [
        (0, "1970-01-01"), (-1, "1969-12-31"), (951_782_400, "2000-02-29"), (1_795_219_200, "2026-11-21"),
        (4_107_542_400, "2100-03-01"),
    ]

    @Test("days of a UNIX time", arguments: days)
    func dates(seconds: Int64, text: String) {
        #expect(CalendarDate(secondsSince1970: seconds).description == text)
        #expect(CalendarDate(text) == CalendarDate(secondsSince1970: seconds))
    }

    @Test(
        "what is no day",
        arguments: [
            "", "2027-2-01", "2027-13-01", "2027-02-30", "2100-02-29", "0000-01-01", "2027/02/01", "+027-02-01",
        ])
    func noDates(text: String) {
        #expect(CalendarDate(text) == nil)
    }
}
