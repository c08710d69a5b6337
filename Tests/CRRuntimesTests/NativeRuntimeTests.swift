import CRModel
import CRRuntimes
import Testing

@Suite("the bundled engine as a runtime")
struct NativeRuntimeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var ended: RuntimeExit
        var ending: StageEvidence.Ending
        var refusal: Refusal?
        var testDescription: String { name }
    }

    static let refusal = Refusal(
        reason: "cpu.xstate-missing", task: 1001, object: "", message: "no AVX", differences: ["avx", "avx2"])
    static let refusalText = #"""
        {"ok":false,"refusal":{"reason":"cpu.xstate-missing","task":1001,"object":"","message":"no AVX","differences":["avx","avx2"]}}
        """#

    static let cases = [
        Case(name: "done", ended: exit(0, #"{"ok":true,"pid":1001}"#), ending: .done),
        Case(name: "refused", ended: exit(1, refusalText), ending: .refused, refusal: refusal),
        Case(
            name: "refused after other lines", ended: exit(1, "note\n" + refusalText + "\n"), ending: .refused,
            refusal: refusal),
        Case(name: "refused without words", ended: exit(1, ""), ending: .refused),
        Case(name: "damaged image", ended: exit(66, ""), ending: .failed),
        Case(name: "failed", ended: exit(70, #"{"ok":false,"error":{"message":"x"}}"#), ending: .failed),
        Case(
            name: "crashed", ended: RuntimeExit(exitStatus: nil, signal: 11, timedOut: false, output: "", errors: ""),
            ending: .failed),
        Case(
            name: "hung", ended: RuntimeExit(exitStatus: nil, signal: 9, timedOut: true, output: "", errors: ""),
            ending: .hung),
    ]

    static func exit(_ status: Int, _ output: String) -> RuntimeExit {
        RuntimeExit(exitStatus: status, signal: nil, timedOut: false, output: output, errors: "")
    }

    @Test("how it ended", arguments: cases)
    func report(_ c: Case) {
        let report = NativeRuntime(executable: "/x").report(c.ended)
        #expect(report.ending == c.ending)
        #expect(report.refusal == c.refusal)
    }

    @Test("command lines")
    func commands() {
        let runtime = NativeRuntime(executable: "/e")
        let request = RuntimeRequest(
            process: 1001, imageFolder: "/i", workFolder: "/w", logFolder: "/l",
            options: RuntimeOptions(arguments: ["--force", "cpu.tsc"]))
        #expect(
            runtime.dumpCommand(request).arguments
                == ["/e", "dump", "--pid", "1001", "-o", "/i/native.img", "--format", "json", "--force", "cpu.tsc"])
        #expect(
            runtime.restoreCommand(request).arguments
                == ["/e", "restore", "-i", "/i/native.img", "--detach", "--format", "json", "--force", "cpu.tsc"])
        #expect(runtime.version(in: "crengine 0.1.0\n") == "0.1.0")
        #expect(runtime.version(in: "") == nil)
    }

    @Test("long logs keep their ends")
    func bounded() {
        let bytes =
            [UInt8](repeating: 0x61, count: 10) + [UInt8](repeating: 0x62, count: 100)
            + [UInt8](repeating: 0x63, count: 10)
        let text = BoundedText.ends(of: bytes, endBytes: 10)
        #expect(text.hasPrefix("aaaaaaaaaa\n[… 100 bytes left out …]\n"))
        #expect(text.hasSuffix("\ncccccccccc"))
        #expect(BoundedText.joined([("a", ""), ("b", "x")]) == "x")
    }
}
