import Foundation
import Testing
import Yams

/// What the ready-made files have to say to the systems that read them.
struct CIFileTests {
    private func documents(_ name: String) throws -> [Node] {
        let text = try String(contentsOf: repository.appending(path: "CI/\(name)"), encoding: .utf8)
        return try Array(compose_all(yaml: text))
    }

    @Test("Kubernetes: an index for each shard, and a failure policy that knows the exit statuses")
    func kubernetes() throws {
        let documents = try documents("kubernetes.yaml")
        #expect(documents.count == 2)
        let spec = try #require(documents[0]["spec"])
        #expect(spec["completionMode"]?.string == "Indexed")
        #expect(spec["template"]?["spec"]?["restartPolicy"]?.string == "Never")
        #expect(spec["backoffLimitPerIndex"]?.int != nil, "FailIndex needs it")
        var actions: [Int: String] = [:]
        for rule in try #require(spec["podFailurePolicy"]?["rules"]?.sequence) {
            let action = try #require(rule["action"]?.string)
            for status in rule["onExitCodes"]?["values"]?.sequence ?? [] {
                actions[try #require(status.int)] = action
            }
        }
        #expect(
            actions == [
                1: "FailIndex", 64: "FailJob", 69: "Count", 124: "Count", 130: "Count", 137: "Count", 143: "Count",
            ])
        let container = try #require(spec["template"]?["spec"]?["containers"]?[0])
        let shards = container["env"]?.sequence?.first { $0["name"]?.string == "SHARDS" }
        #expect(shards?["value"]?.string == spec["completions"]?.int.map(String.init))
        #expect(container["args"]?[0]?.string?.contains("CI/shard ") == true)
        #expect(documents[1]["spec"]?["suspend"]?.bool == true, "it must wait for the shards")
        #expect(documents[1]["spec"]?["template"]?["spec"]?["containers"]?[0]?["command"]?[0]?.string == "CI/merge")
    }

    @Test("GitHub Actions: a job for each shard, its files kept, and one that merges whatever became of them")
    func github() throws {
        let jobs = try #require(documents("github-actions.yml").first?["jobs"])
        let shard = try #require(jobs["shard"])
        let indices = shard["strategy"]?["matrix"]?["shard"]?.sequence?.compactMap(\.int) ?? []
        #expect(indices == Array(1...max(1, indices.count)))
        #expect(shard["strategy"]?["fail-fast"]?.bool == false)
        let steps = shard["steps"]?.sequence ?? []
        #expect(steps.contains { $0["run"]?.string?.contains("CI/shard ") == true })
        let upload = steps.first { $0["uses"]?.string?.hasPrefix("actions/upload-artifact@") == true }
        #expect(upload?["if"]?.string == "always()")
        let merge = try #require(jobs["merge"])
        #expect(merge["needs"]?.string == "shard")
        #expect(merge["if"]?.string == "always()")
        #expect(merge["steps"]?.sequence?.contains { $0["run"]?.string == "CI/merge shards" } == true)
    }

    @Test("GitHub Actions: the step tries a failed lab once more, and leaves the unexpected to the merge")
    func githubStep() throws {
        let steps = try documents("github-actions.yml").first?["jobs"]?["shard"]?["steps"]?.sequence ?? []
        let script = try #require(steps.compactMap { $0["run"]?.string }.first { $0.contains("CI/shard ") })
            .replacing(/\$\{\{ matrix.shard \}\}/, with: "1").replacing(/\$\{\{ strategy.job-total \}\}/, with: "2")
        let ends: [([Int32], Int32)] = [([0], 0), ([1], 0), ([69, 0], 0), ([69, 1], 0), ([69, 69], 69), ([64], 64)]
        for (shards, status) in ends {
            let folder = FileManager.default.temporaryDirectory.appending(path: "crlab-ci-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            try FileManager.default.createDirectory(
                at: folder.appending(path: "CI"), withIntermediateDirectories: true)
            try Data(shards.map { "\($0)\n" }.joined().utf8).write(to: folder.appending(path: "ends"))
            let fake = "#!/bin/sh\nread status < ends\nsed -i 1d ends\nexit $status\n"
            try Data(fake.utf8).write(to: folder.appending(path: "CI/shard"))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: folder.appending(path: "CI/shard").path)
            let process = Process()
            process.executableURL = URL(filePath: "/bin/bash")
            // As GitHub runs a step.
            process.arguments = ["-e", "-c", script]
            process.environment = ["PATH": "/usr/bin:/bin", "SCENARIO": "s.yaml"]
            process.currentDirectoryURL = folder
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == status, "shard: \(shards)")
        }
    }

    @Test("GitLab: parallel shards that are tried again only when the lab failed")
    func gitlab() throws {
        let file = try #require(documents("gitlab-ci.yml").first)
        let shard = try #require(file["crlab-shard"])
        #expect((shard["parallel"]?.int ?? 0) > 1)
        #expect(shard["retry"]?["exit_codes"]?.sequence?.compactMap(\.int) == [69])
        #expect(shard["allow_failure"]?["exit_codes"]?.sequence?.compactMap(\.int) == [1])
        #expect(shard["artifacts"]?["when"]?.string == "always")
        #expect(shard["script"]?[0]?.string?.contains("$CI_NODE_INDEX/$CI_NODE_TOTAL") == true)
        let merge = try #require(file["crlab-merge"])
        #expect(merge["when"]?.string == "always")
        #expect(merge["needs"]?[0]?["job"]?.string == "crlab-shard")
    }
}
