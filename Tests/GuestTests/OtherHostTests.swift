import Foundation
import Testing

extension GuestTests {
    @Suite("hosts unlike the usual one")
    struct OtherHostTests {
        static let musl = "busybox-musl"
        static let noMusl =
            GuestLab.prepared.contains("userland \(musl)")
            ? nil : "the userland \(musl) is not prepared: run 'make images'"

        @Test(
            "musl in place of glibc, and a machine without PCI", .timeLimit(.minutes(3)),
            .enabled(if: noMusl == nil, Comment(rawValue: noMusl ?? "")))
        func muslOnMicrovm() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    """
                    title: Small hosts
                    defaults: { cpu: Haswell, kernel: \(GuestLab.kernel), userland: \(Self.musl) }
                    hosts:
                      pci: {}
                      small: { machine: microvm }
                    workloads: [musl-files, musl-threads]
                    matrix: { pairs: [[pci, small]] }
                    expect:
                      - outcome: restored
                        because: the kernel and the files are the same
                    """, to: "small.yaml")
                let run = sandbox.run("run")
                let answer = try await sandbox.crlab(sandbox.runWords(scenario, into: run), seconds: 150)
                #expect(answer.status == 0, "\(answer)")
                #expect(try run.results().run.counts.restored == 4)
                try await sandbox.expectNothingLeft()
            }
        }
    }
}
