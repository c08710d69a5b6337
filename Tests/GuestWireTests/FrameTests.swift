import CRModel
import GuestWire
import Testing

@Suite("frames of the guest channel")
struct FrameTests {
    static let frames = [
        Frame(.hello, payload: Array(#"{"a":1}"#.utf8)),
        Frame(.chunk, request: 7, payload: (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }),
        Frame(.cancel, request: 0xffff_ffff),
        Frame(.credit, request: 3, number: 0x0123_4567_89ab_cdef),
    ]

    static var stream: [UInt8] { frames.flatMap(\.bytes) }

    private func decode(_ bytes: [UInt8], step: Int) throws(WireError) -> [Frame] {
        var decoder = FrameDecoder()
        var found: [Frame] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            decoder.append(bytes[start..<min(start + step, bytes.count)])
            while let frame = try decoder.next() { found.append(frame) }
        }
        try decoder.finish()
        return found
    }

    @Test("frames survive any portions", arguments: [1, 2, 7, 24, 100, 4096])
    func portions(step: Int) throws {
        #expect(try decode(Self.stream, step: step) == Self.frames)
    }

    @Test("every truncation is either whole frames or a named error")
    func truncations() throws {
        let stream = Self.stream
        var boundaries: Set<Int> = [0]
        var offset = 0
        for frame in Self.frames {
            offset += frame.bytes.count
            boundaries.insert(offset)
        }
        for length in 0..<stream.count {
            do throws(WireError) {
                _ = try decode(Array(stream[..<length]), step: stream.count)
                #expect(boundaries.contains(length), "cut at \(length) went unnoticed")
            } catch {
                guard case .cut = error else {
                    Issue.record("cut at \(length): \(error)")
                    continue
                }
            }
        }
    }

    @Test("every flipped bit is a typed error and never a trap")
    func flips() {
        let stream = Self.stream
        for index in stream.indices {
            for bit in [0, 3, 7] {
                var damaged = stream
                damaged[index] ^= 1 << UInt8(bit)
                #expect(throws: WireError.self, "byte \(index) bit \(bit)") {
                    let frames = try decode(damaged, step: 4096)
                    // The request number is covered by the header's checksum, so nothing can change unseen.
                    if frames != Self.frames { throw WireError.damaged(offset: 0) }
                }
            }
        }
    }

    @Test("an error stays: what follows a garbled frame is not trusted")
    func errorStays() {
        var decoder = FrameDecoder()
        decoder.append(Array("[    1.0] BUG: text on the channel".utf8))
        #expect(throws: WireError.notAFrame(offset: 0)) { try decoder.next() }
        decoder.append(Self.frames[0].bytes)
        #expect(throws: WireError.notAFrame(offset: 0)) { try decoder.next() }
    }

    @Test("a length beyond the bound is refused before its bytes come")
    func tooLong() {
        var header: [UInt8] = Array("CRLW".utf8) + [7, 0, 0, 0] + [1, 0, 0, 0] + [0, 0, 0, 0x7f] + [0, 0, 0, 0]
        let check = CRC32(header).value
        header += (0..<4).map { UInt8(truncatingIfNeeded: check >> ($0 * 8)) }
        var decoder = FrameDecoder()
        decoder.append(header)
        #expect(throws: WireError.tooLong(bytes: 0x7f00_0000, offset: 0)) { try decoder.next() }
    }

    @Test("CRC-32 has its well-known value")
    func checksum() {
        #expect(CRC32(Array("123456789".utf8)).value == 0xcbf4_3926)
        var parts = CRC32()
        for byte in Array("123456789".utf8) { parts.update([byte]) }
        #expect(parts.value == 0xcbf4_3926)
    }

    @Test("a number has eight bytes")
    func number() throws {
        #expect(try Self.frames[3].number() == 0x0123_4567_89ab_cdef)
        #expect(throws: WireError.self) { try Frame(.credit, payload: [1, 2, 3]).number() }
    }
}

@Suite("the check of a payload")
struct PayloadCheckTests {
    @Test("every changed byte changes it, at every length", arguments: [0, 1, 7, 31, 32, 33, 64, 100])
    func changes(count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let frame = Frame(.chunk, request: 1, payload: bytes).bytes
        for index in Frame.headerBytes..<frame.count {
            var damaged = frame
            damaged[index] ^= 0x80
            var decoder = FrameDecoder()
            decoder.append(damaged)
            #expect(throws: WireError.damaged(offset: 0)) { try decoder.next() }
        }
    }
}
