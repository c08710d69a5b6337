import Foundation
import Logging
import Synchronization
import SystemPackage
import Testing

@testable import LabImages

enum Tools {
    static let missing = [HostTool.makeExt4, .debugfs, .tar, .sha256sum, .aptGet]
        .filter { ToolRunner().find($0.rawValue) == nil }.map(\.rawValue)
}

/// The whole way from recipe to image, with a user's own kernel and root, so that no network is needed.
@Suite("Library", .enabled(if: Tools.missing.isEmpty, "needs \(Tools.missing)"))
struct LibraryTests {
    /// A cache, recipes, a kernel, a root and workloads in a folder that goes away.
    final class Place: Sendable {
        let folder: FilePath
        let seen = Mutex<[ImagesProgress]>([])

        init() throws {
            folder = FilePath(NSTemporaryDirectory()).appending("crlab-images-\(UUID().uuidString)")
            for name in [
                "recipes/kernels", "recipes/userlands", "root/etc", "root/bin", "modules/kernel", "workloads/w",
            ] {
                try Files.makeFolder(folder.appending(name))
            }
            // The payload is stored as it is: an ELF needs no unpacking.
            let kernel = Fixtures.bzImage(
                release: "6.0.0-test", payload: [0x7f, 0x45, 0x4c, 0x46] + Array(repeating: 7, count: 64))
            try write(kernel, "bzImage")
            try write(Fixtures.module(["depends=base"]), "modules/kernel/top.ko")
            try write(Fixtures.module(["depends="]), "modules/kernel/base.ko")
            try write("kernel/builtin_one.ko\n", "modules/modules.builtin")
            try write("CONFIG_RD_LZ4=y\n", "config")
            try write("boot: [top, builtin_one]\nextra: [nowhere]\n", "recipes/modules.yaml")
            try write(
                "kernel: {bzImage: ../../bzImage, modules: ../../modules, config: ../../config}\n",
                "recipes/kernels/own.yaml")
            try write("suite: nosuch\npackage: linux-*\n", "recipes/kernels/gone.yaml")
            try write("suite: x\npakage: y\n", "recipes/kernels/damaged.yaml")
            try write("hello\n", "root/etc/hello")
            try write("#!/bin/sh\n", "root/bin/tool")
            try write(
                "root: ../../root\nfiles: {etc/hostname: here}\nlinks: {usr/bin/sh: tool}\nslackMiB: 1\n",
                "recipes/userlands/own.yaml")
            try write("{}\n", "workloads/w/workload.json")
            try write([0x7f, 0x45], "agent")
        }

        deinit { try? Files.removeTree(folder) }

        func write(_ text: String, _ name: String) throws { try Files.write(text, to: folder.appending(name)) }
        func write(_ bytes: [UInt8], _ name: String) throws { try Files.write(bytes, to: folder.appending(name)) }

        func library() throws -> ImageLibrary {
            var configuration = LibraryConfiguration(
                cache: folder.appending("cache"), recipes: folder.appending("recipes"))
            configuration.mirror = "file:\(folder)/no-mirror"
            configuration.qemu = "/nonexistent/qemu"
            configuration.lockSeconds = 5
            return try ImageLibrary(configuration: configuration, logger: Logger(label: "test")) { event in
                self.seen.withLock { $0.append(event) }
            }
        }
    }

    @Test("a user's own kernel: modules in order, what is absent recorded, the second time nothing is built")
    func ownKernel() async throws {
        let place = try Place()
        let kernel = try await place.library().kernel(named: "own")
        #expect(kernel.release == "6.0.0-test")
        #expect(kernel.modules == ModulePlan(boot: ["base", "top"], extra: [], absent: ["nowhere"]))
        #expect(try Files.bytes(try #require(kernel.vmlinux)).prefix(4) == [0x7f, 0x45, 0x4c, 0x46])
        #expect(Files.names(in: kernel.modulesFolder) == ["base.ko", "top.ko"])
        place.seen.withLock { $0 = [] }
        #expect(try await place.library().kernel(named: "own") == kernel)
        place.seen.withLock { events in
            #expect(events.count == 1)
            if case .reused = events.first {} else { Issue.record("\(events)") }
        }
    }

    @Test("another kernel file is another entry")
    func changedInput() async throws {
        let place = try Place()
        let first = try await place.library().kernel(named: "own")
        try place.write(
            Fixtures.bzImage(release: "6.0.1-test", payload: [0x7f, 0x45] + Array(repeating: 1, count: 32)), "bzImage")
        let second = try await place.library().kernel(named: "own")
        #expect(second.key != first.key)
        #expect(second.release == "6.0.1-test")
    }

    @Test("one recipe that is not to be had does not hide the others, and each says why")
    func availability() async throws {
        let place = try Place()
        let results = try await place.library().prepare(workloads: place.folder.appending("workloads"))
        let byName = Dictionary(uniqueKeysWithValues: results.map { ("\($0.kind.rawValue) \($0.name)", $0.result) })
        #expect(byName.count == 5)
        #expect(throws: Never.self) { try byName["kernel own"]?.get() }
        #expect(throws: Never.self) { try byName["userland own"]?.get() }
        guard case .failure(.suiteUnavailable(let suite, let mirror, _)) = byName["kernel gone"] else {
            Issue.record("\(String(describing: byName["kernel gone"]))")
            return
        }
        #expect(suite == "nosuch")
        #expect(mirror == "file:\(place.folder)/no-mirror")
        guard case .failure(.recipeInvalid(_, 2, _)) = byName["kernel damaged"] else {
            Issue.record("\(String(describing: byName["kernel damaged"]))")
            return
        }
        guard case .failure(.qemuUnusable) = byName["qemu qemu"] else {
            Issue.record("\(String(describing: byName["qemu qemu"]))")
            return
        }
    }

    @Test("a userland: merged /usr, root owns all, and building it elsewhere gives the same bytes")
    func userland() async throws {
        let places = [try Place(), try Place()]
        var digests: [String] = []
        for place in places {
            let userland = try await place.library().userland(
                named: "own", workloads: place.folder.appending("workloads"))
            let contents = try Files.text(userland.contents)
            #expect(contents.contains("link\t-\t-\t-\tbin -> usr/bin\n"))
            #expect(contents.contains("\tusr/bin/tool\n"))
            #expect(contents.contains("\topt/crlab/workloads/w/workload.json\n"))
            let tools = ToolRunner()
            let listing = try await tools.run(
                .debugfs, ["-R", "ls -l /etc", userland.disk.string], purpose: "look into the disk")
            let lines = listing.text.split(separator: "\n").filter { $0.contains("(") }
            #expect(lines.count >= 4)
            #expect(lines.allSatisfy { $0.split(separator: " ")[3...4] == ["0", "0"] }, "\(listing.text)")
            digests.append(try await FileDigests(tools: tools).digest(of: userland.disk))
        }
        #expect(digests[0] == digests[1])
    }

    @Test("links in a user's root lead nowhere outside it")
    func hostileRoot() async throws {
        let place = try Place()
        let outside = place.folder.appending("outside")
        try Files.makeFolder(outside)
        try Files.removeTree(place.folder.appending("root/etc"))
        try Files.link(place.folder.appending("root/etc"), to: outside.string)
        try Files.link(place.folder.appending("root/opt"), to: "../../../../../../../../" + outside.string.dropFirst())
        _ = try await place.library().userland(named: "own", workloads: place.folder.appending("workloads"))
        #expect(Files.names(in: outside).isEmpty)
    }

    @Test("damage is found, and the next use builds anew")
    func damage() async throws {
        let place = try Place()
        let kernel = try await place.library().kernel(named: "own")
        #expect(try await place.library().verify().allSatisfy { $0.deviations.isEmpty })
        var bytes = try Files.bytes(kernel.vmlinuz)
        bytes[700] ^= 1
        try Files.write(bytes, to: kernel.vmlinuz)
        let checks = try await place.library().verify()
        #expect(checks.flatMap(\.deviations).contains { $0.hasPrefix("vmlinuz has SHA-256") })
        let again = try await place.library().kernel(named: "own")
        #expect(again.key == kernel.key)
        #expect(try await place.library().verify().allSatisfy { $0.deviations.isEmpty })
    }

    @Test("a cut file is not taken for whole, and what a killed build left goes away")
    func killedBuild() async throws {
        let place = try Place()
        let kernel = try await place.library().kernel(named: "own")
        try Files.write(Array(try Files.bytes(kernel.vmlinuz).dropLast()), to: kernel.vmlinuz)
        let left = place.folder.appending("cache/tmp/half")
        try Files.makeFolder(left.appending("deep"))
        try Files.setMode(0o500, of: left)
        let again = try await place.library().kernel(named: "own")
        #expect(BzImage(try Files.bytes(again.vmlinuz)) != nil)
        #expect(Files.names(in: place.folder.appending("cache/tmp")).isEmpty)
    }

    @Test("prune takes what no recipe stands for, and nothing while images are in use")
    func prune() async throws {
        let place = try Place()
        let first = try await place.library().kernel(named: "own")
        try place.write("boot: [top]\nextra: []\n", "recipes/modules.yaml")
        let user = try place.library()
        let second = try await user.kernel(named: "own")
        let other = try place.library()
        await #expect(throws: ImagesError.self) { try await other.prune() }
        // A library may prune what it has used itself.
        let removed = try await user.prune()
        #expect(removed == [ImageCache.entryName(.kernel, "own", key: first.key)])
        #expect(await other.list().map(\.manifest?.key) == [second.key])
    }

    @Test("a second builder waits, and says who holds the cache when it takes too long")
    func lock() async throws {
        let place = try Place()
        try Files.makeFolder(place.folder.appending("cache"))
        let path = place.folder.appending("cache/lock")
        let held = try await CacheLock.acquire(path, exclusive: true, seconds: 1)
        await #expect(
            throws: ImagesError.cacheBusy(
                path: path.string, holder: "process \(ProcessInfo.processInfo.processIdentifier)", seconds: 0)
        ) { try await CacheLock.acquire(path, exclusive: true, seconds: 0) }
        withExtendedLifetime(held) {}
    }

    @Test("a manifest of another schema is not read")
    func foreignManifest() {
        #expect(throws: ImagesError.self) { try ImageManifest.parse("{\"schema\":\"crlab.image/9\"}", path: "m") }
        #expect(throws: ImagesError.self) { try ImageManifest.parse("{", path: "m") }
    }

    @Test("a missing program is told with its package")
    func missingTool() throws {
        let error = try #require(throws: ImagesError.self) {
            try ToolRunner(folders: ["/nonexistent"]).require(.makeExt4, for: "make the disk")
        }
        #expect(error.explanation.next == "install the package e2fsprogs")
    }
}
