extension ImageContents {
    /// Sockets and the open files that lead to them.
    func socketsFit() throws(ImageError) {
        let numbers = Set(sockets.map(\.number))
        var seen: Set<UInt32> = []
        for file in openFiles where file.kind == .socket || file.socket != 0 {
            guard file.kind == .socket, numbers.contains(file.socket), seen.insert(file.socket).inserted else {
                throw .inconsistent(
                    record: "open file \(file.number)", why: "its socket is not there, or belongs to another file too")
            }
        }
        for socket in sockets {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "socket \(socket.number)", why: why) }
            guard socket.type <= 10 else { throw fail("type \(socket.type) is none") }
            guard socket.options.filter.count % 8 == 0, socket.options.filter.count <= 4096 * 8 else {
                throw fail("its filter has \(socket.options.filter.count) bytes")
            }
            for option in socket.options.values where option.value.count > 16 {
                throw fail("option \(option.name) has \(option.value.count) bytes")
            }
        }
    }
}
