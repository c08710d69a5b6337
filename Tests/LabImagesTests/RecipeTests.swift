import SystemPackage
import Testing

@testable import LabImages

@Suite("Recipes")
struct RecipeTests {
    struct Bad: Sendable, CustomTestStringConvertible {
        let name: String
        let text: String
        let line: Int
        let says: String
        var testDescription: String { name }
    }

    static let badKernels = [
        Bad(name: "unknown key", text: "suite: trixie\npackage: a\npakage: b\n", line: 3, says: "pakage is unknown"),
        Bad(name: "no suite", text: "package: a\n", line: 1, says: "suite is missing"),
        Bad(name: "no package", text: "suite: trixie\n", line: 1, says: "package is missing"),
        Bad(name: "list for a text", text: "suite: trixie\npackage: [a]\n", line: 2, says: "a text is expected"),
        Bad(name: "no mapping", text: "- a\n- b\n", line: 1, says: "a mapping"),
        Bad(name: "no YAML", text: "suite: trixie\npackage: \"a\n", line: 3, says: "not YAML"),
        Bad(name: "twice", text: "suite: a\nsuite: b\npackage: c\n", line: 1, says: "twice"),
        Bad(name: "empty", text: "", line: 0, says: "empty"),
        Bad(name: "both sources", text: "suite: a\nkernel: {bzImage: x}\n", line: 1, says: "beside the key kernel"),
        Bad(name: "own kernel without file", text: "kernel:\n  modules: x\n", line: 2, says: "bzImage is missing"),
        Bad(name: "suite that is no name", text: "suite: \"a b\"\npackage: c\n", line: 1, says: "no name of a suite"),
        Bad(
            name: "unknown key below", text: "suite: a\npackage: b\nmodules:\n  boot: [x]\n  more: [y]\n", line: 5,
            says: "more is unknown"),
    ]

    @Test("a damaged kernel recipe is told with its line", arguments: badKernels)
    func kernelErrors(_ bad: Bad) throws {
        let error = try #require(throws: ImagesError.self) {
            try KernelRecipe(text: bad.text, path: "/r/kernels/k.yaml")
        }
        guard case .recipeInvalid(let file, let line, let reason) = error else {
            Issue.record("another error: \(error)")
            return
        }
        #expect(file == "/r/kernels/k.yaml")
        #expect(line == bad.line)
        #expect(reason.contains(bad.says), "\(reason)")
    }

    @Test("a kernel recipe by packages")
    func kernel() throws {
        let recipe = try KernelRecipe(
            text: "summary: x\nsuite: trixie\npackage: \"linux-*\"\nversion: 6*\nmodules: {boot: [a], extra: [b]}\n",
            path: "/r/kernels/k.yaml")
        #expect(recipe.name == "k")
        #expect(recipe.source == .packages(suites: ["trixie"], package: "linux-*", version: "6*"))
        #expect(recipe.modules == ModuleWish(boot: ["a"], extra: ["b"]))
    }

    @Test("a user's own kernel: relative paths count from the recipe")
    func ownKernel() throws {
        let recipe = try KernelRecipe(
            text: "kernel: {bzImage: ../b/bzImage, modules: /lib/modules/x}\n", path: "/r/kernels/k.yaml")
        #expect(recipe.source == .files(bzImage: "/r/b/bzImage", modules: "/lib/modules/x", config: nil))
    }

    static let badUserlands = [
        Bad(name: "nothing", text: "suite: a\n", line: 1, says: "packages or root"),
        Bad(name: "both", text: "root: x\npackages: [a]\n", line: 2, says: "beside the key root"),
        Bad(name: "leaves the root", text: "root: x\nlinks: {../a: b}\n", line: 2, says: "relative to the root"),
        Bad(name: "absolute", text: "root: x\nfiles:\n  /etc/a: b\n", line: 2, says: "relative to the root"),
        Bad(name: "slack", text: "root: x\nslackMiB: -1\n", line: 2, says: "0 to 65536"),
        Bad(name: "slack no number", text: "root: x\nslackMiB: much\n", line: 2, says: "whole number"),
    ]

    @Test("a damaged userland recipe is told with its line", arguments: badUserlands)
    func userlandErrors(_ bad: Bad) throws {
        let error = try #require(throws: ImagesError.self) {
            try UserlandRecipe(text: bad.text, path: "/r/userlands/u.yaml")
        }
        guard case .recipeInvalid(_, let line, let reason) = error else {
            Issue.record("another error: \(error)")
            return
        }
        #expect(line == bad.line)
        #expect(reason.contains(bad.says), "\(reason)")
    }

    static let badRuntimes = [
        Bad(name: "nothing", text: "suite: a\n", line: 1, says: "packages and program or path"),
        Bad(name: "no program", text: "suite: a\npackages: [criu]\n", line: 2, says: "packages and program or path"),
        Bad(name: "both", text: "path: x\npackages: [a]\n", line: 2, says: "beside the key path"),
        Bad(name: "leaves the root", text: "path: x\nprogram: ../criu\n", line: 2, says: "relative to the root"),
    ]

    @Test("a damaged runtime recipe is told with its line", arguments: badRuntimes)
    func runtimeErrors(_ bad: Bad) throws {
        let error = try #require(throws: ImagesError.self) {
            try RuntimeRecipe(text: bad.text, path: "/r/runtimes/criu-x.yaml")
        }
        guard case .recipeInvalid(_, let line, let reason) = error else {
            Issue.record("another error: \(error)")
            return
        }
        #expect(line == bad.line)
        #expect(reason.contains(bad.says), "\(reason)")
    }

    @Test("a runtime's name says how it is called; a build of one's own counts from the recipe's folder")
    func runtimes() throws {
        let own = try RuntimeRecipe(text: "path: ../b\nprogram: sbin/criu\n", path: "/r/runtimes/criu-mine.yaml")
        #expect(own.source == .path("/r/b"))
        #expect(own.program == "sbin/criu")
        #expect(throws: ImagesError.self) { try RuntimeRecipe(text: "path: b\n", path: "/r/runtimes/mine.yaml") }
    }

    @Test("the recipes that crlab ships can be read")
    func shipped() throws {
        let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
            .appending("VMImages")
        let book = try RecipeBook(folder: folder)
        #expect(Set(book.kernels.keys).isSuperset(of: ["debian-5.10", "debian-6.1", "debian-6.12", "debian-newest"]))
        #expect(Set(book.userlands.keys).isSuperset(of: ["debian-11", "debian-12"]))
        for result in book.kernels.values { _ = try result.get() }
        for result in book.userlands.values { _ = try result.get() }
        let runtimes = ["criu-3.17", "criu-4.1", "criu-4.2", "criu-4.3", "runsc-2022", "runsc-2024"]
        #expect(book.runtimes.keys.sorted() == runtimes)
        for result in book.runtimes.values { _ = try result.get() }
        #expect(try book.qemu().packages == ["qemu-system-x86"])
        #expect(Set(book.qemus.keys).isSuperset(of: ["qemu-7.2", "qemu-10.0", "qemu-11"]))
        for result in book.qemus.values { _ = try result.get() }
        #expect(try book.qemus.values.filter { try $0.get().isDefault }.count == 1)
        let modules = try book.modules.get().boot
        // One for each machine type: the agent's port is behind it.
        for module in ["virtio_console", "virtio_pci", "virtio_mmio"] { #expect(modules.contains(module)) }
        #expect(throws: ImagesError.self) { try book.kernel(named: "none") }
    }
}
