/// An image in memory: for tests, for fuzzing, and for whoever has it there already.
public struct MemorySource: SkippingSource, Sendable {
    private let bytes: [UInt8]
    private var offset = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(buffer.count, bytes.count - offset)
        // SAFETY: `count` bytes are left in both.
        bytes.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<(offset + count)]))
        }
        offset += count
        return count
    }

    public mutating func skip(_ count: Int) { offset = min(offset + count, bytes.count) }
}

/// Collects an image in memory.
public struct MemorySink: ImageSink {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func write(_ buffer: UnsafeRawBufferPointer) { bytes.append(contentsOf: buffer) }
}
