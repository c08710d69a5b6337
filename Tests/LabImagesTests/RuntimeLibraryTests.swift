import CRModel
import Foundation
import SystemPackage
import Testing

@testable import LabImages

/// Runtimes of the user's own, so that no network is needed; the machine's `ls` stands for one.
@Suite("Runtimes in the library", .enabled(if: Tools.missing.isEmpty, "needs \(Tools.missing)"))
struct RuntimeLibraryTests {
    private func place() throws -> LibraryTests.Place {
        let place = try LibraryTests.Place()
        for name in ["recipes/runtimes", "own/sbin"] { try Files.makeFolder(place.folder.appending(name)) }
        try place.write("path: /bin/ls\n", "recipes/runtimes/criu-mine.yaml")
        try place.write("path: ../../own\nprogram: sbin/criu\n", "recipes/runtimes/runsc-folder.yaml")
        try place.write("path: /nonexistent\n", "recipes/runtimes/criu-gone.yaml")
        try place.write("#!/bin/sh\n", "own/sbin/criu")
        return place
    }

    @Test("a dynamic program gets its own loader and libraries beside it, and starts through them")
    func dynamic() async throws {
        let place = try place()
        defer { withExtendedLifetime(place) {} }
        let library = try place.library()
        let recipe = try await library.recipes.runtime(named: "criu-mine")
        let folder = try await library.runtime(recipe).folder.appending("criu-mine")
        let text = try Files.text(folder.appending(RuntimeInstallation.fileName))
        let installation = try JSONCoder.decode(RuntimeInstallation.self, from: text)
        #expect(installation.name == "criu-mine")
        #expect(installation.loader == "lib/ld-linux-x86-64.so.2")
        #expect(Files.names(in: folder.appending("lib")).contains("libc.so.6"))
        let words = installation.command(in: folder.string)
        let outcome = try await ToolRunner().attempt(
            FilePath(words[0]), Array(words.dropFirst()) + ["--version"], seconds: 20, purpose: "start it")
        #expect(outcome.succeeded && outcome.text.contains("coreutils"))
    }

    @Test("the disk holds what was asked for, whatever the order; without a runtime there is none")
    func disk() async throws {
        let place = try place()
        defer { withExtendedLifetime(place) {} }
        let library = try place.library()
        let one = try #require(try await library.runtimeDisk(["runsc-folder", "criu-mine", .native]))
        #expect(one.runtimes == ["criu-mine", "runsc-folder"])
        #expect(Files.exists(one.disk))
        #expect(try await library.runtimeDisk(["criu-mine", "runsc-folder"]) == one)
        #expect(try await library.runtimeDisk(["criu-mine"])?.key != one.key)
        #expect(try await library.runtimeDisk([.native]) == nil)
    }

    @Test("a program that is not there is said")
    func gone() async throws {
        let place = try place()
        defer { withExtendedLifetime(place) {} }
        let library = try place.library()
        await #expect(throws: ImagesError.self) { try await library.runtimeDisk(["criu-gone"]) }
        await #expect(throws: ImagesError.self) { try await library.runtimeDisk(["criu-none"]) }
    }
}
