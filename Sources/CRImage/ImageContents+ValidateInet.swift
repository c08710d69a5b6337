extension ImageContents {
    /// Internet sockets: a restore hands their addresses and queues to the kernel without looking twice.
    func inetSocketsFit() throws(ImageError) {
        var domains: [UInt32: UInt32] = [:]
        for socket in sockets where socket.domain == 2 || socket.domain == 10 { domains[socket.number] = socket.domain }
        for record in inetSockets {
            func fail(_ why: String) -> ImageError {
                .inconsistent(record: "Internet socket \(record.socket)", why: why)
            }
            guard let domain = domains.removeValue(forKey: record.socket) else {
                throw fail("its socket is not there, is of another family, or has two records")
            }
            for address in [record.local, record.peer] where !address.isEmpty {
                guard Self.isAddress(address, domain) else { throw fail("an address of it is none of its family") }
            }
            if record.state.isConnection || record.state == .synSent {
                guard !record.local.isEmpty, !record.peer.isEmpty else { throw fail("its connection lacks an end") }
            }
            if record.state == .listening, record.local.isEmpty { throw fail("it listens and is not bound") }
            guard record.stream.unsentBytes <= record.stream.sendQueue.count,
                record.stream.sendScale <= 14, record.stream.receiveScale <= 14,
                record.stream.window.isEmpty || record.stream.window.count == 20
            else { throw fail("its queues or windows do not hold together") }
            for datagram in record.datagrams where !Self.isAddress(datagram.address, domain) {
                throw fail("a datagram of it comes from nowhere")
            }
            for option in record.options where option.value.count > 256 {
                throw fail("option \(option.name) has \(option.value.count) bytes")
            }
            for membership in record.memberships {
                let width = membership.group.count
                guard width == 4 || width == 16, membership.sources.allSatisfy({ $0.count == width }),
                    membership.sources.count <= 4096
                else { throw fail("a group of it has no address") }
            }
        }
        if let lost = domains.keys.min() {
            throw .inconsistent(record: "socket \(lost)", why: "it is an Internet socket without a record of one")
        }
    }

    private static func isAddress(_ bytes: [UInt8], _ domain: UInt32) -> Bool {
        guard bytes.count >= 2, bytes[1] == 0, UInt32(bytes[0]) == domain else { return false }
        return bytes.count == (domain == 2 ? 16 : 28)
    }
}
