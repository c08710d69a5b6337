import GuestWire
import LinuxKit

/// The agent's end of the guest channel.
final class Channel {
    let fd: Int32
    private var decoder = FrameDecoder()

    init(path: String) throws(AgentError) {
        fd = try AgentError.preparing("open the port to the lab") { () throws(LinuxError) in
            try Files.open(path, .readWrite)
        }
    }

    /// Sends a frame; waits while the lab reads slowly, which it never does for long.
    func send(_ frame: Frame) throws(AgentError) {
        do throws(LinuxError) { try Files.write(fd, frame.bytes) } catch { throw .channel(error.explanation.line) }
    }

    /// Sends a message.
    func send(_ kind: FrameKind, request: UInt32 = 0, _ message: some Encodable) throws(AgentError) {
        let frame: Frame
        do throws(WireError) {
            frame = try Frame(kind, request: request, message: message)
        } catch {
            throw .channel(error.explanation.line)
        }
        try send(frame)
    }

    /// Reads once, and returns the whole frames that are there now.
    ///
    /// - Precondition: The descriptor is readable; else this waits.
    func receive() throws(AgentError) -> [Frame] {
        let bytes: [UInt8]?
        do throws(LinuxError) {
            bytes = try GuestSystem.readSome(fd, limit: 16 << 10)
        } catch {
            throw .channel(error.explanation.line)
        }
        guard let bytes, !bytes.isEmpty else { throw .channel("the lab closed it") }
        decoder.append(bytes)
        var frames: [Frame] = []
        do throws(WireError) {
            while let frame = try decoder.next() { frames.append(frame) }
        } catch {
            throw .channel(error.explanation.line)
        }
        return frames
    }
}
