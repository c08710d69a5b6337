import Logging
import SystemPackage
import Testing

@testable import LabImages

@Suite("QEMU", .enabled(if: Tools.missing.isEmpty, "needs \(Tools.missing)"))
struct QEMUTests {
    private func library(_ place: LibraryTests.Place, qemu script: String) throws -> ImageLibrary {
        let path = place.folder.appending("qemu")
        try Files.write(script, to: path)
        try Files.setMode(0o755, of: path)
        var configuration = LibraryConfiguration(
            cache: place.folder.appending("cache"), recipes: place.folder.appending("recipes"))
        configuration.qemu = path.string
        return try ImageLibrary(configuration: configuration, logger: Logger(label: "test"))
    }

    @Test("a good one is taken, with a digest that tells builds apart")
    func good() async throws {
        let place = try LibraryTests.Place()
        let found = try await library(place, qemu: "#!/bin/sh\necho QEMU emulator version 10.0.2 '(x)'\n").qemu()
        #expect(found.version == "10.0.2")
        #expect(found.isSystem)
        #expect(found.dataDirectories.isEmpty)
        #expect(found.buildID.count == 64)
    }

    @Test("one that is known to be bad is refused with the reason, even when the user names it")
    func bad() async throws {
        let place = try LibraryTests.Place()
        let library = try library(place, qemu: "#!/bin/sh\necho QEMU emulator version 7.2.19 '(Debian)'\n")
        let error = await #expect(throws: ImagesError.self) { try await library.qemu() }
        #expect(error?.explanation.why.contains("cmpxchg16b") == true)
        #expect(error?.explanation.what == "cannot use QEMU 7.2.19")
    }

    @Test("one that does not start is an error with its last words")
    func broken() async throws {
        let place = try LibraryTests.Place()
        let library = try library(place, qemu: "#!/bin/sh\necho no such library >&2\nexit 127\n")
        let error = await #expect(throws: ImagesError.self) { try await library.qemu() }
        #expect(error?.explanation.why.contains("no such library") == true)
    }
}
