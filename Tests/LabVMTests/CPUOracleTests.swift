import CRModel
import Testing

@testable import LabVM

@Suite("CPU models against what QEMU can give")
struct CPUOracleTests {
    /// As QEMU 10.0.2 answers under TCG, shortened.
    static let definitions = #"""
        [{"name":"Haswell","typename":"Haswell-x86_64-cpu","unavailable-features":["pcid","tsc-deadline","hle","invpcid","rtm","rtm"]},
         {"name":"Nehalem","unavailable-features":[]},
         {"name":"SandyBridge","unavailable-features":["tsc-deadline"]},
         {"name":"Icelake-Server","unavailable-features":["pcid","avx512f"]},
         {"name":"Odd"},{"typename":"no name"},7]
        """#
    static let expansion = #"{"model":{"name":"max","props":{"avx2":true,"avx512f":false,"sse4a":true,"x":1}}}"#

    static func oracle(_ accelerator: Accelerator = .tcg) throws -> CPUOracle {
        CPUOracle(
            accelerator: accelerator, definitions: try JSONParser.parse(definitions),
            expansion: try JSONParser.parse(expansion))
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var cpu: String
        var argument: String?
        var reducedBy: [String] = []
        var missing: [String] = []
        var testDescription: String { cpu }
    }

    static let cases = [
        Case(cpu: "Nehalem", argument: "Nehalem"),
        Case(cpu: "SandyBridge", argument: "SandyBridge,-tsc-deadline", reducedBy: ["tsc-deadline"]),
        Case(
            cpu: "Haswell", argument: "Haswell,-pcid,-tsc-deadline,-hle,-invpcid,-rtm",
            reducedBy: ["pcid", "tsc-deadline", "hle", "invpcid", "rtm"]),
        Case(
            cpu: "Haswell,-avx2", argument: "Haswell,-pcid,-tsc-deadline,-hle,-invpcid,-rtm,-avx2",
            reducedBy: ["pcid", "tsc-deadline", "hle", "invpcid", "rtm"]),
        Case(cpu: "SandyBridge,-tsc_deadline", argument: "SandyBridge,-tsc_deadline"),
        Case(cpu: "Nehalem,+avx2", argument: "Nehalem,+avx2"),
        Case(cpu: "Nehalem,avx2=on,sse4a=off", argument: "Nehalem,avx2=on,sse4a=off"),
        Case(cpu: "Nehalem,+avx512f", missing: ["avx512f"]),
        Case(cpu: "Icelake-Server", missing: ["pcid", "avx512f"]),
        Case(cpu: "Icelake-Server,-pcid,-avx512f", argument: "Icelake-Server,-pcid,-avx512f"),
        Case(
            cpu: "Icelake-Server,reduced", argument: "Icelake-Server,-pcid,-avx512f", reducedBy: ["pcid", "avx512f"]),
        Case(cpu: "Nehalem,reduced,+avx2", argument: "Nehalem,+avx2"),
        Case(cpu: "Odd", argument: "Odd"),
        Case(cpu: "Unheard-Of"),
        Case(cpu: ""),
    ]

    @Test("a scenario's CPU becomes an argument or a named refusal", arguments: cases)
    func resolve(_ c: Case) throws {
        let oracle = try Self.oracle()
        do throws(VMError) {
            let choice = try oracle.resolve(c.cpu)
            #expect(choice.argument == c.argument)
            #expect(choice.reducedBy == c.reducedBy)
        } catch {
            #expect(c.argument == nil)
            switch error {
            case .notEmulable(_, let accelerator, let missing):
                #expect(missing == c.missing)
                #expect(accelerator == "tcg")
            case .cpuUnknown: #expect(c.missing.isEmpty)
            default: Issue.record("\(error)")
            }
        }
    }

    @Test("the table is for TCG only: with KVM a model is complete or not to be had")
    func kvm() throws {
        #expect(throws: VMError.self) { try Self.oracle(.kvm).resolve("Haswell") }
    }

    @Test("the table keeps what a model is known for")
    func table() {
        let known: [(String, String)] = [
            ("Haswell", "avx2"), ("SandyBridge", "avx"), ("Nehalem", "sse4.2"), ("Broadwell", "adx"),
            ("EPYC", "sse4a"), ("EPYC-Milan", "pku"), ("IvyBridge", "f16c"),
        ]
        for (model, feature) in known { #expect(CPUModels.reduced[model]?.contains(feature) == false) }
    }
}
