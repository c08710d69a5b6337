/// Cuts a byte stream into frames. Bytes may come in any portions; hostile ones are an error and never a trap.
public struct FrameDecoder: Sendable {
    private var buffer: [UInt8] = []
    /// Where in `buffer` the next frame starts; earlier bytes are done with.
    private var start = 0
    /// Offset in the stream of `buffer[start]`.
    private var streamOffset: UInt64 = 0
    private var failure: WireError?

    public init() {}

    /// Bytes received and not yet part of a returned frame.
    public var pendingBytes: Int { buffer.count - start }

    /// Adds received bytes.
    public mutating func append(_ bytes: ArraySlice<UInt8>) {
        if start > 0, start == buffer.count || start >= 1 << 20 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// Adds received bytes.
    public mutating func append(_ bytes: [UInt8]) { append(bytes[...]) }

    /// The next whole frame.
    ///
    /// - Returns: `nil` when more bytes are needed.
    /// - Throws: The same ``WireError`` from the first garbled frame on: what follows one cannot be trusted.
    public mutating func next() throws(WireError) -> Frame? {
        if let failure { throw failure }
        do throws(WireError) {
            return try decode()
        } catch {
            failure = error
            throw error
        }
    }

    /// Says that no more bytes come.
    ///
    /// - Throws: ``WireError/cut(offset:missing:)`` when a frame is incomplete.
    public func finish() throws(WireError) {
        if let failure { throw failure }
        if pendingBytes == 0 { return }
        let needed = pendingBytes < Frame.headerBytes ? Frame.headerBytes : Frame.headerBytes + Int(word(at: 12))
        throw .cut(offset: streamOffset, missing: needed - pendingBytes)
    }

    private mutating func decode() throws(WireError) -> Frame? {
        // The magic is checked as soon as its bytes are there, so that text on the channel is noticed at once.
        for (index, byte) in Frame.magic.enumerated() where index < pendingBytes {
            guard buffer[start + index] == byte else { throw .notAFrame(offset: streamOffset) }
        }
        guard pendingBytes >= Frame.headerBytes else { return nil }
        guard word(at: 20) == CRC32(Array(buffer[start..<(start + 20)])).value else {
            throw .notAFrame(offset: streamOffset)
        }
        guard let kind = FrameKind(rawValue: buffer[start + 4]) else {
            throw .unknownKind(buffer[start + 4], offset: streamOffset)
        }
        let length = word(at: 12)
        guard length <= Frame.maximumPayloadBytes else { throw .tooLong(bytes: length, offset: streamOffset) }
        let end = start + Frame.headerBytes + Int(length)
        guard buffer.count >= end else { return nil }
        let payload = Array(buffer[(start + Frame.headerBytes)..<end])
        guard word(at: 16) == PayloadCheck.value(payload) else { throw .damaged(offset: streamOffset) }
        let frame = Frame(kind, request: word(at: 8), payload: payload)
        streamOffset += UInt64(end - start)
        start = end
        return frame
    }

    private func word(at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(buffer[start + offset + $1]) << UInt32($1 * 8) }
    }
}
