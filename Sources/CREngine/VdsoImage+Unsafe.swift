internal import CRImage
internal import Synchronization

/// The bytes of an image's vDSO, from the page runs that hold them; for any thread.
final class VdsoImage: Sendable {
    private let range: Range<UInt64>
    private let kept = Mutex<[UInt8]>([])

    init(_ range: Range<UInt64>) { self.range = range }

    /// `nil` when no page came by.
    var bytes: [UInt8]? {
        let bytes = kept.withLock { $0 }
        return bytes.isEmpty ? nil : bytes
    }

    /// Keeps what a run holds of it.
    func keep(_ run: PageRun, _ pages: UnsafeRawBufferPointer) {
        let part = (run.start..<(run.start + UInt64(pages.count))).clamped(to: range)
        if part.isEmpty { return }
        // SAFETY: the part lies inside the run, whose bytes these are.
        let piece = Array(pages[Int(part.lowerBound - run.start)..<Int(part.upperBound - run.start)])
        kept.withLock { bytes in
            if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: range.count) }
            bytes.replaceSubrange(
                Int(part.lowerBound - range.lowerBound)..<Int(part.upperBound - range.lowerBound), with: piece)
        }
    }
}
