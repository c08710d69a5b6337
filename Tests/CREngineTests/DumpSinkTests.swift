import CRImage
import LinuxKit
import Testing

@testable import CREngine

/// Several threads write one stream.
@Suite("the lanes of a dump")
struct DumpSinkTests {
    @Test("what comes out is what one writer would have written")
    func lanes() throws {
        let pages = (0..<3 * 4096).map { UInt8(truncatingIfNeeded: 1 + $0 / 7) }
        let content = try Files.memfd("content")
        defer { Files.close(content) }
        try Files.write(content, pages)
        var one = try ImageWriter(to: MemorySink())
        try one.write(.header(ImageHeader()))
        try one.endMetadata()
        var failure: ImageError?
        pages.withUnsafeBytes { bytes in
            do throws(ImageError) { try one.pages(of: 7, at: 0, bytes) } catch { failure = error }
        }
        #expect(failure == nil)
        try one.finish()

        // A lane that is still busy with nothing when pages begin is a matter of chance.
        for _ in 0..<1500 {
            let output = try Files.memfd("image")
            defer { Files.close(output) }
            let sink = try DumpSink(fd: output, wakeups: 0)
            var many = try ImageWriter(to: sink)
            try many.write(.header(ImageHeader()))
            try many.endMetadata()
            try sink.takeOver(many.ledger)
            try sink.add(PagePiece(source: .file(content), start: 0, count: pages.count, target: 7))
            many.ledger = try sink.giveBack()
            try many.finish()
            try sink.flush()
            var written = [UInt8](repeating: 0, count: one.sink.bytes.count + 1)
            let count = try written.withUnsafeMutableBytes { try Files.read(output, at: 0, into: $0) }
            try #require(Array(written[..<count]) == one.sink.bytes)
        }
    }
}
