import CRModel
import CRRuntimes
import Testing

@Suite("criu and runsc as runtimes")
struct CommandRuntimeTests {
    static let installed = [
        RuntimeInstallation(name: "criu-4.1", program: "bin/criu", loader: "lib/ld.so", libraries: "lib"),
        RuntimeInstallation(name: "runsc-2024", program: "bin/runsc"),
    ]
    static let catalog = RuntimeCatalog(engine: "/e", folder: "/r", installed: installed)

    static func request(_ options: RuntimeOptions = RuntimeOptions()) -> RuntimeRequest {
        RuntimeRequest(
            process: 1001, imageFolder: "/i", workFolder: "/w", logFolder: "/l", bundleFolder: "/b", options: options)
    }

    @Test("criu runs through its own loader")
    func criu() throws {
        let runtime = try #require(Self.catalog.runtime("criu-4.1"))
        let start = ["/r/criu-4.1/lib/ld.so", "--library-path", "/r/criu-4.1/lib", "/r/criu-4.1/bin/criu"]
        let common = ["--images-dir", "/i", "--work-dir", "/l", "--log-file"]
        let dump = runtime.dumpCommand(Self.request(RuntimeOptions(arguments: ["--shell-job"])))
        #expect(
            dump.arguments == start + ["dump", "--tree", "1001"] + common
                + ["dump.log", "-v4", "--root", "/", "--shell-job"])
        #expect(dump.logFiles == ["/l/dump.log"])
        #expect(
            runtime.restoreCommand(Self.request()).arguments == start + ["restore", "--restore-detached"] + common
                + ["restore.log", "-v4", "--root", "/"])
        #expect(runtime.version(in: "Version: 4.1.1\nGitID: v4.1.1\n") == "4.1.1")
    }

    @Test("runsc's own flags stand before the subcommand, those of the subcommand after it")
    func runsc() throws {
        let runtime = try #require(Self.catalog.runtime("runsc-2024") as? any ContainerRuntime)
        let options = RuntimeOptions(globals: ["--platform=ptrace"], arguments: ["--compression=none"])
        let dump = runtime.dumpCommand(Self.request(options)).arguments
        #expect(dump.first == "/r/runsc-2024/bin/runsc")
        #expect(
            dump.suffix(6) == ["--platform=ptrace", "checkpoint", "--image-path", "/i", "--compression=none", "cell"])
        let start = runtime.startCommand(Self.request(options)).arguments
        #expect(start.suffix(6) == ["--platform=ptrace", "run", "--detach", "--bundle", "/b", "cell"])
        let beside = RuntimeWorkload(arguments: ["/c", "x"], environment: ["A=1"], workingDirectory: "/w")
        #expect(
            runtime.executeCommand(Self.request(), beside).arguments.suffix(8)
                == ["exec", "--cwd", "/w", "--env", "A=1", "cell", "/c", "x"])
        #expect(runtime.version(in: "runsc version 0.0~20240729.0\nspec: 1.0.2-dev\n") == "0.0~20240729.0")
        #expect(runtime.exitStatus(in: #"{"id":"cell","exitStatus":137}"#) == 137)
        #expect(runtime.exitStatus(in: "") == nil)
    }

    @Test("the bundle names program, work directory and annotations")
    func bundle() throws {
        let runtime = try #require(Self.catalog.runtime("runsc-2024") as? any ContainerRuntime)
        let text = runtime.bundle(
            Self.request(RuntimeOptions(annotations: ["a": "b"])),
            running: RuntimeWorkload(arguments: ["/c", "x"], environment: ["A=1"], workingDirectory: "/w"))
        let spec = try JSONParser.parse(text)
        #expect(spec["process"]?["args"]?.elements?.compactMap(\.text) == ["/c", "x"])
        #expect(spec["process"]?["cwd"]?.text == "/w")
        #expect(spec["annotations"]?["a"]?.text == "b")
        #expect(spec["mounts"]?.elements?.last?["destination"]?.text == "/w")
        #expect(spec["root"]?["readonly"] == .bool(true))
    }

    struct Ending: Sendable, CustomTestStringConvertible {
        var name: String
        var ended: RuntimeExit
        var ending: StageEvidence.Ending
        var testDescription: String { name }
    }

    @Test(
        "an exit status other than 0 is a failure, whose cause the log tells",
        arguments: [
            Ending(
                name: "done", ended: RuntimeExit(exitStatus: 0, signal: nil, timedOut: false, output: "", errors: ""),
                ending: .done),
            Ending(
                name: "refused",
                ended: RuntimeExit(
                    exitStatus: 1, signal: nil, timedOut: false, output: "", errors: "", logs: ["Error (x.c:1): y"]),
                ending: .failed),
            Ending(
                name: "crashed",
                ended: RuntimeExit(exitStatus: nil, signal: 11, timedOut: false, output: "", errors: ""),
                ending: .failed),
            Ending(
                name: "hung", ended: RuntimeExit(exitStatus: nil, signal: 9, timedOut: true, output: "", errors: ""),
                ending: .hung),
        ])
    func report(_ c: Ending) throws {
        let report = try #require(Self.catalog.runtime("criu-4.1")).report(c.ended)
        #expect(report.ending == c.ending)
        #expect(report.log == c.ended.logs.joined())
    }

    @Test("a guest without the runtime says so")
    func unknown() {
        #expect(Self.catalog.runtime("criu-9") == nil)
        #expect(Self.catalog.names == ["criu-4.1", "runsc-2024"])
    }

    @Test("a long log keeps the errors of its middle")
    func longLog() {
        let noise = String(repeating: "fine\n", count: 2000)
        let text = noise + "(00.1) 65: Error (x.c:1): here\n" + noise
        let kept = BoundedText.log(of: Array(text.utf8), endBytes: 1000)
        #expect(kept.contains("Error (x.c:1): here"))
        #expect(kept.utf8.count < 2400)
    }
}
