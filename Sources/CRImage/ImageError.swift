public import CRModel

/// What is wrong with an image, or with writing one.
public enum ImageError: Explained, Equatable {
    /// The first bytes are not an image's.
    case notAnImage
    /// The image's format is one that this build does not read.
    case versionUnsupported(found: UInt32, readable: ClosedRange<UInt32>)
    /// The stream ends inside something. `offset` counts bytes from the start of the stream.
    case cut(offset: UInt64, inside: String)
    /// The bytes of a block do not have the checksum that the block names.
    case checksum(offset: UInt64, block: String)
    /// A block is larger than the format allows.
    case tooLarge(offset: UInt64, block: String, bytes: UInt64, limit: UInt64)
    /// A block comes at a place where the format does not have it.
    case misplaced(offset: UInt64, block: String, why: String)
    /// A record's bytes do not hold the fields that its type has.
    case malformed(record: String, field: String, why: String)
    /// Records refer to each other in a way that does not hold together.
    case inconsistent(record: String, why: String)
    /// The stream goes on behind its trailer.
    case trailingBytes(offset: UInt64)
    /// The stream could not be read or written; `cause` is the system's word for it.
    case stream(doing: String, cause: String)

    public var explanation: Explanation {
        switch self {
        case .notAnImage:
            Explanation(
                what: "cannot read the image", why: "it does not begin like an image of crengine",
                next: "see that the file is what `crengine dump` wrote")
        case .versionUnsupported(let found, let readable):
            Explanation(
                what: "cannot read the image",
                why:
                    "its format is version \(found); this build reads \(readable.lowerBound) to \(readable.upperBound)",
                next: "dump again with this build")
        case .cut(let offset, let inside):
            Explanation(
                what: "the image is cut", at: "byte \(offset)", why: "it ends inside \(inside)",
                next: "copy it again, or dump again")
        case .checksum(let offset, let block):
            Explanation(
                what: "the image is damaged", at: "byte \(offset)", why: "the checksum of \(block) does not fit",
                next: "copy it again, or dump again")
        case .tooLarge(let offset, let block, let bytes, let limit):
            Explanation(
                what: "the image is damaged", at: "byte \(offset)",
                why: "\(block) claims \(bytes) bytes; the format allows \(limit)", next: "copy it again, or dump again")
        case .misplaced(let offset, let block, let why):
            Explanation(
                what: "the image does not have its format", at: "byte \(offset), \(block)", why: why,
                next: "dump again")
        case .malformed(let record, let field, let why):
            Explanation(
                what: "cannot understand the image", at: "\(record), field \(field)", why: why, next: "dump again")
        case .inconsistent(let record, let why):
            Explanation(what: "the image contradicts itself", at: record, why: why, next: "dump again")
        case .trailingBytes(let offset):
            Explanation(
                what: "the image is damaged", at: "byte \(offset)", why: "the stream goes on behind the trailer",
                next: "copy it again")
        case .stream(let doing, let cause):
            Explanation(what: "cannot \(doing) the image", why: cause)
        }
    }
}
