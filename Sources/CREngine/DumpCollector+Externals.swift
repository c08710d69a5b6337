internal import CRImage
internal import LinuxKit

/// What lies outside the tree: declared by `--external`, or found again by its name.
extension DumpCollector {
    /// The name under which a descriptor or folder was declared; `nil` for what the image carries.
    ///
    /// - Parameter link: As `/proc/PID/fd` shows it.
    func declaredName(_ link: String) -> String? {
        if externals.isEmpty { return nil }
        for kind in ["pipe", "socket"] where link.hasPrefix(kind + ":[") {
            return externals[kind + link.dropFirst(kind.utf8.count + 1)]
        }
        return externals["file[\(link)]"]
    }

    /// Notes a UNIX socket whose peer is outside the tree.
    ///
    /// A datagram socket shares no state with a peer that has a name, so it connects to that name again. Of all others
    /// somebody has to say that the peer takes a new connection for the old one.
    func connectOutside(
        _ record: inout UnixSocketRecord, _ socket: KnownSocket, own: UInt32, peer: UInt32
    ) throws(EngineError) {
        record.isPeerOutside = true
        record.peerName = peerName(socket)
        let text = record.peerNameText
        let isDatagram = unixSockets.first { $0.inode == UInt64(own) }?.type == 2
        if let name = externals["unix[\(peer)]"] ?? externals["unix[\(own)]"] ?? externals["unix[\(text)]"] {
            record.externalName = name
        } else if !isDatagram || text.first != "/" && text.first != "@" || record.peerCredentials.isPresent {
            let key = text.first == "/" || text.first == "@" ? text : "\(peer)"
            throw refuse(
                socket.process, socket.object,
                "its other end, socket:[\(peer)], is outside the tree; where a new connection may stand for this one, "
                    + "declare it: --external 'unix[\(key)]:NAME'")
        }
        if !record.messages.isEmpty, !isDatagram || record.name.isEmpty {
            throw refuse(
                socket.process, socket.object,
                "what its peer outside the tree has sent waits in it, and nobody else could send it again")
        }
    }
}
