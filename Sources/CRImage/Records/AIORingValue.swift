/// One context of io_setup(2): the ring that the kernel and the process share.
public struct AIORingValue: ImageValue {
    /// Its address, which is also the context's ID.
    public var start: UInt64 = 0
    /// The whole ring: `struct aio_ring`, then its events.
    public var content: [UInt8] = []

    /// Events that the ring has room for, as its kernel counted them.
    public var capacity: UInt32 { field(4) }
    /// The next event to take.
    public var head: UInt32 { field(8) }
    /// Where the kernel puts the next one.
    public var tail: UInt32 { field(12) }

    public init() {}

    private func field(_ offset: Int) -> UInt32 {
        content.count >= 32 ? content.number(at: offset, as: UInt32.self) : 0
    }

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.hex("start", &start)
        try fields.bytes("content", &content)
    }
}

extension ImageContents {
    /// Checks that asynchronous I/O rings lie where nothing else is.
    func ringsFit() throws(ImageError) {
        let page = UInt64(ImageFormat.pageBytes)
        for process in processes {
            let space = addressSpaces.first { $0.number == process.addressSpace }
            var taken: [Range<UInt64>] = (space?.vmas ?? []).map { $0.start..<$0.end }
            for ring in process.state.aioRings {
                func fail(_ why: String) -> ImageError {
                    .inconsistent(
                        record: "process \(process.pid), AIO ring 0x\(String(ring.start, radix: 16))", why: why)
                }
                let bytes = UInt64(ring.content.count)
                guard bytes >= page, bytes % page == 0, ring.start % page == 0, ring.start < 1 << 47 else {
                    throw fail("it is no range of pages")
                }
                // 0xa10a10a1: AIO_RING_MAGIC of fs/aio.c
                guard UInt64(ring.capacity) == (bytes - 32) / 32, ring.head < ring.capacity, ring.tail < ring.capacity,
                    ring.content.number(at: 16, as: UInt32.self) == 0xa10a_10a1
                else { throw fail("its header is none") }
                let range = ring.start..<(ring.start + bytes)
                guard !taken.contains(where: { $0.overlaps(range) }) else { throw fail("something else is there") }
                taken.append(range)
            }
        }
    }
}
