import GuestWire
import LinuxKit

/// Folders to an archive and back.
enum ArchiveFiles {
    /// Writes the folders below `base` as one archive.
    ///
    /// - Parameter folders: Names in `base`; the archive's paths start with them.
    static func write(_ folders: [String], of base: String, to writer: inout ChunkWriter) throws(AgentError) {
        try writer.write(Archive.magic)
        var entries = 0
        /// First path of each inode with several names.
        var linked: [FileIdentity: String] = [:]
        var pending = folders.reversed().map { $0 }
        while let path = pending.popLast() {
            let status = try reading(path) { () throws(LinuxError) in
                try Files.status(of: base + "/" + path, follow: false)
            }
            var entry = ArchiveEntry(
                kind: kind(status.kind), path: path, mode: status.mode & 0o7777, uid: status.uid, gid: status.gid,
                modifiedNanoseconds: status.modifiedNanoseconds)
            if entry.kind == .file, status.links > 1 {
                if let first = linked[status.identity] {
                    entry.kind = .hardLink
                    entry.target = first
                } else {
                    linked[status.identity] = path
                }
            }
            switch entry.kind {
            case .symbolicLink:
                entry.target = try reading(path) { () throws(LinuxError) in try Files.link(base + "/" + path) }
            case .character, .block:
                entry.device = status.specialDevice
            case .directory:
                let names = try reading(path) { () throws(LinuxError) in try Files.names(in: base + "/" + path) }
                pending += names.sorted(by: >).map { path + "/" + $0 }
            default: break
            }
            if entry.kind == .file {
                try writeFile(entry, status: status, of: base, to: &writer)
            } else {
                try writeHeader(entry, to: &writer)
            }
            entries += 1
        }
        try writer.write(Archive.end(entries: entries))
    }

    private static func writeHeader(_ entry: ArchiveEntry, to writer: inout ChunkWriter) throws(AgentError) {
        let header: [UInt8]
        do throws(WireError) { header = try Archive.header(of: entry) } catch { throw .archive("\(error)") }
        try writer.write(header)
    }

    /// The workload is gone, so the file keeps its length; if it did not, the rest would be zeros.
    private static func writeFile(
        _ entry: ArchiveEntry, status: FileStatus, of base: String, to writer: inout ChunkWriter
    ) throws(AgentError) {
        var entry = entry
        entry.sizeBytes = status.sizeBytes
        try writeHeader(entry, to: &writer)
        let fd = try reading(entry.path) { () throws(LinuxError) in
            try Files.open(base + "/" + entry.path, .readOnly)
        }
        defer { Files.close(fd) }
        var left = status.sizeBytes
        while left > 0 {
            let limit = Int(min(left, UInt64(Frame.chunkBytes)))
            let bytes = try reading(entry.path) { () throws(LinuxError) in
                try GuestSystem.readSome(fd, limit: limit) ?? []
            }
            let chunk = bytes.isEmpty ? [UInt8](repeating: 0, count: limit) : bytes
            try writer.write(chunk)
            left -= UInt64(chunk.count)
        }
    }

    private static func kind(_ kind: FileStatus.Kind) -> ArchiveEntry.Kind {
        switch kind {
        case .regular, .none: .file
        case .directory: .directory
        case .symbolicLink: .symbolicLink
        case .fifo: .fifo
        case .socket: .socket
        case .character: .character
        case .block: .block
        }
    }

    private static func reading<Value>(
        _ path: String, _ body: () throws(LinuxError) -> Value
    ) throws(AgentError) -> Value {
        do throws(LinuxError) {
            return try body()
        } catch {
            throw .preparation("read \(path) for the archive", error)
        }
    }
}

/// Unpacks an archive that arrives in portions into a folder.
struct ArchiveUnpacker {
    private let base: String
    private var decoder = ArchiveDecoder()
    private var file: (fd: Int32, entry: ArchiveEntry)?
    /// Folders get their times last, because their entries change them.
    private var folders: [ArchiveEntry] = []
    private(set) var isComplete = false

    init(into base: String) { self.base = base }

    mutating func append(_ bytes: [UInt8]) throws(AgentError) {
        decoder.append(bytes)
        do {
            while let event = try decoder.next() {
                switch event {
                case .entry(let entry):
                    try closeFile()
                    try make(entry)
                case .content(let bytes):
                    if let file { try Files.write(file.fd, bytes) }
                case .end:
                    try closeFile()
                    for folder in folders.reversed() { try setAttributes(folder) }
                    isComplete = true
                }
            }
        } catch let error as WireError {
            throw .archive(error.explanation.line)
        } catch let error as LinuxError {
            throw .archive(error.explanation.line)
        } catch {
            throw .archive("\(error)")
        }
    }

    private mutating func make(_ entry: ArchiveEntry) throws(LinuxError) {
        let path = base + "/" + entry.path
        switch entry.kind {
        case .file:
            file = (try Files.open(path, [.writeOnly, .create, .truncate], mode: 0o600), entry)
            return
        case .directory:
            if (try? Files.status(of: path)) == nil { try Files.makeFolder(path) }
            folders.append(entry)
            return
        case .symbolicLink: try GuestSystem.symbolicLink(entry.target, at: path)
        case .hardLink:
            try GuestSystem.hardLink(base + "/" + entry.target, at: path)
            return
        case .fifo: try GuestSystem.node(path, mode: 0o010000 | entry.mode)
        case .socket: try GuestSystem.node(path, mode: 0o140000 | entry.mode)
        case .character, .block:
            try GuestSystem.node(
                path, mode: (entry.kind == .character ? 0o020000 : 0o060000) | entry.mode,
                major: entry.device >> 32, minor: entry.device & 0xffff_ffff)
        }
        try setAttributes(entry)
    }

    private mutating func closeFile() throws(LinuxError) {
        guard let file else { return }
        Files.close(file.fd)
        self.file = nil
        try setAttributes(file.entry)
    }

    private func setAttributes(_ entry: ArchiveEntry) throws(LinuxError) {
        let path = base + "/" + entry.path
        try GuestSystem.setOwner(path, uid: entry.uid, gid: entry.gid)
        if entry.kind != .symbolicLink { try GuestSystem.setMode(path, entry.mode) }
        try GuestSystem.setModified(path, nanoseconds: entry.modifiedNanoseconds)
    }
}
