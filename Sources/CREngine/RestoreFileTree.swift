internal import CRImage
internal import LinuxKit

/// Gives a file system in memory its content.
final class RestoreFileTree {
    private let system: MountedFileSystemValue
    private let fd: Int32
    private let user: NamespaceRecord?
    private let makesReadOnly: Bool
    /// Files whose content comes in page runs.
    private(set) var contentFiles: [UInt32: (fd: Int32, sizeBytes: UInt64)] = [:]

    /// - Parameters:
    ///   - fd: O_PATH, of the file system's root; closed by ``close()``.
    ///   - user: The user namespace that it belongs to; files are made as its root.
    init(_ system: MountedFileSystemValue, fd: Int32, user: NamespaceRecord?, makesReadOnly: Bool) {
        self.system = system
        self.fd = fd
        self.user = user
        self.makesReadOnly = makesReadOnly
    }

    func close() {
        for file in contentFiles.values { Files.close(file.fd) }
        contentFiles = [:]
        Files.close(fd)
    }

    private func asOwner(_ body: () throws(LinuxError) -> Void) throws(EngineError) {
        // A file system of a user namespace takes files only of users that are mapped there.
        if let user { Files.actAs(uid: user.userMap.outside(0) ?? 0, gid: user.groupMap.outside(0) ?? 0) }
        defer { if user != nil { Files.actAs(uid: 0, gid: 0) } }
        try EngineError.wrap("fill a \(system.type)", task: nil, body)
    }

    private func kind(_ entry: FileEntryValue) -> UInt32 { entry.mode & 0xf000 }

    /// Makes all names; mount points among them must be there before anything is mounted upon them.
    func fillFolders() throws(EngineError) {
        try asOwner { () throws(LinuxError) in
            for entry in system.entries where !entry.path.isEmpty {
                if !entry.hardLink.isEmpty {
                    try Files.makeHardLink(at: fd, entry.path, to: entry.hardLink)
                    continue
                }
                switch kind(entry) {
                case 0x4000: try Files.makeFolder(at: fd, entry.path, mode: 0o700)
                case 0xa000: try Files.makeLink(at: fd, entry.path, to: entry.content)
                case 0x8000: try makeFile(entry)
                default: try Files.makeNode(at: fd, entry.path, mode: kind(entry) | 0o600, device: entry.device)
                }
            }
        }
    }

    private func makeFile(_ entry: FileEntryValue) throws(LinuxError) {
        let file = try Files.open(at: fd, entry.path, [.readWrite, .create, .exclusive, .noFollow])
        if entry.number != 0 {
            try RestoreCalls.truncate(file, entry.sizeBytes)
            contentFiles[entry.number] = (file, entry.sizeBytes)
            return
        }
        defer { Files.close(file) }
        if !entry.content.isEmpty { try Files.write(file, entry.content) }
    }

    /// Owners, modes and attributes.
    func fill() throws(EngineError) {
        try EngineError.wrap("set owners in a \(system.type)") { () throws(LinuxError) in
            for entry in system.entries where entry.hardLink.isEmpty {
                try Files.changeOwner(at: fd, entry.path, uid: entry.uid, gid: entry.gid)
                if kind(entry) != 0xa000 { try Files.changeMode(at: fd, entry.path, entry.mode) }
                if entry.attributes.isEmpty { continue }
                let file = entry.path.isEmpty ? fd : try Files.open(at: fd, entry.path, [.pathOnly, .noFollow])
                defer { if !entry.path.isEmpty { Files.close(file) } }
                for attribute in entry.attributes {
                    try Files.setAttribute(of: file, attribute.name, attribute.value)
                }
            }
        }
    }

    /// Times, and what forbids writing.
    func finish() throws(EngineError) {
        try EngineError.wrap("finish a \(system.type)") { () throws(LinuxError) in
            for file in contentFiles.values { Files.close(file.fd) }
            contentFiles = [:]
            // From the leaves up; a change below would touch the folder again.
            for entry in system.entries.reversed() where entry.hardLink.isEmpty {
                // What the workload itself has removed or replaced by now is gone.
                try? Files.changeTime(at: fd, entry.path, nanoseconds: entry.modifiedNanoseconds)
            }
            if makesReadOnly { try Files.makeReadOnly(fd) }
        }
    }
}
