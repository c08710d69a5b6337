internal import CRImage
internal import LinuxKit

/// Writes an image to a descriptor, on a thread of its own: while that one writes, the next pages are read.
///
/// Pages are not copied on their way: ``pageBuffer()`` says where to read them to, and a write of bytes that lie there
/// is only noted.
final class DumpSink: ImageSink {
    /// As much as stays in a core's cache from reading to writing.
    static let bufferBytes = 1 << 20
    private static let slotCount = 3

    private let slots: [DumpSlot]
    private let free: CountingSemaphore
    private let full: CountingSemaphore
    private let output: DumpOutput
    private var thread: WorkerThread?
    private var current = 0

    /// Why writing failed, for an error that names the errno.
    var failure: Errno? { output.failure }

    init(fd: Int32, wakeups: UInt64) throws(LinuxError) {
        let slots = (0..<Self.slotCount).map { _ in DumpSlot() }
        self.slots = slots
        let free = try CountingSemaphore(UInt64(Self.slotCount - 1))
        let full = try CountingSemaphore(0)
        let output = DumpOutput(fd: fd, wakeups: wakeups)
        self.free = free
        self.full = full
        self.output = output
        thread = try WorkerThread {
            var next = 0
            while true {
                full.wait()
                let slot = slots[next]
                if slot.isEnd { return }
                output.write(slot)
                slot.clear()
                next = (next + 1) % slots.count
                free.signal()
            }
        }
    }

    deinit { stop() }

    /// Where the next pages may be read to, before they are written: ``bufferBytes`` bytes.
    func pageBuffer() throws(ImageError) -> UnsafeMutableRawBufferPointer {
        // A buffer of pages makes at most one run per page: their headers must fit beside them.
        if slots[current].hasPages || slots[current].room < Self.bufferBytes / 4096 * 64 { try submit() }
        return slots[current].pages
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(ImageError) {
        if slots[current].take(bytes) { return }
        var done = 0
        while done < bytes.count {
            if slots[current].room == 0 { try submit() }
            let count = min(bytes.count - done, slots[current].room)
            // SAFETY: the piece lies inside `bytes`.
            slots[current].copy(UnsafeRawBufferPointer(rebasing: bytes[done..<(done + count)]))
            done += count
        }
    }

    private func submit() throws(ImageError) {
        full.signal()
        current = (current + 1) % slots.count
        free.wait()
        if let failure { throw .stream(doing: "write", cause: "\(failure)") }
    }

    /// Waits until everything is written.
    func flush() throws(ImageError) {
        if !slots[current].isEmpty { try submit() }
        stop()
        if let failure { throw .stream(doing: "write", cause: "\(failure)") }
    }

    private func stop() {
        guard let thread else { return }
        self.thread = nil
        slots[current].isEnd = true
        full.signal()
        thread.join()
    }
}

/// What one turn of the writing thread writes: headers and records in one piece of memory, pages in another.
///
/// SAFETY: it belongs to the filling thread until that signals `full`, and to the writing thread until that signals `free`.
private final class DumpSlot: @unchecked Sendable {
    static let copiedBytes = 1 << 18

    let pages: UnsafeMutableRawBufferPointer
    private let copied: UnsafeMutableRawBufferPointer
    private var copiedCount = 0
    private(set) var pieces: [UnsafeRawBufferPointer] = []
    private(set) var hasPages = false
    var isEnd = false

    init() {
        // SAFETY: freed in deinit; all uses stay inside their bounds.
        pages = .allocate(byteCount: DumpSink.bufferBytes, alignment: 4096)
        copied = .allocate(byteCount: Self.copiedBytes, alignment: 64)
    }

    deinit {
        pages.deallocate()
        copied.deallocate()
    }

    var isEmpty: Bool { pieces.isEmpty }
    var room: Int { Self.copiedBytes - copiedCount }

    /// Notes bytes that lie in ``pages``.
    func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let start = bytes.baseAddress, let own = UnsafeRawPointer(pages.baseAddress), start >= own,
            start < own + pages.count
        else { return false }
        pieces.append(bytes)
        hasPages = true
        return true
    }

    /// - Precondition: The bytes fit into ``room``.
    func copy(_ bytes: UnsafeRawBufferPointer) {
        // SAFETY: the precondition; both pieces lie inside their buffers.
        let target = UnsafeMutableRawBufferPointer(rebasing: copied[copiedCount..<(copiedCount + bytes.count)])
        target.copyMemory(from: bytes)
        copiedCount += bytes.count
        if let last = pieces.last, let end = last.baseAddress.map({ $0 + last.count }),
            end == UnsafeRawPointer(target.baseAddress)
        {
            pieces[pieces.count - 1] = UnsafeRawBufferPointer(start: last.baseAddress, count: last.count + bytes.count)
        } else {
            pieces.append(UnsafeRawBufferPointer(target))
        }
    }

    func clear() {
        pieces.removeAll(keepingCapacity: true)
        copiedCount = 0
        hasPages = false
    }
}

/// The descriptor that an image goes to.
///
/// SAFETY: used by the writing thread alone; `failure` is read by the other one after it has waited for that thread.
private final class DumpOutput: @unchecked Sendable {
    private(set) var failure: Errno?
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

    deinit { if ownsTarget { Files.close(target) } }

    func write(_ slot: DumpSlot) {
        // After a failure the rest is thrown away, until the other thread notices.
        if failure != nil { return }
        var rest = slot.pieces[...]
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
