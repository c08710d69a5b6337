internal import CRImage
internal import LinuxKit

/// Makes the contexts of io_setup(2) again.
///
/// A context's ID is the address of its ring, and follows it when it is moved. Where the kernel puts the next event can
/// only be reached by events: empty reads, which are done at once.
struct RestoreAIO {
    private static let batch: UInt32 = 64

    let stub: RestoreStub
    let rings: [AIORingValue]

    func make() throws(EngineError) {
        if rings.isEmpty { return }
        let name = try stub.put(text: "aio")
        let fd = try stub.call(.memfd_create, [name, 1], doing: "make an empty file for AIO")
        for ring in rings { try make(ring, reading: fd) }
        try stub.call(.close, [fd], doing: "close the empty file for AIO")
    }

    private func make(_ ring: AIORingValue, reading fd: UInt64) throws(EngineError) {
        let bytes = UInt64(ring.content.count)
        guard ring.start + bytes <= stub.area.start || ring.start >= stub.area.end else {
            throw .image("AIO ring 0x\(String(ring.start, radix: 16))", why: "it lies where the engine works")
        }
        let place = try stub.put(words: [0])
        // The kernel doubles the number, adds two and fills whole pages: this is the most for so many pages.
        try stub.call(.io_setup, [bytes / 64 - 2, place], doing: "make an AIO context")
        let made = try stub.remote.read(at: place, count: 8).word(at: 0)
        let header = try stub.remote.read(at: made, count: 32)
        guard header.half(at: 4) == ring.capacity else {
            throw .refused(
                Refusal(
                    reason: "kernel.abi-changed", task: stub.tid,
                    object: "AIO context 0x\(String(ring.start, radix: 16))",
                    message: "this host has more CPUs, and its kernel makes no ring as small as this"))
        }
        // MREMAP_MAYMOVE|MREMAP_FIXED
        try stub.call(.mremap, [made, bytes, bytes, 3, ring.start], doing: "move an AIO ring to its place")
        let waiting = ring.tail >= ring.head ? ring.tail - ring.head : ring.tail + ring.capacity - ring.head
        try complete(ring.head, in: ring.start, fd, takes: true)
        try complete(waiting, in: ring.start, fd, takes: false)
        // Index and capacity are the new kernel's; the tail it has reached by itself.
        try stub.remote.write(Array(ring.content[8..<12]), at: ring.start + 8)
        try stub.remote.write(Array(ring.content[32...]), at: ring.start + 32)
        let found = try stub.remote.read(at: ring.start, count: 16)
        guard found.half(at: 8) == ring.head, found.half(at: 12) == ring.tail else {
            throw .derailed(task: stub.tid, "an AIO ring does not count as expected")
        }
    }

    /// Has so many requests done.
    private func complete(_ count: UInt32, in context: UInt64, _ fd: UInt64, takes: Bool) throws(EngineError) {
        // struct iocb: data, key and flags, opcode (IOCB_CMD_PREAD) and descriptor, buffer, length, offset, …
        let request = try stub.put(words: [0, 0, fd << 32, stub.area.data, 0, 0, 0, 0], at: 128)
        let list = try stub.put(words: [UInt64](repeating: request, count: Int(Self.batch)), at: 256)
        var left = count
        while left > 0 {
            let number = UInt64(min(left, Self.batch))
            let done = try stub.call(.io_submit, [context, number, list], doing: "have AIO requests done")
            guard done > 0, done <= number else { throw .derailed(task: stub.tid, "AIO takes no requests") }
            if takes {
                let taken = try stub.call(
                    .io_getevents, [context, done, done, stub.area.data + 4096, 0], doing: "take AIO events")
                guard taken == done else { throw .derailed(task: stub.tid, "AIO does not finish its requests") }
            }
            left -= UInt32(done)
        }
    }
}
