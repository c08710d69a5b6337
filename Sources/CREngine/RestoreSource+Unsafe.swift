public import CRImage
internal import LinuxKit

/// An image that is read from a descriptor: a file, a pipe, a socket.
public final class DescriptorSource: ImageSource {
    private let fd: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var position = 0
    private var filled = 0

    /// - Parameter fd: Open for reading; the caller closes it.
    public init(_ fd: Int32) { self.fd = fd }

    /// Where the image begins when the descriptor can go back to it; `nil` for a pipe.
    public static func start(of fd: Int32) -> UInt64? { try? Files.offset(of: fd) }

    public func read(into target: UnsafeMutableRawBufferPointer) throws(ImageError) -> Int {
        do throws(LinuxError) {
            if position == filled {
                // Pages go straight to where they are wanted; block headers come out of the buffer.
                if target.count >= buffer.count { return try Files.read(fd, into: target) }
                var failure: LinuxError?
                position = 0
                filled = 0
                buffer.withUnsafeMutableBytes { bytes in
                    do throws(LinuxError) { filled = try Files.read(fd, into: bytes) } catch { failure = error }
                }
                if let failure { throw failure }
            }
        } catch {
            throw .stream(doing: "read", cause: "\(error.errno.map { "\($0)" } ?? error.description)")
        }
        let count = min(target.count, filled - position)
        // SAFETY: `count` bytes are left in both.
        buffer.withUnsafeBytes {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<(position + count)]))
        }
        position += count
        return count
    }
}
