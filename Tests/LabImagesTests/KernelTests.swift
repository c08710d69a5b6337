import CRModel
import Testing

@testable import LabImages

@Suite("Kernels")
struct KernelTests {
    @Test("the archive format, byte for byte")
    func cpio() {
        var writer = CPIOWriter()
        writer.addFolder("dev")
        writer.addCharacterDevice("dev/console", mode: 0o600, major: 5, minor: 1)
        writer.addFile("init", mode: 0o755, content: Array("hello".utf8))
        writer.addLink("sh", to: "init")
        writer.finish()
        let entries = CPIOReader.entries(writer.bytes)
        #expect(entries.map(\.name) == ["dev", "dev/console", "init", "sh", "TRAILER!!!"])
        #expect(entries.map(\.mode) == [0o040755, 0o020600, 0o100755, 0o120777, 0])
        #expect(entries.map(\.inode) == [1, 2, 3, 4, 0])
        #expect(entries[1].device == [5, 1])
        #expect(entries[2].content == Array("hello".utf8))
        #expect(entries.allSatisfy { $0.owner == [0, 0] && $0.time == 0 })
        #expect(writer.bytes.count % 4 == 0)
        #expect(String(decoding: writer.bytes.prefix(14), as: UTF8.self) == "07070100000001")
    }

    static let tree: [String: ModuleInfo] = Dictionary(
        uniqueKeysWithValues: [
            ModuleInfo(name: "virtio_pci", depends: ["virtio", "virtio_ring"]),
            ModuleInfo(name: "virtio", depends: ["virtio_ring"]), ModuleInfo(name: "virtio_ring"),
            ModuleInfo(name: "virtio-rng", depends: ["rng-core", "virtio"]), ModuleInfo(name: "rng_core"),
            ModuleInfo(name: "overlay"),
            ModuleInfo(name: "crc", softDepends: ["crc_fast", "nowhere"]), ModuleInfo(name: "crc_fast"),
            ModuleInfo(name: "ring_a", softDepends: ["ring_b"]), ModuleInfo(name: "ring_b", softDepends: ["ring_a"]),
            ModuleInfo(name: "broken", depends: ["gone"]),
        ].map { ($0.name, $0) })

    struct Order: Sendable, CustomTestStringConvertible {
        let name: String
        let wanted: [String]
        let builtin: Set<String>
        let expected: [String]
        let absent: [String]
        var testDescription: String { name }
    }

    static let orders = [
        Order(
            name: "dependencies first", wanted: ["virtio_pci", "overlay"], builtin: [],
            expected: ["virtio_ring", "virtio", "virtio_pci", "overlay"], absent: []),
        Order(
            name: "dash and underscore are one", wanted: ["virtio_rng", "virtio-rng"], builtin: [],
            expected: ["rng_core", "virtio_ring", "virtio", "virtio_rng"], absent: []),
        Order(
            name: "built in is left out", wanted: ["virtio_pci", "virtio"], builtin: ["virtio_pci", "virtio_ring"],
            expected: ["virtio"], absent: []),
        Order(
            name: "soft dependencies where they exist", wanted: ["crc"], builtin: [], expected: ["crc_fast", "crc"],
            absent: []),
        Order(
            name: "a circle of soft dependencies ends", wanted: ["ring_a"], builtin: [],
            expected: ["ring_b", "ring_a"],
            absent: []),
        Order(
            name: "absent is recorded", wanted: ["nope", "overlay"], builtin: [], expected: ["overlay"],
            absent: ["nope"]),
    ]

    @Test("load order", arguments: orders)
    func order(_ c: Order) async throws {
        var order = ModuleOrder()
        try await order.add(c.wanted, builtin: c.builtin, kernel: "k") { (name) async throws(ImagesError) in
            Self.tree[ModuleInfo.canonical(name)]
        }
        #expect(order.order == c.expected)
        #expect(order.absent == c.absent)
    }

    @Test("a dependency that does not exist is an error that names both")
    func brokenDependency() async throws {
        var order = ModuleOrder()
        await #expect(throws: ImagesError.moduleMissing(module: "gone", kernel: "k", neededBy: "broken")) {
            try await order.add(["broken"], builtin: [], kernel: "k") { (name) async throws(ImagesError) in
                Self.tree[name]
            }
        }
    }

    static let names: [(String, String?)] = [
        ("kernel/drivers/char/hw_random/virtio-rng.ko.xz", "virtio_rng"), ("kernel/fs/overlayfs/overlay.ko", "overlay"),
        ("a/b.ko.zst", "b"), ("modules.builtin", nil), ("kernel/x.koo", nil),
    ]

    @Test("module names", arguments: names)
    func moduleName(_ path: String, _ expected: String?) { #expect(ModuleTree.moduleName(path) == expected) }

    @Test("what a module says about itself is read from its ELF, and damage is no crash")
    func modinfo() throws {
        let object = Fixtures.module(["license=GPL", "depends=a,b-c", "softdep=pre: d e post: f", "name=x"])
        let info = try #require(ModuleInfo(name: "x", object: object))
        #expect(info.depends == ["a", "b_c"])
        #expect(info.softDepends == ["d", "e"])
        for length in 0..<object.count { _ = ModuleInfo(name: "x", object: Array(object.prefix(length))) }
        for index in object.indices {
            var damaged = object
            damaged[index] = 0xff
            _ = ModuleInfo(name: "x", object: damaged)
        }
    }

    @Test("the payload of a bzImage is found, and damage is no crash")
    func bzImage() throws {
        let file = Fixtures.bzImage(release: "6.0.0-test", payload: [0x02, 0x21, 1, 2, 3, 4, 5, 6, 9, 9, 9, 9])
        let image = try #require(BzImage(file))
        #expect(image.compression == .lz4)
        #expect(image.release == "6.0.0-test")
        #expect(Array(file[image.payload]) == [0x02, 0x21, 1, 2, 3, 4, 5, 6])
        for length in stride(from: 0, to: file.count, by: 7) { _ = BzImage(Array(file.prefix(length))) }
        for index in 0x1f0..<0x260 {
            var damaged = file
            damaged[index] = 0xff
            _ = BzImage(damaged)
        }
        #expect(BzImage(Array("#!/bin/sh\n".utf8)) == nil)
    }

    @Test("SHA-256 of the standard's examples")
    func sha256() {
        #expect(SHA256.hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(SHA256.hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    }
}
