internal import LinuxKit

/// The descriptor that an image goes to.
///
/// SAFETY: used by one lane after the other, in the order of the stream; `failure` is read when all of them have ended.
final class DumpOutput: @unchecked Sendable {
    private(set) var failure: Errno?
    private var hasGivenUp = false
    /// Where to write: a pipe is opened anew, because O_NONBLOCK on the given descriptor would be seen by whoever shares it.
    private let target: Int32
    private let ownsTarget: Bool
    private let kind: FileStatus.Kind
    private let wakeups: UInt64
    /// IOV_MAX
    private static let maximumPieces = 1024

    init(fd: Int32, wakeups: UInt64) {
        self.wakeups = wakeups
        kind = (try? Files.status(of: fd))?.kind ?? .none
        let own = kind == .fifo ? try? Files.open("/proc/self/fd/\(fd)", [.writeOnly, .nonBlocking]) : nil
        target = own ?? fd
        ownsTarget = own != nil
    }

    /// Writes nothing more.
    func giveUp() { hasGivenUp = true }

    deinit { if ownsTarget { Files.close(target) } }

    /// After a failure the rest is thrown away, until the filling thread notices.
    func write(_ pieces: [UnsafeRawBufferPointer]) {
        if failure != nil || hasGivenUp { return }
        var rest = pieces[...]
        while !rest.isEmpty, failure == nil {
            put(Array(rest.prefix(Self.maximumPieces)))
            rest = rest.dropFirst(Self.maximumPieces)
        }
    }

    private func put(_ pieces: [UnsafeRawBufferPointer]) {
        var vector: [UInt64] = []
        vector.reserveCapacity(pieces.count * 2)
        for piece in pieces {
            vector.append(Kernel.number(piece.baseAddress))
            vector.append(UInt64(piece.count))
        }
        var first = 0
        while first < pieces.count {
            if FrozenTree.interruption(wakeups) != nil {
                failure = .interrupted
                return
            }
            let count = UInt64(pieces.count - first)
            // SAFETY: the vector holds an iovec per piece, and outlives the call.
            let answer = vector.withUnsafeBytes { buffer -> Int64 in
                let address = Kernel.number(buffer.baseAddress) + UInt64(first * 16)
                if kind == .socket {
                    // struct msghdr: no name, the vector, no control data; MSG_DONTWAIT | MSG_NOSIGNAL
                    let message: [UInt64] = [0, 0, address, count, 0, 0, 0]
                    return message.withUnsafeBytes {
                        Kernel.attempt(.sendmsg, Kernel.number(target), Kernel.number($0.baseAddress), 0x4040)
                    }
                }
                return Kernel.attempt(.writev, Kernel.number(target), address, count)
            }
            if let errno = Kernel.errno(of: answer) {
                // A reader that sleeps must not keep a frozen workload waiting past a request to stop: wait for room in
                // slices, and look at the signals between them.
                if errno == .again { _ = try? Files.poll(target, events: 4, milliseconds: 200) }  // POLLOUT
                if errno == .again || errno == .interrupted { continue }
                failure = errno
                return
            }
            var written = UInt64(answer)
            while first < pieces.count, written >= vector[first * 2 + 1] {
                written -= vector[first * 2 + 1]
                first += 1
            }
            if first < pieces.count {
                vector[first * 2] += written
                vector[first * 2 + 1] -= written
            }
        }
    }
}
