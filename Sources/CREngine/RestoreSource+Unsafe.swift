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
            throw .unreadable(error)
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

/// An image in a file, read by place: the descriptor's own offset stays where it is, and copies read on their own.
struct FileSource: SkippingSource, Sendable {
    let fd: Int32
    /// Where the image begins.
    let start: UInt64
    private var buffer: [UInt8] = []
    /// Where the next byte is in the file, and in the buffer.
    private var offset: UInt64
    private var position = 0
    /// How much to read at once: less where a skip is likely to follow.
    private var ahead = 1 << 16

    /// - Returns: `nil` for a descriptor that cannot go back, such as a pipe.
    init?(_ fd: Int32) {
        guard let start = try? Files.offset(of: fd) else { return nil }
        self.fd = fd
        self.start = start
        offset = start
    }

    mutating func read(into target: UnsafeMutableRawBufferPointer) throws(ImageError) -> Int {
        if position == buffer.count {
            do throws(LinuxError) {
                if target.count >= ahead {
                    let count = try Files.read(fd, at: offset, into: target)
                    offset += UInt64(count)
                    return count
                }
                var failure: LinuxError?
                let from = offset
                buffer = [UInt8](unsafeUninitializedCapacity: ahead) { bytes, count in
                    // SAFETY: the kernel initialises as many bytes as it says.
                    let room = UnsafeMutableRawBufferPointer(bytes)
                    do throws(LinuxError) { count = try Files.read(fd, at: from, into: room) } catch {
                        count = 0
                        failure = error
                    }
                }
                position = 0
                if let failure { throw failure }
            } catch {
                throw .unreadable(error)
            }
        }
        let count = min(target.count, buffer.count - position)
        // SAFETY: `count` bytes are left in both.
        buffer.withUnsafeBytes {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<(position + count)]))
        }
        position += count
        offset += UInt64(count)
        return count
    }

    mutating func skip(_ count: Int) {
        offset += UInt64(count)
        if count <= buffer.count - position {
            position += count
        } else {
            buffer = []
            position = 0
            ahead = 4096
        }
    }
}

/// Bytes of a file, in memory for as long as they are looked at. For one thread.
///
/// They are copied, not mapped: mappings of several threads meet at one lock, and the first byte lies at a page's border,
/// from where the kernel copies pages fastest.
final class FileWindow {
    private let fd: Int32
    private var buffer: UnsafeMutableRawBufferPointer?

    init(_ fd: Int32) { self.fd = fd }

    deinit { buffer?.deallocate() }

    /// - Throws: `ImageError.cut` when the file ends before.
    func with<Value>(
        _ range: Range<UInt64>, from start: UInt64, _ body: (UnsafeRawBufferPointer) -> Value
    ) throws(ImageError) -> Value {
        let count = Int(range.upperBound - range.lowerBound)
        let first = start + range.lowerBound
        let bytes = room(count)
        var done = 0
        while done < count {
            var got = 0
            do throws(LinuxError) {
                // SAFETY: the piece lies inside the buffer.
                got = try Files.read(
                    fd, at: first + UInt64(done), into: UnsafeMutableRawBufferPointer(rebasing: bytes[done..<count]))
            } catch {
                throw .unreadable(error)
            }
            if got == 0 { throw .cut(offset: range.lowerBound + UInt64(done), inside: "a block of type pages") }
            done += got
        }
        // SAFETY: `count` bytes were read.
        return body(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    }

    private func room(_ count: Int) -> UnsafeMutableRawBufferPointer {
        if let buffer, buffer.count >= count { return buffer }
        buffer?.deallocate()
        // SAFETY: freed in deinit, or before the next one.
        let new = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1 << 16), alignment: 4096)
        buffer = new
        return new
    }
}

extension ImageError {
    static func unreadable(_ error: LinuxError) -> ImageError {
        .stream(doing: "read", cause: "\(error.errno.map { "\($0)" } ?? error.description)")
    }
}
