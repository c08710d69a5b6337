import GuestWire
import Testing

@Suite("carried archives")
struct ArchiveTests {
    static let entries = [
        (ArchiveEntry(kind: .directory, path: "work", mode: 0o755, modifiedNanoseconds: -5), [UInt8]()),
        (
            ArchiveEntry(kind: .file, path: "work/a", mode: 0o600, uid: 7, gid: 8, sizeBytes: 5),
            Array("hello".utf8)
        ),
        (ArchiveEntry(kind: .file, path: "work/empty", mode: 0o600), []),
        (ArchiveEntry(kind: .hardLink, path: "work/b", mode: 0o600, target: "work/a"), []),
        (ArchiveEntry(kind: .symbolicLink, path: "work/l", mode: 0o777, target: "../../etc/passwd"), []),
        (ArchiveEntry(kind: .character, path: "work/null", mode: 0o666, device: 1 << 32 | 3), []),
    ]

    static func stream() throws -> [UInt8] {
        var bytes = Archive.magic
        for (entry, content) in entries { bytes += try Archive.header(of: entry) + content }
        return bytes + Archive.end(entries: entries.count)
    }

    private func events(_ bytes: [UInt8], step: Int = 4096) throws(WireError) -> [ArchiveDecoder.Event] {
        var decoder = ArchiveDecoder()
        var events: [ArchiveDecoder.Event] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            decoder.append(Array(bytes[start..<min(start + step, bytes.count)]))
            while let event = try decoder.next() { events.append(event) }
        }
        try decoder.finish()
        return events
    }

    @Test("entries and contents come back", arguments: [1, 3, 64, 4096])
    func roundTrip(step: Int) throws {
        let events = try events(try Self.stream(), step: step)
        let entries = events.compactMap { event -> ArchiveEntry? in
            if case .entry(let entry) = event { entry } else { nil }
        }
        let content = events.flatMap { event -> [UInt8] in
            if case .content(let bytes) = event { bytes } else { [] }
        }
        #expect(entries == Self.entries.map(\.0))
        #expect(content == Array("hello".utf8))
        #expect(events.last == .end)
    }

    @Test("every truncation is an error")
    func truncations() throws {
        let stream = try Self.stream()
        for length in 0..<stream.count {
            #expect(throws: WireError.self, "cut at \(length)") { try events(Array(stream[..<length])) }
        }
    }

    @Test("flipped bytes never trap, and never lead out of the folder")
    func flips() throws {
        let stream = try Self.stream()
        for index in stream.indices {
            var damaged = stream
            damaged[index] ^= 0x55
            let found = (try? events(damaged)) ?? []
            for case .entry(let entry) in found { #expect(ArchiveEntry.isSafe(entry.path)) }
        }
    }

    @Test("unusable paths", arguments: ["", "/etc", "a/../b", "a//b", ".", "a/.", "a\u{0}b", "a/"])
    func unsafe(path: String) {
        #expect(!ArchiveEntry.isSafe(path))
        #expect(throws: WireError.self) { try Archive.header(of: ArchiveEntry(kind: .file, path: path, mode: 0)) }
    }
}
