import Foundation
import Testing

let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// `CI/shard` and `CI/merge` with a crlab that only writes down how it was called, and ends as it is told.
struct ShardScriptTests {
    /// A folder with a false crlab; gone when its owner is.
    final class Place {
        let folder = FileManager.default.temporaryDirectory.appending(path: "crlab-ci-\(UUID().uuidString)")

        init() throws {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            // Records a run as the real one does: the folder and its database are there before any cell.
            let script = """
                #!/bin/sh
                echo "$@" >> "\(folder.path)/calls"
                while [ $# -gt 0 ]; do
                    if [ "$1" = --report-dir ]; then mkdir -p "$2" && : > "$2/run.sqlite"; fi
                    shift
                done
                exit "$(cat "\(folder.path)/status")"
                """
            try Data(script.utf8).write(to: folder.appending(path: "crlab"))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: folder.appending(path: "crlab").path)
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        /// What the false crlab was called with so far, one line each, without the folder.
        var calls: [String] {
            let text = (try? String(contentsOf: folder.appending(path: "calls"), encoding: .utf8)) ?? ""
            return text.replacing(folder.path + "/", with: "").split(separator: "\n").map(String.init)
        }

        func run(_ script: String, _ words: [String], crlabEnds status: Int32 = 0) throws -> Int32 {
            try Data("\(status)".utf8).write(to: folder.appending(path: "status"))
            let process = Process()
            process.executableURL = repository.appending(path: "CI/\(script)")
            process.arguments = words
            process.environment = ["PATH": "/usr/bin:/bin", "CRLAB": folder.appending(path: "crlab").path]
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus
        }

        func path(_ name: String) -> String { folder.appending(path: name).path }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// How crlab ends each time it is called.
        let ends: [Int32]
        /// How the script ends each time it is called.
        let statuses: [Int32]
        let calls: [String]
    }

    static let first = "run s.yaml --shard 2/4 --report-dir out/shard-2.1 --guests 1"
    static let resumed = "run --resume out/shard-2.1 --guests 1"
    static let second = "run s.yaml --shard 2/4 --report-dir out/shard-2.2 --guests 1"

    static let cases = [
        Case(
            testDescription: "all as expected, and nothing left to do", ends: [0, 0], statuses: [0, 0], calls: [first]),
        Case(testDescription: "unexpected stays unexpected", ends: [1, 0], statuses: [1, 1], calls: [first]),
        Case(
            testDescription: "killed, then continued", ends: [137, 0, 0], statuses: [137, 0, 0],
            calls: [first, resumed]),
        Case(
            testDescription: "interrupted twice", ends: [130, 124, 0], statuses: [130, 124, 0],
            calls: [first, resumed, resumed]),
        Case(
            testDescription: "the lab failed, then a new run", ends: [69, 0, 0], statuses: [69, 0, 0],
            calls: [first, second]),
        Case(
            testDescription: "killed, continued, and then the lab failed", ends: [137, 69, 0], statuses: [137, 69, 0],
            calls: [first, resumed, second]),
    ]

    @Test("a shard goes on, starts anew or is done, as its last try ended", arguments: cases)
    func shard(_ c: Case) throws {
        let place = try Place()
        for (end, status) in zip(c.ends, c.statuses) {
            let found = try place.run(
                "shard", ["s.yaml", place.path("out"), "2/4", "--guests", "1"], crlabEnds: end)
            #expect(found == status)
        }
        #expect(place.calls == c.calls)
    }

    @Test(
        "wrong usage is 64, and nothing is run",
        arguments: [[], ["s.yaml"], ["s.yaml", "out"], ["s.yaml", "out", "two"]])
    func usage(words: [String]) throws {
        let place = try Place()
        #expect(try place.run("shard", words) == 64)
        #expect(place.calls == [])
        #expect(try place.run("merge", []) == 64)
    }

    @Test("the merge takes every try that recorded something, and ends as crlab does")
    func merge() throws {
        let place = try Place()
        for (shard, ends) in [("1/2", [Int32(0)]), ("2/2", [69, 137])] {
            for end in ends { _ = try place.run("shard", ["s.yaml", place.path("out"), shard], crlabEnds: end) }
        }
        try FileManager.default.createDirectory(atPath: place.path("out/shard-3.1"), withIntermediateDirectories: true)
        for _ in 0..<2 { #expect(try place.run("merge", [place.path("out")], crlabEnds: 1) == 1) }
        let call = "merge --report-dir out/merged out/shard-1.1 out/shard-2.1 out/shard-2.2"
        #expect(place.calls.suffix(2) == [call, call])
    }
}
