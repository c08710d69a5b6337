import Foundation
import Testing

extension GuestTests {
    @Suite("static executables", .timeLimit(.minutes(2)))
    struct StaticTests {
        @Test("need no program loader", arguments: ["crlab-agent", "crengine"])
        func noInterpreter(_ name: String) throws {
            let types = try Self.segmentTypes(GuestLab.binaries + name)
            let load: UInt32 = 1
            let interpreter: UInt32 = 3
            #expect(types.contains(load))
            #expect(!types.contains(interpreter))
        }

        /// The types of an ELF64 file's program headers (elf(5)).
        private static func segmentTypes(_ path: String) throws -> [UInt32] {
            let file = try FileHandle(forReadingFrom: URL(filePath: path))
            defer { try? file.close() }
            let bytes = [UInt8](try file.read(upToCount: 64 << 10) ?? Data())
            func number(_ at: Int, _ count: Int) throws -> Int {
                guard at + count <= bytes.count else { throw Failure("\(path) is cut") }
                return (0..<count).reduce(0) { $0 | Int(bytes[at + $1]) << (8 * $1) }
            }
            guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2]) else { throw Failure("\(path) is no ELF64 file") }
            let (table, size, count) = (try number(32, 8), try number(54, 2), try number(56, 2))
            return try (0..<count).map { UInt32(try number(table + $0 * size, 4)) }
        }

        static let oldMissing =
            GuestLab.prepared.contains("userland debian-11")
            ? nil : "the userland debian-11 is not prepared: run 'make images'"

        @Test(
            "start in a Debian 11 userland, in a guest's own shell",
            .enabled(if: oldMissing == nil, Comment(rawValue: oldMissing ?? "")))
        func debian11() async throws {
            try await Sandbox.with { sandbox in
                let scenario = try sandbox.write(
                    """
                    hosts:
                      old: { cpu: Nehalem, kernel: \(GuestLab.kernel), userland: debian-11 }
                    workloads: [counter]
                    """, to: "old.yaml")
                // What a terminal echoes is not what a command answers: answers are put together there.
                let script = """
                    . /etc/os-release; echo "debian=$VERSION_ID"
                    /run/crlab/bin/crengine --version; echo "engine=$?"
                    /run/crlab/bin/crlab-agent --version; echo "agent=$?"
                    exit 7

                    """
                let answer = try await sandbox.crlab(
                    ["shell", "old", "--scenario", scenario, "--accelerator", "tcg"], input: script, seconds: 60)
                #expect(answer.status == 7, "\(answer)")
                for line in ["debian=11", "engine=0", "agent=0"] {
                    #expect(answer.output.contains(line), "\(line): \(answer)")
                }
                try await sandbox.expectNothingLeft()
            }
        }
    }
}
