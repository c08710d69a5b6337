internal import CRImage
internal import CRModel
internal import LinuxKit

/// What the image leaves to whoever restores: files, devices, folders and peers outside the tree.
extension RestoreFiles {
    /// Opens everything that `--external` names.
    ///
    /// - Precondition: The engine still is where the names count: in its own namespaces.
    func openExternals(_ given: [String: String]) throws(EngineError) {
        for file in contents.openFiles where file.kind == .external {
            guard let value = given[file.externalName] else {
                throw .refused(Externals.missing(file.externalName))
            }
            openFiles[file.number] = try EngineError.wrap("open \(value) for \(file.externalName)") {
                () throws(LinuxError) in
                let fd: Int32
                if let given = try Externals.descriptor(value) { fd = given } else { fd = try open(value, for: file) }
                if let settled = try settle(fd, file) { return settled }
                return try lift(fd, value)
            }
        }
        for socket in contents.unixSockets where socket.isPeerOutside {
            let name = socket.externalName.isEmpty ? socket.peerNameText : socket.externalName
            let value = given[name] ?? socket.peerNameText
            guard Externals.isWellFormed(value) else { throw .refused(Externals.missing(name)) }
            sockets.outside[socket.socket] = try EngineError.wrap("look for \(value), a peer outside the tree") {
                () throws(LinuxError) in
                if let fd = try Externals.descriptor(value) {
                    // Not one of `mine`: the sockets are fetched from the stub that inherits it.
                    let lifted = Int32(try RestoreCalls.control(fd, 1030, UInt64(base), value))  // F_DUPFD_CLOEXEC
                    Files.close(fd)
                    return .descriptor(lifted)
                }
                if value.hasPrefix("@") { return .name([0] + Array(value.utf8.dropFirst())) }
                // A path that the image brings itself counts in the tree, any other one here.
                if given[name] == nil { return .name(socket.peerName) }
                let (folder, base) = RestoreUnixNames.split(value)
                // O_PATH | O_DIRECTORY
                return .file(folder: try lift(try RestoreCalls.open(folder, rawFlags: 0o10200000), folder), base, value)
            }
        }
    }

    private func open(_ path: String, for file: OpenFileRecord) throws(LinuxError) -> Int32 {
        // O_NONBLOCK | O_NOCTTY
        let fd = try RestoreCalls.open(path, rawFlags: UInt64(file.flags & Self.openOnly) | 0o4400)
        let isPlain = file.flags & 0o10000000 == 0 && (try? Files.status(of: fd))?.kind == .regular
        if isPlain, file.offset != 0 { try RestoreCalls.seek(fd, to: file.offset, path) }
        try setFlags(file, fd)
        return fd
    }
}

/// What `restore --external NAME=…` says: a path, an abstract socket name behind `@`, or `fd:N`, a descriptor of the
/// engine's caller.
enum Externals {
    /// Where to connect a socket whose peer is outside the tree.
    enum Peer {
        /// A connected socket, in the engine's table.
        case descriptor(Int32)
        /// The last part of a path, from a folder in the engine's table; the path for errors.
        case file(folder: Int32, String, String)
        /// As the tree sees it.
        case name([UInt8])
    }

    static func isWellFormed(_ value: String) -> Bool {
        value.hasPrefix("/") || value.hasPrefix("@") || number(value) != nil
    }

    private static func number(_ value: String) -> Int32? {
        value.hasPrefix("fd:") ? Int32(value.dropFirst(3)).flatMap { $0 >= 0 ? $0 : nil } : nil
    }

    /// A duplicate of an inherited descriptor; `nil` for a value that is none.
    static func descriptor(_ value: String) throws(LinuxError) -> Int32? {
        guard let fd = number(value) else { return nil }
        return Int32(try RestoreCalls.control(fd, 1030, 0, value))  // F_DUPFD_CLOEXEC
    }

    static func missing(_ name: String) -> Refusal {
        Refusal(
            reason: Reason.filesystemMissing.rawValue, object: name,
            message: "it comes from outside; say what stands for it: --external \(name)=PATH or \(name)=fd:N")
    }
}
