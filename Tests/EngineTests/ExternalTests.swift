import Foundation
import Testing

extension EngineTests {
    /// `--external`: what lies outside the tree is named by the dump and given by the restore.
    @Suite("what lies outside the tree", EngineLab.trait)
    struct ExternalTests {
        @Test("a stream's peer has to be declared")
        func undeclared() throws {
            let running = try RunningWorkload(Workload(holding: "outside"))
            defer { running.finish() }
            try RefusalTests.expectRefusal(of: running, naming: ["unix[\(running.directory)/outside-stream]:NAME"])
        }

        @Test("declared and given, it goes on", arguments: ["path", "descriptor"])
        func declared(how: String) throws {
            let running = try RunningWorkload(Workload(holding: "outside"))
            defer { running.finish() }
            let folder = running.directory
            try running.advance()
            let tree = running.processes()
            let dump = try Engine.run([
                "dump", "--pid", "\(running.pid)", "-o", running.image,
                "--external", "unix[\(folder)/outside-stream]:peer", "--external", "file[\(folder)/outside-file]:file",
            ])
            try #require(dump.code == 0, "\(Engine.words(dump))")
            try RoundTripTests.awaitEnd(of: tree)

            let bare = try Engine.run(["restore", "-i", running.image, "--detach"])
            #expect(bare.code == 1, "\(Engine.words(bare))")
            #expect(bare.json?["refusal"]?["reason"]?.text == "filesystem.missing", "\(Engine.words(bare))")

            let other = folder + "/other-file"
            try Data("there".utf8).write(to: URL(filePath: other))
            // The peer falls back to the name that it had.
            let given = how == "path" ? "file=\(other)" : "file=fd:0"
            let restore = try Engine.run(
                ["restore", "-i", running.image, "--detach", "--external", given],
                stdin: how == "path" ? "/dev/null" : running.directory + "/outside-file")
            try #require(restore.code == 0, "\(Engine.words(restore))")
            let descriptor = try Self.descriptor(of: running.pid, below: folder)
            let shown = try FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(running.pid)/fd/\(descriptor)")
            #expect(shown == (how == "path" ? other : folder + "/outside-file"))
            // A path is opened where the workload was in its file; a descriptor is taken as it is.
            let info = try String(contentsOfFile: "/proc/\(running.pid)/fdinfo/\(descriptor)", encoding: .utf8)
            #expect(info.hasPrefix(how == "path" ? "pos:\t2\n" : "pos:\t0\n"), "\(info)")
            try running.advance(2)
            try running.verify()
        }

        /// The number of the file from outside.
        private static func descriptor(of pid: Int32, below folder: String) throws -> String {
            for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd") {
                let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(name)")
                if link.hasPrefix(folder + "/o") { return name }
            }
            throw Failure("no file of \(folder) is open")
        }
    }
}
