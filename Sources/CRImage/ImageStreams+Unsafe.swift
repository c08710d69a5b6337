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
