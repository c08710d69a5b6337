internal import CRImage
internal import LinuxKit

/// Inodes that have lost their name: each gets one for as long as the engine opens things.
extension RestoreFiles {
    /// Where an inode can be opened now.
    func place(of inode: InodeRecord) -> String { places[inode.number] ?? inode.path }

    /// Makes removed folders, pipes, links and devices again, and gives files with other names their old one back.
    func makePassingNames() throws(EngineError) {
        let removed = contents.inodes.filter(\.isRemoved)
        // A removed folder before what was in it.
        let folders = removed.filter { $0.kind == .directory }.sorted { $0.path.utf8.count < $1.path.utf8.count }
        for inode in folders {
            try EngineError.wrap("make the removed folder \(inode.path) again") { () throws(LinuxError) in
                try makeFolder(inode)
            }
        }
        for inode in removed where inode.kind != .directory {
            try EngineError.wrap("make the removed \(inode.path) again") { () throws(LinuxError) in
                try makeName(inode)
            }
        }
    }

    /// Takes the passing names away again.
    func removePassingNames() {
        for name in passingNames.reversed() { try? Files.unlink(name) }
        for folder in passingFolders.reversed() { try? Files.removeFolder(folder) }
        passingNames = []
        passingFolders = []
    }

    /// Whether the dump has made names.
    var hasOtherNames: Bool { contents.inodes.contains(where: \.isOtherNameOurs) }

    /// Takes away the names that the dump made, once the tree is sure to run; no inotify instance tells of it.
    func removeOtherNames() {
        guard hasOtherNames else { return }
        for inode in contents.inodes where inode.isOtherNameOurs { try? Files.unlink(inode.otherName) }
        for fd in inotifies { try? Files.drain(fd) }
    }

    /// Calls `make` with the path, or with one beside it when that is taken.
    private func freely(_ path: String, _ make: (String) throws(LinuxError) -> Void) throws(LinuxError) -> String {
        let path = try standing(path)
        var name = path
        for attempt in 0..<100 {
            do {
                try make(name)
                return name
            } catch {
                guard error.errno == .exists else { throw error }
                name = "\(path).crengine-\(attempt)"
            }
        }
        throw .call("create", object: path, .exists)
    }

    /// The path, once its folders are there. Where something else stands in place of one of them by now, the nearest folder
    /// above is as good.
    private func standing(_ path: String) throws(LinuxError) -> String {
        var folder = Self.nearestFolder(above: path)
        if Self.isBlocked(path, below: folder) {
            if folder == "/" { folder = "" }
            return folder + "/" + (path.split(separator: "/").last ?? "")
        }
        try makeParents(of: path)
        return path
    }

    /// The folder nearest to a path that is there.
    static func nearestFolder(above path: String) -> String {
        var folder = DumpCollector.folder(of: path)
        while folder != "/", (try? Files.plainStatus(of: folder))?.kind != .directory {
            folder = DumpCollector.folder(of: folder)
        }
        return folder
    }

    /// Whether what follows in the path is there and no folder.
    private static func isBlocked(_ path: String, below folder: String) -> Bool {
        let rest = path.dropFirst(folder == "/" ? 0 : folder.utf8.count).split(separator: "/")
        guard rest.count > 1, let next = rest.first else { return false }
        return (try? Files.plainStatus(of: (folder == "/" ? "" : folder) + "/" + next)) != nil
    }

    /// A folder that is gone as well holds what was removed from it.
    private func makeParents(of path: String) throws(LinuxError) {
        let folder = DumpCollector.folder(of: path)
        if folder == "/" || passingFolders.contains(folder) { return }
        do throws(LinuxError) {
            let status = try Files.plainStatus(of: folder)
            if status.kind == .directory { return }
            throw .call("mkdir", object: folder, .notPermitted)
        } catch {
            guard error.errno == .noEntry else { throw error }
        }
        try makeParents(of: folder)
        try Files.makeFolder(folder)
        passingFolders.append(folder)
    }

    private func makeFolder(_ inode: InodeRecord) throws(LinuxError) {
        let name: String
        if passingFolders.contains(inode.path) {
            name = inode.path
        } else {
            name = try freely(inode.path) { (name) throws(LinuxError) in try Files.makeFolder(name) }
            passingFolders.append(name)
        }
        // O_DIRECTORY | O_NOFOLLOW
        let fd = try lift(try Files.openPlain(name, rawFlags: 0o600000), inode.path)
        dress(fd, inode)
        inodes[inode.number] = fd
        places[inode.number] = name
    }

    private func makeName(_ inode: InodeRecord) throws(LinuxError) {
        if !inode.otherName.isEmpty {
            places[inode.number] = inode.otherName
            do {
                let name = try freely(inode.path) { (name) throws(LinuxError) in
                    try Files.link(inode.otherName, to: name)
                }
                passingNames.append(name)
                places[inode.number] = name
            } catch {
                // Only its name in /proc is another one then.
                notes.append("\(inode.path) could not get its old name back for a moment: \(error)")
            }
            return
        }
        do {
            let name = try freely(inode.path) { (name) throws(LinuxError) in
                switch inode.kind {
                case .symbolicLink: try Files.makeLink(name, to: inode.target)
                case .fifo, .socketName, .device:
                    try Files.makeNode(
                        name, mode: inode.mode & 0xf1ff | 0o600, device: inode.kind == .device ? inode.device : 0)
                default: throw .call("create", object: name, .invalid)
                }
            }
            passingNames.append(name)
            places[inode.number] = name
        } catch {
            // A machine that makes no devices still has the usual ones.
            guard inode.kind == .device, let usual = Self.usualDevices[inode.device] else { throw error }
            places[inode.number] = usual
            return
        }
        // O_PATH | O_NOFOLLOW; owner and mode of what a name leads to can be set through /proc only.
        let fd = try Files.openPlain(place(of: inode), rawFlags: 0o10400000)
        defer { Files.close(fd) }
        do {
            try Files.changeOwner(ofPath: fd, inode.uid, inode.gid)
            if inode.kind != .symbolicLink {
                try Files.changeMode("/proc/self/fd/\(fd)", inode.mode & 0o7777)
            }
        } catch {
            notes.append("owner and mode of the removed \(inode.path) could not be set")
        }
    }

    /// `major << 32 | minor` of the memory devices.
    private static let usualDevices: [UInt64: String] = [
        1 << 32 | 3: "/dev/null", 1 << 32 | 5: "/dev/zero", 1 << 32 | 7: "/dev/full", 1 << 32 | 8: "/dev/random",
        1 << 32 | 9: "/dev/urandom",
    ]

    /// A file that has lost its name, under the name that it had where that is free, so that `/proc` shows the same.
    func createNameless(_ inode: InodeRecord) throws(LinuxError) -> Int32 {
        var fd: Int32 = -1
        if inode.isLinkable {
            do {
                fd = try Files.openPlain(DumpCollector.folder(of: inode.path), rawFlags: 0o20200002, mode: 0o600)
                dress(fd, inode)
                return fd
            } catch {
                notes.append("\(inode.path) cannot get a name any more: \(error)")
            }
        }
        let name = try freely(inode.path) { (name) throws(LinuxError) in
            // O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
            fd = try Files.openPlain(name, rawFlags: 0o400302, mode: 0o600)
        }
        try Files.unlink(name)
        dress(fd, inode)
        return fd
    }

    /// Owner first: changing it takes the set-ID bits away.
    func dress(_ fd: Int32, _ inode: InodeRecord) {
        do throws(LinuxError) {
            let now = try Files.status(of: fd)
            if now.uid != inode.uid || now.gid != inode.gid {
                try RestoreCalls.changeOwner(fd, inode.uid, inode.gid)
            }
            try RestoreCalls.changeMode(fd, inode.mode)
        } catch {
            notes.append("owner and mode of \(inode.kind) \(inode.path) could not be set")
        }
        for attribute in inode.attributes {
            do throws(LinuxError) {
                try Files.setAttribute(of: fd, attribute.name, attribute.value)
            } catch {
                notes.append("\(attribute.name) of \(inode.kind) \(inode.path) could not be set: \(error)")
            }
        }
    }

    /// Time stamps of what the image creates, once nothing changes it any more.
    func setTimes() {
        for inode in contents.inodes where inode.kind.hasContent || inode.isRemoved && inode.kind == .directory {
            guard let fd = inodes[inode.number] else { continue }
            do throws(LinuxError) {
                try Files.setTimes(
                    of: fd, accessedNanoseconds: inode.accessedNanoseconds,
                    modifiedNanoseconds: inode.modifiedNanoseconds)
            } catch {
                notes.append("the time stamps of \(inode.kind) \(inode.path) could not be set")
            }
        }
    }
}
