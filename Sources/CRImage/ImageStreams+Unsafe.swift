/// Where an image is written to.
public protocol ImageSink {
    /// Writes all bytes, in order.
    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(ImageError)
}

/// Where an image is read from.
public protocol ImageSource {
    /// Reads at least one byte into `buffer`.
    ///
    /// - Returns: How many; 0 only at the end of the stream.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(ImageError) -> Int
}

/// A source that can pass over bytes without reading them.
public protocol SkippingSource: ImageSource {
    /// Passes over `count` bytes; where the stream ends before, the next read says so.
    mutating func skip(_ count: Int)
}
