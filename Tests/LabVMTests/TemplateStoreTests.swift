import CRModel
import Foundation
import GuestWire
import Testing

@testable import LabVM

@Suite("templates of warm hosts")
struct TemplateStoreTests {
    private static let ready = Ready(
        fingerprint: HostFingerprint(
            cpu: CPUFingerprint(
                vendor: "v", brand: "b", family: 6, model: 1, stepping: 0, features: ["avx"], xcr0: 7, xstateBytes: 832,
                physicalAddressBits: 40, virtualAddressBits: 48, tscKilohertz: 1),
            kernel: KernelFingerprint(
                release: "6.1", version: "#1", commandLine: "quiet", probe: [:], vdso: "x", vdsoSymbols: []),
            userland: UserlandFingerprint(name: "debian-12", libc: "2.36", diskImage: "d"), runtimes: [:],
            memoryBytes: 1 << 29),
        calibrationNanoseconds: 7, warnings: [])

    /// A store in a folder of its own with one template, made of a memory file with a hole and a state file.
    private func withStore(_ body: (TemplateStore, _ folder: String) throws -> Void) throws {
        let folder =
            FileManager.default.temporaryDirectory.path(percentEncoded: false) + "/templates-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(TemplateStore(folder: folder), folder)
    }

    private func build(_ key: String, in store: TemplateStore) throws {
        let lock = store.lock(key)
        defer { Descriptor.close(lock) }
        try #require(lock >= 0)
        let part = try store.prepare(key, memoryMebibytes: 4)
        try Data(repeating: 7, count: 100_000).write(to: URL(filePath: part.state))
        try Data(repeating: 9, count: 300_000).write(to: URL(filePath: part.memory))
        #expect(truncate(part.memory, 4 << 20) == 0)
        _ = try store.publish(key, part, ready: Self.ready, bootMilliseconds: 2000)
    }

    @Test("what was published is found, by this process and by another one, under its own key only")
    func found() throws {
        try withStore { store, folder in
            #expect(store.find("a") == nil)
            try build("a", in: store)
            #expect(store.find("a")?.bootMilliseconds == 2000)
            #expect(store.find("b") == nil)
            #expect(TemplateStore(folder: folder).find("a")?.ready == Self.ready)
        }
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        var name: String
        /// Relative to the template's folder.
        var file: String
        var offset: Int
        /// As bit rot does: the file looks untouched.
        var silent = false
        var testDescription: String { name }
    }

    @Test(
        "a damaged template is removed and not used",
        arguments: [
            Damage(name: "state", file: "state", offset: 5000),
            Damage(name: "state, silently", file: "state", offset: 99_999, silent: true),
            Damage(name: "memory", file: "ram", offset: 0),
            Damage(name: "memory, silently", file: "ram", offset: 299_999, silent: true),
            Damage(name: "manifest", file: "manifest.json", offset: 3),
        ])
    func damaged(_ damage: Damage) throws {
        try withStore { store, folder in
            try build("a", in: store)
            let path = store.place("a").folder + "/" + damage.file
            var status = stat()
            #expect(stat(path, &status) == 0)
            let file = try FileHandle(forUpdating: URL(filePath: path))
            try file.seek(toOffset: UInt64(damage.offset))
            try file.write(contentsOf: [0x55])
            try file.close()
            if damage.silent {
                let old = Date(timeIntervalSince1970: 0)
                try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: path)
                // A manifest that was written when the file looked so.
                var template = try JSONCoder.decode(
                    Template.self, from: Descriptor.text(of: store.place("a").manifest))
                if damage.file == "ram" {
                    template.memory.modifiedSeconds = 0
                    template.memory.modifiedNanoseconds = 0
                } else {
                    template.state.modifiedSeconds = 0
                    template.state.modifiedNanoseconds = 0
                }
                try JSONCoder.text(of: template).write(
                    toFile: store.place("a").manifest, atomically: true, encoding: .utf8)
            }
            // Another process: this one has read the content already.
            #expect(TemplateStore(folder: folder).find("a") == nil)
            #expect(!FileManager.default.fileExists(atPath: store.place("a").folder))
        }
    }

    @Test("a template that a killed process left half built is not found, and is cleared away")
    func halfBuilt() throws {
        try withStore { store, folder in
            let part = folder + "/dead.part"
            try FileManager.default.createDirectory(atPath: part, withIntermediateDirectories: true)
            try Data("x".utf8).write(to: URL(filePath: part + "/ram"))
            try build("a", in: store)
            #expect(!FileManager.default.fileExists(atPath: part))
            #expect(store.find("a") != nil)
        }
    }

    @Test("after some failures a key is given up, others are not")
    func patience() throws {
        try withStore { store, _ in
            #expect(!store.givenUp("a"))
            for _ in 0..<TemplateStore.patience { store.noteFailure("a") }
            #expect(store.givenUp("a"))
            #expect(!store.givenUp("b"))
        }
    }

    @Test("QEMU's monitor speaks in lines, however they are cut")
    func monitorLines() {
        var lines = MonitorLines()
        #expect(lines.take(Array("{\"event\": \"RES".utf8)).isEmpty)
        let values = lines.take(Array("UME\"}\r\nnonsense\r\n{\"return\": {}}\r\n{".utf8))
        #expect(values.count == 2 && values.first?["event"]?.text == "RESUME")
    }
}
