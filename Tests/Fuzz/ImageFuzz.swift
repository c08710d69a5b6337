// A libFuzzer target for the image reader; `run` builds and starts it.
//
// Random bytes hardly get past a checksum. So the first input byte chooses: read the bytes as an image, or take them for
// payloads of blocks whose headers and checksums are made right, so that the record decoders get to work.

private func tryReading(_ bytes: [UInt8]) {
    do throws(ImageError) {
        var reader = try ImageReader(MemorySource(bytes))
        let contents = try reader.metadata()
        for record in contents.records { _ = record.described() }
        var walker = reader
        while try reader.nextPages() != nil { _ = reader.withPageBytes { $0.count } }
        // What can be read can be walked over.
        while try walker.nextBlock() != nil {}
    } catch {
        _ = error.description
    }
}

/// Cuts the input into blocks: a tag byte, two length bytes, payload; and frames them correctly.
private func framed(_ input: ArraySlice<UInt8>) -> [UInt8] {
    var image = ImageFormat.magic
    image.append(littleEndian: ImageFormat.version)
    image.append(littleEndian: UInt32(0))
    var chain: UInt64 = 0
    var index: UInt64 = 0
    var records: UInt64 = 0
    func block(_ tag: UInt32, _ payload: [UInt8]) {
        let seed = ImageFormat.seed(index: index, tag: tag, length: UInt32(payload.count))
        var hash = Checksum.of(payload, seed: seed)
        if tag == ImageRecord.Tag.pages.rawValue, payload.count >= ImageFormat.runHeaderBytes {
            let runHeader = ImageFormat.runHeaderBytes
            hash = Checksum.of(
                Array(payload[runHeader...]), seed: Checksum.of(Array(payload[..<runHeader]), seed: seed))
        }
        image.append(littleEndian: tag)
        image.append(littleEndian: UInt32(payload.count))
        image.append(littleEndian: hash)
        image += payload
        index += 1
        chain = Checksum.of(words: [chain, hash])
    }
    var rest = input
    while rest.count >= 3 {
        let tag = UInt32(rest[rest.startIndex] % 14)
        let length = Int(rest[rest.startIndex + 1]) | Int(rest[rest.startIndex + 2]) << 8
        rest = rest.dropFirst(3)
        let payload = Array(rest.prefix(length))
        rest = rest.dropFirst(length)
        switch tag {
        case 11:
            var end: [UInt8] = []
            end.append(littleEndian: records)
            end.append(littleEndian: chain)
            end += [UInt8](repeating: 0, count: ImageFormat.padding(ofMetadataEndAt: UInt64(image.count)))
            block(ImageRecord.Tag.metadataEnd.rawValue, end)
        case 12: block(ImageRecord.Tag.pages.rawValue, payload + [UInt8](repeating: 0, count: 4128))
        case 13: block(ImageRecord.Tag.trailer.rawValue, payload)
        default:
            block(tag, payload)
            records += 1
        }
    }
    return image
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    // SAFETY: libFuzzer gives `count` bytes that live through the call.
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    if first & 1 == 0 { tryReading(Array(input.dropFirst())) } else { tryReading(framed(input.dropFirst())) }
    return 0
}
