internal import CRImage
internal import LinuxKit

/// Names of UNIX sockets: their folders must be here, and nobody may serve them.
extension RestorePreflight {
    mutating func socketFolders() {
        for socket in contents.unixSockets where !socket.path.isEmpty {
            let folder = RestoreUnixNames.split(socket.path).folder
            checkFolder(folder, of: "the socket \(socket.path)")
            guard let status = try? Files.status(of: socket.path, follow: false), status.kind != .socket else {
                continue
            }
            refuse(
                .filesystemChanged, object: socket.path, "something that is no socket stands at the path of one",
                [socket.path])
        }
    }

    /// What comes from outside has to be named, and must be here.
    mutating func externals() {
        let files = contents.openFiles.filter { $0.kind == .external }.map(\.externalName)
        for name in Set(files).sorted() {
            guard let value = options.externals[name] else {
                refuse(Externals.missing(name))
                continue
            }
            if value.hasPrefix("/"), (try? Files.status(of: value)) == nil {
                refuse(.filesystemMissing, object: name, "\(value), which is to stand for it, is not here", [value])
            }
        }
        for socket in contents.unixSockets where socket.isPeerOutside {
            let name = socket.externalName.isEmpty ? socket.peerNameText : socket.externalName
            if !Externals.isWellFormed(options.externals[name] ?? socket.peerNameText) {
                refuse(Externals.missing(name))
            }
        }
    }

    /// A name that somebody serves is not taken away.
    func socketNames() throws(EngineError) {
        let paths = contents.unixSockets.map(\.path).filter { !$0.isEmpty }
        let found = paths.compactMap { path in (try? Files.status(of: path)).map { (path, $0.identity) } }
        guard !found.isEmpty, let sockets = try? UnixDiagnostics.sockets() else { return }
        let served = Set(sockets.values.compactMap(\.file))
        for (path, identity) in found where served.contains(identity) {
            throw .busy("socket \(path) is in use", task: nil, next: "end what serves it")
        }
    }
}
