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

    /// So much is read before anything else gets its turn.
    private static let portionBytes = 512 << 10

    /// Reads a portion of what is there now, and returns its whole frames.
    ///
    /// - Precondition: The descriptor is readable; else this waits.
    func receive() throws(AgentError) -> [Frame] {
        var received = 0
        do throws(LinuxError) {
            // A read gives 4 KiB at most, whatever its limit; a turn of the agent's loop for each would cost five times
            // as much as the read.
            var isMore = true
            while isMore {
                guard let bytes = try GuestSystem.readSome(fd, limit: 4 << 10), !bytes.isEmpty else {
                    throw LinuxError.call("read", object: "the port to the lab, which the lab closed", .brokenPipe)
                }
                decoder.append(bytes)
                received += bytes.count
                isMore = received < Self.portionBytes
                if isMore { isMore = try Files.poll(fd, events: PollRequest.input) != 0 }
            }
        } catch {
            throw .channel(error.explanation.line)
        }
        var frames: [Frame] = []
        do throws(WireError) {
            while let frame = try decoder.next() { frames.append(frame) }
        } catch {
            throw .channel(error.explanation.line)
        }
        return frames
    }
}
