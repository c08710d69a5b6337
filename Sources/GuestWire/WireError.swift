public import CRModel

/// What is wrong with the bytes, or with the order of the messages, on the guest channel.
public enum WireError: Explained, Equatable {
    /// The bytes at this offset of the stream are no frame header.
    case notAFrame(offset: UInt64)
    /// A header whose checksum is right names a kind that this protocol version does not have.
    case unknownKind(UInt8, offset: UInt64)
    /// A frame claims more payload than any may have.
    case tooLong(bytes: UInt32, offset: UInt64)
    /// The payload's checksum is wrong.
    case damaged(offset: UInt64)
    /// The stream ended inside a frame.
    case cut(offset: UInt64, missing: Int)
    /// The payload is not the JSON that its kind has.
    case malformed(kind: FrameKind, why: String)
    /// The other side speaks another version.
    case version(theirs: Int, ours: Int)
    /// An archive's bytes are not an archive.
    case archive(offset: UInt64, why: String)

    public var explanation: Explanation {
        switch self {
        case .notAFrame(let offset):
            Self.channel(offset, "these bytes are no frame header")
        case .unknownKind(let kind, let offset):
            Self.channel(offset, "frames of kind \(kind) are unknown to this version")
        case .tooLong(let bytes, let offset):
            Self.channel(offset, "a frame claims \(bytes) bytes; at most \(Frame.maximumPayloadBytes) are allowed")
        case .damaged(let offset):
            Self.channel(offset, "the frame's checksum is wrong")
        case .cut(let offset, let missing):
            Self.channel(offset, "the stream ended \(missing) bytes before the frame did")
        case .malformed(let kind, let why):
            Explanation(what: "cannot read a message of the guest channel", at: "\(kind)", why: why)
        case .version(let theirs, let ours):
            Explanation(
                what: "cannot talk to the guest agent", why: "it speaks protocol \(theirs), this build speaks \(ours)",
                next: "build the disk images again with this build: crlab images build")
        case .archive(let offset, let why):
            Explanation(
                what: "cannot read a carried archive", at: "byte \(offset)", why: why,
                next: "dump again; the archive is damaged")
        }
    }

    private static func channel(_ offset: UInt64, _ why: String) -> Explanation {
        Explanation(what: "garbled frame on the guest channel", at: "byte \(offset)", why: why)
    }
}
