internal import CRImage
internal import LinuxKit

/// Writes an image to a descriptor: small blocks are gathered, page runs go straight through.
final class DumpSink: ImageSink {
    /// Why writing failed, for an error that names the errno.
    private(set) var failure: Errno?
    /// Where to write: a pipe is opened anew, because O_NONBLOCK on the given descriptor would be seen by whoever shares it.
    private let target: Int32
    private let ownsTarget: Bool
    private let kind: FileStatus.Kind
    private let wakeups: UInt64
    private var gathered: [UInt8] = []

    init(fd: Int32, wakeups: UInt64) {
        self.wakeups = wakeups
        kind = (try? Files.status(of: fd))?.kind ?? .none
        let own = kind == .fifo ? try? Files.open("/proc/self/fd/\(fd)", [.writeOnly, .nonBlocking]) : nil
        target = own ?? fd
        ownsTarget = own != nil
        gathered.reserveCapacity(1 << 18)
    }

    deinit { if ownsTarget { Files.close(target) } }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        if gathered.count + bytes.count <= 1 << 18 {
            gathered.append(contentsOf: bytes)
            return
        }
        try flush()
        if bytes.count >= 1 << 16 { try put(bytes) } else { gathered.append(contentsOf: bytes) }
    }

    /// Writes what is gathered.
    func flush() throws(ImageError) {
        var error: ImageError?
        gathered.withUnsafeBytes { buffer in
            do throws(ImageError) { try put(buffer) } catch let problem { error = problem }
        }
        gathered.removeAll(keepingCapacity: true)
        if let error { throw error }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        var done = 0
        while done < bytes.count {
            if let signal = FrozenTree.interruption(wakeups) {
                failure = .interrupted
                throw .stream(doing: "write", cause: "\(signal)")
            }
            let address = Kernel.number(bytes.baseAddress) + UInt64(done)
            let count = UInt64(bytes.count - done)
            // MSG_DONTWAIT | MSG_NOSIGNAL
            let answer =
                kind == .socket
                ? Kernel.attempt(.sendto, Kernel.number(target), address, count, 0x4040, 0, 0)
                : Kernel.attempt(.write, Kernel.number(target), address, count)
            if let errno = Kernel.errno(of: answer) {
                // A reader that sleeps must not keep a frozen workload waiting past a request to stop: wait for room in
                // slices, and look at the signals between them.
                if errno == .again { _ = try? Files.poll(target, events: 4, milliseconds: 200) }  // POLLOUT
                if errno == .again || errno == .interrupted { continue }
                failure = errno
                throw .stream(doing: "write", cause: "\(errno)")
            }
            done += Int(answer)
        }
    }
}
