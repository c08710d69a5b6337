import LinuxKit

/// `/dev/kmsg`, read without waiting.
final class KernelLog {
    let fd: Int32

    /// - Parameter fromNow: Skip what is in the log already.
    init(fromNow: Bool) throws(LinuxError) {
        fd = try Files.open("/dev/kmsg", [.readOnly, .nonBlocking])
        if fromNow { try GuestSystem.seekToEnd(fd) }
    }

    /// The messages since the last call.
    func take() -> [KernelMessage] {
        var messages: [KernelMessage] = []
        while true {
            do throws(LinuxError) {
                // Each read returns one record; records are at most 8 KiB.
                guard let record = try GuestSystem.readSome(fd, limit: 8192), !record.isEmpty else { return messages }
                if let message = KernelMessage(record: record) { messages.append(message) }
            } catch {
                // EPIPE: records were overwritten before they were read; the next read goes on behind them.
                if error.errno != .brokenPipe { return messages }
            }
        }
    }
}
