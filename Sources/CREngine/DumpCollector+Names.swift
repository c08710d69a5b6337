internal import CRImage
internal import LinuxKit

/// Files whose own name was removed while they have others.
extension DumpCollector {
    /// Finds another name of an inode, or gives it one that lasts until the restore.
    ///
    /// Carrying the content instead would part the workload from everybody who uses the other name.
    ///
    /// - Parameters:
    ///   - path: Where the removed name was.
    ///   - openAt: A path under `/proc` that leads to the very inode.
    func otherName(
        of status: FileStatus, removedFrom path: String, openAt: String, process: Int32, object: String
    ) throws(EngineError) -> (path: String, isOurs: Bool) {
        // The folder may be gone as well.
        var folder = Self.folder(of: path)
        while folder != "/", (try? Files.status(of: visible(folder, from: process), follow: false)) == nil {
            folder = Self.folder(of: folder)
        }
        let known = inodes.keys.filter { $0.identity == status.identity && !$0.path.isEmpty }.map(\.path)
        for name in known {
            if let there = try? Files.status(of: visible(name, from: process), follow: false),
                there.identity == status.identity
            {
                return (name, false)
            }
        }
        let place = visible(folder, from: process)
        for name in (try? Files.names(in: place)) ?? [] {
            guard let there = try? Files.status(of: place + "/" + name, follow: false),
                there.identity == status.identity, !name.unicodeScalars.contains("\u{fffd}")
            else { continue }
            return (Self.join(folder, name), false)
        }
        do {
            return (Self.join(folder, try giveName(to: openAt, inode: status.inode, in: place)), true)
        } catch {
            throw refuse(
                process, "\(object): \(path) (deleted)",
                "it has other names, none of them in \(folder), and cannot get one there: "
                    + (error.errno.map { "\($0)" } ?? "?"))
        }
    }

    /// Links an inode into a folder, under a name that lasts until the restore.
    private func giveName(to openAt: String, inode: UInt64, in place: String) throws(LinuxError) -> String {
        var attempt = 0
        while true {
            let name = ".crengine-\(inode)-\(attempt)"
            do {
                try Files.link(openAt, to: place + "/" + name)
                temporaryNames.append(place + "/" + name)
                return name
            } catch {
                guard error.errno == .exists, attempt < 100 else { throw error }
            }
            attempt += 1
        }
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    static func join(_ folder: String, _ name: String) -> String { folder == "/" ? "/" + name : folder + "/" + name }

    /// Takes back the names that the dump made, after a failure.
    func removeNames() {
        for name in temporaryNames { try? Files.unlink(name) }
        temporaryNames = []
    }

    /// Whether the kernel's ` (deleted)` stands behind a name, rather than in it.
    func isDeleted(_ link: String, _ status: FileStatus, process: Int32) -> Bool {
        guard link.hasSuffix(" (deleted)") else { return false }
        guard status.links > 0, link.hasPrefix("/"),
            let there = try? Files.status(of: visible(link, from: process), follow: false)
        else { return true }
        return there.identity != status.identity
    }

    /// The open file of a folder to which no path leads any more, for a working or root directory.
    func folderFile(_ link: String, openAt: String, process: Int32, object: String) throws(EngineError) -> UInt32 {
        let status = try EngineError.wrap("look at the \(object)", task: process) { () throws(LinuxError) in
            try Files.status(of: openAt)
        }
        var record = OpenFileRecord()
        record.number = newNumber()
        record.flags = 0o10200000  // O_PATH | O_DIRECTORY
        if let name = declaredName(link) {
            record.kind = .external
            record.externalName = name
        } else if try !classifyHandle(
            &record, process: process, link: link, path: openAt, status: status, object: object)
        {
            record.kind = .inode
            record.inode = try inode(
                process: process, link: link, status, openAt: openAt, object: object, written: false)
        }
        contents.openFiles.append(record)
        return record.number
    }
}
