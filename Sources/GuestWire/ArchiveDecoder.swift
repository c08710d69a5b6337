import CRModel

/// Reads an archive from a stream that arrives in portions; damaged bytes are an error and never a trap.
public struct ArchiveDecoder: Sendable {
    /// What the stream said next.
    public enum Event: Sendable, Equatable {
        case entry(ArchiveEntry)
        /// More bytes of the last entry's content.
        case content([UInt8])
        /// The archive is complete.
        case end
    }

    private enum State: Sendable {
        case magic
        case header
        case content(remaining: UInt64)
        case end
    }

    private var state = State.magic
    private var buffer: [UInt8] = []
    private var start = 0
    private var offset: UInt64 = 0
    private var entries = 0

    public init() {}

    /// Adds received bytes.
    public mutating func append(_ bytes: [UInt8]) {
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// What comes next.
    ///
    /// - Returns: `nil` when more bytes are needed, and after the end.
    /// - Throws: ``WireError/archive(offset:why:)``.
    public mutating func next() throws(WireError) -> Event? {
        switch state {
        case .magic:
            guard available >= Archive.magic.count else { return nil }
            guard buffer[start..<(start + Archive.magic.count)].elementsEqual(Archive.magic) else {
                throw .archive(offset: offset, why: "it does not start like one")
            }
            take(Archive.magic.count)
            state = .header
            return try next()
        case .header:
            return try header()
        case .content(let remaining):
            guard available > 0 else { return nil }
            let count = Int(min(UInt64(available), remaining))
            let bytes = Array(buffer[start..<(start + count)])
            take(count)
            let left = remaining - UInt64(count)
            state = left == 0 ? .header : .content(remaining: left)
            return .content(bytes)
        case .end:
            guard available == 0 else { throw .archive(offset: offset, why: "bytes after its end") }
            return nil
        }
    }

    /// Says that no more bytes come.
    public func finish() throws(WireError) {
        if case .end = state { return }
        throw .archive(offset: offset + UInt64(available), why: "it is cut short")
    }

    private mutating func header() throws(WireError) -> Event? {
        guard available >= 8 else { return nil }
        let length = word(at: 0)
        let check = word(at: 4)
        if length == 0 {
            guard Int(check) == entries else {
                throw .archive(offset: offset, why: "it has \(entries) entries and says \(check)")
            }
            take(8)
            state = .end
            return .end
        }
        guard length <= Archive.maximumHeaderBytes else {
            throw .archive(offset: offset, why: "a header of \(length) bytes")
        }
        guard available >= 8 + Int(length) else { return nil }
        let json = Array(buffer[(start + 8)..<(start + 8 + Int(length))])
        guard CRC32(json).value == check else { throw .archive(offset: offset, why: "a header's checksum is wrong") }
        let entry: ArchiveEntry
        do {
            entry = try JSONCoder.decode(ArchiveEntry.self, from: JSONParser.parse(json))
        } catch {
            throw .archive(offset: offset, why: "\(error)")
        }
        guard ArchiveEntry.isSafe(entry.path), entry.kind != .hardLink || ArchiveEntry.isSafe(entry.target) else {
            throw .archive(offset: offset, why: "a path leaves the archive: '\(entry.path)'")
        }
        guard entry.kind == .file || entry.sizeBytes == 0 else {
            throw .archive(offset: offset, why: "'\(entry.path)' has content and is no file")
        }
        take(8 + Int(length))
        entries += 1
        state = entry.sizeBytes == 0 ? .header : .content(remaining: entry.sizeBytes)
        return .entry(entry)
    }

    private var available: Int { buffer.count - start }

    private mutating func take(_ count: Int) {
        start += count
        offset += UInt64(count)
    }

    private func word(at index: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(buffer[start + index + $1]) << UInt32($1 * 8) }
    }
}
