import CRModel
import Foundation
import Testing

@testable import LabStore
@testable import StoreVictim

struct ImageStoreTests {
    @Test("runs that share a folder keep equal images once, and leave each other's parts alone")
    func shared() async throws {
        let folder = try TemporaryFolder()
        func store(_ name: String) throws -> RunStore {
            var run = sampleRun()
            run.imageStore = folder.file("shared")
            return try RunStore.create(at: folder.file(name), run: run, plan: samplePlan())
        }
        let (one, two) = (try store("one"), try store("two"))
        try await withThrowingTaskGroup(of: StoredImage.self) { group in
            for (index, images) in [one.images, two.images, one.images, two.images].enumerated() {
                let file = folder.file("archive-\(index)")
                try Data("the same".utf8).write(to: URL(filePath: file))
                group.addTask { try images.add(file: file, keepingSource: true) }
            }
            for try await image in group { try one.images.verify(image) }
        }
        #expect(try one.images.digests().count == 1)
        #expect(try RunReader.open(at: folder.file("two")).images.digests().count == 1)
        try Data().write(to: URL(filePath: folder.file("shared/.part-1-x")))
        try await two.close()
        let again = try RunStore.open(at: folder.file("two"))
        #expect(FileManager.default.fileExists(atPath: folder.file("shared/.part-1-x")))
        try await again.close()
        try await one.close()
    }

    let folder: TemporaryFolder
    let store: RunStore

    init() throws {
        folder = try TemporaryFolder()
        store = try RunStore.create(at: folder.file("run"), run: sampleRun(), plan: samplePlan())
    }

    private func write(_ text: String, _ name: String) throws -> String {
        try text.write(toFile: folder.file(name), atomically: false, encoding: .utf8)
        return folder.file(name)
    }

    @Test("a file is moved in under its content's name, and comes back as it was")
    func add() throws {
        let file = try write("abc", "image")
        let image = try store.images.add(file: file)
        #expect(image == StoredImage(digest: SHA256.hex(of: "abc".utf8), bytes: 3))
        #expect(!FileManager.default.fileExists(atPath: file))
        #expect(try store.images.verify(image) == store.images.path(of: image))
        #expect(try String(contentsOfFile: store.images.path(of: image), encoding: .utf8) == "abc")
    }

    @Test("equal content is kept once, also beside a source that stays")
    func equal() throws {
        let images = store.images
        let first = try images.add(file: write("abc", "one"))
        let second = try images.add(file: write("abc", "two"), keepingSource: true)
        #expect(first == second)
        #expect(FileManager.default.fileExists(atPath: folder.file("two")))
        #expect(try images.digests() == [first.digest])
        #expect(try images.totalBytes() == 3)
    }

    @Test("several megabytes")
    func large() throws {
        let text = String(repeating: "0123456789abcdef", count: 200_000)
        let image = try store.images.add(file: write(text, "large"), keepingSource: true)
        #expect(image == StoredImage(digest: SHA256.hex(of: text.utf8), bytes: 3_200_000))
        try store.images.verify(image)
    }

    @Test("a changed, cut or missing image is an error of its own")
    func damage() throws {
        let images = store.images
        let image = try images.add(file: write("abcdef", "image"))
        let path = images.path(of: image)
        for text in ["abcdeF", "abcde", ""] {
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            let error = #expect(throws: StoreError.self) { try images.verify(image) }
            #expect(error == .imageDamaged(digest: image.digest, path: path))
        }
        try images.remove(image)
        try images.remove(image)
        let error = #expect(throws: StoreError.self) { try images.verify(image) }
        #expect(error == .imageMissing(digest: image.digest, path: path))
        #expect(throws: StoreError.notThere(path: "/nowhere")) { try images.add(file: "/nowhere") }
    }

    @Test("an image that was found good once is looked at again when its file changes")
    func damageLater() async throws {
        let images = store.images
        let image = try images.add(file: write("abcdef", "image"))
        let path = images.path(of: image)
        // Until the file is old enough for its times to say that it is the same one.
        let deadline = ContinuousClock.now + .seconds(10)
        while StoreFile.identity(path) == nil, ContinuousClock.now < deadline { await Task.yield() }
        #expect(StoreFile.identity(path) != nil)
        for _ in 0..<2 { try images.verify(image) }
        try "abcdeF".write(toFile: path, atomically: false, encoding: .utf8)
        #expect(throws: StoreError.imageDamaged(digest: image.digest, path: path)) { try images.verify(image) }
    }

    @Test("what a killed process left half-written is removed by the next")
    func parts() async throws {
        let images = store.images
        _ = try images.add(file: write("abc", "image"))
        let part = images.folder + "/.part-1-x"
        try "half".write(toFile: part, atomically: false, encoding: .utf8)
        try await store.close()
        let next = try RunStore.open(at: folder.file("run"))
        #expect(!FileManager.default.fileExists(atPath: part))
        #expect(try next.images.digests().count == 1)
        try await next.close()
    }

    @Test("a full disk is a full disk")
    func full() throws {
        // /dev/full exists for this: every write to it fails with ENOSPC.
        #expect(throws: StoreError.noSpace(path: "/dev/full")) { try writeToFullDevice() }
    }
}
