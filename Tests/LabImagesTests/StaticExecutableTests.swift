import Foundation
import Logging
import SystemPackage
import Testing

@testable import LabImages

/// Agent and engine must start in every userland, also in one whose C library is older than that of the build machine.
///
/// Needs the built executables (`CRLAB_TEST_EXECUTABLES`, separated by colons) and a prepared or reachable Debian 11.
/// The root is taken out of its disk image and entered in a user namespace, so no root is needed.
@Suite("Static executables")
struct StaticExecutableTests {
    static let executables = (ProcessInfo.processInfo.environment["CRLAB_TEST_EXECUTABLES"] ?? "").split(separator: ":")
        .map { FilePath(String($0)) }

    @Test(
        "agent and engine start in a Debian 11 userland",
        .enabled(if: !executables.isEmpty, "CRLAB_TEST_EXECUTABLES names no executables"), .timeLimit(.minutes(3)))
    func startInDebian11() async throws {
        let repository = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
        let library = try ImageLibrary(
            configuration: .fromEnvironment(recipes: repository.appending("VMImages")), logger: Logger(label: "test"))
        let userland = try await library.userland(named: "debian-11", workloads: nil)
        let root = FilePath(NSTemporaryDirectory()).appending("crlab-debian-11-\(UUID().uuidString)")
        try Files.makeFolder(root)
        defer { try? Files.removeTree(root) }
        let tools = ToolRunner()
        try await tools.run(
            .debugfs, ["-R", "rdump / \(root)", userland.disk.string], purpose: "take the root out of its disk")
        let unshare = try #require(tools.find("unshare"), "unshare is part of util-linux")
        func enter(_ command: [String]) async throws -> ToolRunner.Outcome {
            try await tools.attempt(
                unshare,
                [
                    // The Swift runtime aborts at start where there is no /proc.
                    "--user", "--map-root-user", "--mount", "sh", "-c",
                    "mount --rbind /proc \"$1/proc\" && exec chroot \"$@\"", "sh", root.string,
                ] + command, seconds: 60, purpose: "run a program in Debian 11")
        }
        let version = try await enter(["/bin/cat", "/etc/debian_version"])
        try #require(version.text.hasPrefix("11."), "\(version.errors)")
        for executable in Self.executables {
            let name = try #require(executable.lastComponent?.string)
            // By a process of its own: another test's fork could hold our descriptor for writing, and the file would be
            // busy when it is to be run.
            let copied = try await tools.attempt(
                try #require(tools.find("cp")), [executable.string, root.appending(name).string], seconds: 60,
                purpose: "copy \(name)")
            try #require(copied.succeeded, "\(copied.errors)")
            let outcome = try await enter(["/\(name)", "--version"])
            #expect(outcome.succeeded, "\(name): \(outcome.status) \(outcome.errors)")
            #expect(!outcome.text.isEmpty, "\(name) prints a version")
        }
    }
}
