import CRModel

extension Frame {
    /// A frame that carries a message as JSON.
    ///
    /// - Throws: ``WireError/malformed(kind:why:)`` when the message cannot be written, or is too long.
    public init(
        _ kind: FrameKind, request: UInt32 = 0, message: some Encodable
    ) throws(WireError) {
        let text: String
        do { text = try JSONCoder.text(of: message) } catch { throw .malformed(kind: kind, why: "\(error)") }
        let payload = Array(text.utf8)
        guard payload.count <= Int(Self.maximumPayloadBytes) else {
            throw .malformed(kind: kind, why: "the message has \(payload.count) bytes")
        }
        self.init(kind, request: request, payload: payload)
    }

    /// The message in the payload.
    ///
    /// - Throws: ``WireError/malformed(kind:why:)``.
    public func message<Message: Decodable>(_ type: Message.Type) throws(WireError) -> Message {
        do {
            return try JSONCoder.decode(type, from: JSONParser.parse(payload))
        } catch {
            throw .malformed(kind: kind, why: "\(error)")
        }
    }
}
