/// What a frame carries.
public enum FrameKind: UInt8, Sendable, CaseIterable {
    /// Agent → lab, first of all: ``Hello``.
    case hello = 1
    /// Lab → agent, the answer: ``Welcome``.
    case welcome = 2
    /// Agent → lab, when requests may come: ``Ready``.
    case ready = 3
    /// Lab → agent: ``GuestRequest``.
    case request = 4
    /// Agent → lab: ``GuestReply`` to the request with the same number.
    case reply = 5
    /// Agent → lab, at any time: ``GuestEvent``.
    case event = 6
    /// Raw bytes of the bulk stream that belongs to the request with the same number.
    case chunk = 7
    /// The end of that stream; the payload is its length in bytes, 8 bytes, little-endian.
    case end = 8
    /// The receiver of a bulk stream took so many bytes: 8 bytes, little-endian.
    case credit = 9
    /// Lab → agent: give up the request with this number. No payload.
    case cancel = 10
}

/// One frame of the guest channel.
///
/// Layout, little-endian: magic `CRLW`, kind (1 byte), 3 zero bytes, request number (4), payload length (4), check of
/// the payload (4, see `PayloadCheck`), CRC-32 of the 20 bytes before (4), payload. The header has a checksum of its
/// own, so that a damaged length is noticed at once and not after the bytes that it promises.
public struct Frame: Sendable, Equatable {
    public static let headerBytes = 24
    /// Bound of one payload. Messages are far smaller (evidence is bounded by its own rules), chunks are 128 KiB.
    public static let maximumPayloadBytes: UInt32 = 4 << 20
    /// Payload size of a full chunk.
    public static let chunkBytes = 128 << 10
    /// How many bytes of a bulk stream may be under way without the receiver's credit.
    public static let windowBytes = 1 << 20

    public var kind: FrameKind
    /// Number of the request that the frame belongs to; 0 for none.
    public var request: UInt32
    public var payload: [UInt8]

    public init(_ kind: FrameKind, request: UInt32 = 0, payload: [UInt8] = []) {
        self.kind = kind
        self.request = request
        self.payload = payload
    }

    /// A frame whose payload is one 64-bit number: ``FrameKind/end`` and ``FrameKind/credit``.
    public init(_ kind: FrameKind, request: UInt32, number: UInt64) {
        self.init(kind, request: request, payload: (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) })
    }

    /// The payload as one 64-bit number.
    ///
    /// - Throws: ``WireError/malformed(kind:why:)`` when it has another length.
    public func number() throws(WireError) -> UInt64 {
        guard payload.count == 8 else { throw .malformed(kind: kind, why: "\(payload.count) bytes in place of 8") }
        return payload.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The bytes to send.
    ///
    /// - Precondition: The payload is at most ``maximumPayloadBytes`` long.
    public var bytes: [UInt8] {
        precondition(payload.count <= Int(Self.maximumPayloadBytes), "a frame of \(payload.count) bytes")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerBytes + payload.count)
        bytes.append(contentsOf: Self.magic)
        bytes.append(contentsOf: [kind.rawValue, 0, 0, 0])
        Self.append(request, to: &bytes)
        Self.append(UInt32(payload.count), to: &bytes)
        Self.append(PayloadCheck.value(payload), to: &bytes)
        Self.append(CRC32(bytes).value, to: &bytes)
        bytes.append(contentsOf: payload)
        return bytes
    }

    static let magic: [UInt8] = Array("CRLW".utf8)

    private static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }
}
