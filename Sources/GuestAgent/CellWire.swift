import GuestWire
import LinuxKit

/// The cell's end of the pipes to the agent, with the same frames as between agent and lab.
final class CellWire {
    private var decoder = FrameDecoder()
    private let input: Int32
    private let output: Int32
    /// Number of the request that all frames belong to.
    private(set) var request: UInt32 = 0

    init(input: Int32, output: Int32) {
        self.input = input
        self.output = output
    }

    /// The next frame; waits for it.
    ///
    /// - Returns: `nil` at the end of the stream.
    func receive() throws(AgentError) -> Frame? {
        while true {
            do throws(WireError) {
                if let frame = try decoder.next() { return frame }
            } catch {
                throw .channel(error.explanation.line)
            }
            let bytes: [UInt8]?
            do throws(LinuxError) {
                bytes = try GuestSystem.readSome(input, limit: Frame.chunkBytes)
            } catch {
                throw .channel(error.explanation.line)
            }
            guard let bytes, !bytes.isEmpty else { return nil }
            decoder.append(bytes)
        }
    }

    /// The frames that are there now, without waiting for more.
    ///
    /// - Precondition: The input does not block.
    func receiveReady() throws(AgentError) -> [Frame] {
        if let bytes = try? GuestSystem.readSome(input), !bytes.isEmpty { decoder.append(bytes) }
        var frames: [Frame] = []
        do throws(WireError) {
            while let frame = try decoder.next() { frames.append(frame) }
        } catch {
            throw .channel(error.explanation.line)
        }
        return frames
    }

    /// The request that comes first.
    func receiveRequest() throws(AgentError) -> GuestRequest {
        guard let frame = try receive(), frame.kind == .request else { throw .channel("no request") }
        request = frame.request
        do throws(WireError) {
            return try frame.message(GuestRequest.self)
        } catch {
            throw .channel(error.explanation.line)
        }
    }

    func send(_ frame: Frame) throws(AgentError) {
        do throws(LinuxError) { try Files.write(output, frame.bytes) } catch { throw .channel(error.explanation.line) }
    }

    func reply(_ reply: GuestReply) throws(AgentError) {
        do throws(WireError) {
            let frame = try Frame(.reply, request: request, message: reply)
            do throws(AgentError) { try send(frame) } catch { throw WireError.malformed(kind: .reply, why: "\(error)") }
        } catch {
            throw .channel(error.explanation.line)
        }
    }
}

/// Collects bytes into chunk frames.
struct ChunkWriter {
    let wire: CellWire
    private var buffer: [UInt8] = []
    private var total: UInt64 = 0

    init(_ wire: CellWire) { self.wire = wire }

    mutating func write(_ bytes: some Collection<UInt8>) throws(AgentError) {
        buffer.append(contentsOf: bytes)
        while buffer.count >= Frame.chunkBytes {
            try flush(Frame.chunkBytes)
        }
    }

    mutating func finish() throws(AgentError) {
        if !buffer.isEmpty { try flush(buffer.count) }
        try wire.send(Frame(.end, request: wire.request, number: total))
    }

    private mutating func flush(_ count: Int) throws(AgentError) {
        try wire.send(Frame(.chunk, request: wire.request, payload: Array(buffer.prefix(count))))
        buffer.removeFirst(count)
        total += UInt64(count)
    }
}
