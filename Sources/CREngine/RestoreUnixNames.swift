internal import CRImage
internal import LinuxKit

/// Binds UNIX sockets to names in the file system.
///
/// Such a name is text that the workload sees, relative to some folder or root that may be of the past. So each is bound
/// in a folder of its own, seen as root and working directory; then its file moves to where it belongs, or is removed.
/// Until then nothing of the user's is touched.
final class RestoreUnixNames {
    /// Where the file of a bound socket is now.
    struct Place {
        /// Descriptor, in the root stub's table, of the folder.
        var folder: UInt64
        /// Last part of its name in that folder.
        var base: [UInt8]
        /// As the engine sees it.
        var path: String
        /// Where it goes; empty when it has been deleted.
        var target: String
    }

    private let root: RestoreStub
    private let rootFolder: UInt64
    private let mark: String
    private(set) var places: [UInt32: Place] = [:]
    /// In the order in which they were made.
    private var folders: [String] = []
    private var count = 0
    private var next: UInt32 = 0

    init(root: RestoreStub) throws(EngineError) {
        self.root = root
        mark = ".crengine-\(Kernel.attempt(.getpid))"
        // O_PATH | O_DIRECTORY | O_CLOEXEC
        rootFolder = try root.call(
            .openat, [RestoreStub.word(-100), try root.put(text: "/"), 0o12200000], doing: "open the root directory")
        // Names are connected to in the name of other users; their modes come last. Each process gets its own umask.
        try root.call(.umask, [0], doing: "set the umask")
    }

    /// The address of a name, as bind(2) and connect(2) take it.
    static func address(_ name: [UInt8]) -> [UInt8] { [1, 0] + name }

    /// Binds the root stub's descriptor to a name.
    ///
    /// - Parameter key: Under which the place is found again.
    func bind(_ fd: Int32, to name: [UInt8], target: String, key: UInt32, _ object: String) throws(EngineError) {
        guard name.first.map({ $0 != 0 }) ?? false else {
            try bindAbstract(fd, Self.address(name), object)
            return
        }
        let folder = try newFolder(for: target, object)
        let path = Array(name.prefix { $0 != 0 })
        let parts = path.split(separator: UInt8(ascii: "/")).map { Array($0) }
        guard let base = parts.last else { throw .image(object, why: "its name is no path") }
        try root.call(.chroot, [try root.put(text: folder)], doing: "enter a folder for \(object)")
        try root.call(.chdir, [try root.put(text: "/")], doing: "enter a folder for \(object)")
        var made = folder
        if path.first != UInt8(ascii: "/") {
            // Deep enough for a name that leads upwards.
            for _ in parts where parts.contains([0x2e, 0x2e]) { try enter([0x63], &made, object) }
        }
        for part in parts.dropLast() { try enter(part, &made, object) }
        let here = try root.call(
            .openat, [RestoreStub.word(-100), try root.put(text: "."), 0o12200000], doing: "open a folder for \(object)"
        )
        // Back to where the name starts.
        var start = folder
        if path.first != UInt8(ascii: "/"), parts.contains([0x2e, 0x2e]) {
            try root.call(.chdir, [try root.put(text: "/")], doing: "enter a folder for \(object)")
            for _ in parts { try enter([0x63], &start, object) }
        } else {
            try root.call(.chdir, [try root.put(text: "/")], doing: "enter a folder for \(object)")
        }
        let address = Self.address(name)
        let bound = try root.attempt(.bind, [UInt64(fd), try root.put(address), UInt64(address.count)])
        try root.call(.fchdir, [rootFolder], doing: "leave a folder for \(object)")
        try root.call(.chroot, [try root.put(text: ".")], doing: "leave a folder for \(object)")
        if let bound { throw .remote(call: "bind", task: root.tid, bound, doing: "bind \(object)") }
        places[key] = Place(
            folder: here, base: base, path: made + "/" + String(decoding: base, as: UTF8.self), target: target)
    }

    private func bindAbstract(_ fd: Int32, _ address: [UInt8], _ object: String) throws(EngineError) {
        let deadline = Deadline(seconds: 2)
        while let errno = try root.attempt(.bind, [UInt64(fd), try root.put(address), UInt64(address.count)]) {
            // Sockets that hold each other in their queues are collected some time after the tree that had them is gone.
            guard errno.rawValue == 98, deadline.remainingNanoseconds > 0 else {
                throw .remote(call: "bind", task: root.tid, errno, doing: "bind \(object)")
            }
            // The end of any socket makes the kernel look for such.
            if let fd = try? SocketCalls.create(family: 1, type: 2, protocol: 0) { Files.close(fd) }
            _ = Signals.take(0, timeoutNanoseconds: 2_000_000)
        }
    }

    /// A key that no socket has.
    func newKey() -> UInt32 {
        next += 1
        return .max - next
    }

    private func enter(_ part: [UInt8], _ path: inout String, _ object: String) throws(EngineError) {
        let name = try root.put(part + [0])
        if try root.attempt(.mkdir, [name, 0o755]) == nil {
            folders.append(path + "/" + String(decoding: part, as: UTF8.self))
        }
        try root.call(.chdir, [name], doing: "enter a folder for \(object)")
        if part == [0x2e, 0x2e] {
            path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        } else if part != [0x2e] {
            path += "/" + String(decoding: part, as: UTF8.self)
        }
    }

    private func newFolder(for target: String, _ object: String) throws(EngineError) -> String {
        let parents = target.isEmpty ? ["/tmp", "/run", "/dev/shm", "/var/tmp", "/"] : [Self.split(target).folder]
        var failure = Errno.noEntry
        for parent in parents {
            let outer = (parent == "/" ? "" : parent) + "/" + mark
            count += 1
            let inner = "\(outer)/\(count)"
            do throws(LinuxError) {
                if !folders.contains(outer) {
                    try RestoreCalls.makeFolder(outer)
                    folders.append(outer)
                }
                try RestoreCalls.makeFolder(inner, mode: 0o755)
                folders.append(inner)
                return inner
            } catch {
                failure = error.errno ?? failure
            }
        }
        throw .system(
            .call("mkdir", object: parents[0], failure), task: nil, doing: "make a folder for the name of \(object)")
    }

    static func split(_ path: String) -> (folder: String, base: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    /// Gives the file of a name its owner and mode.
    func setOwner(_ key: UInt32, _ record: UnixSocketRecord, _ object: String) throws(EngineError) {
        guard let place = places[key] else { return }
        try EngineError.wrap("set owner and mode of the name of \(object)") { () throws(LinuxError) in
            try RestoreCalls.setOwner(ofName: place.path, record.fileUid, record.fileGid)
            try RestoreCalls.setMode(ofName: place.path, record.fileMode & 0o7777)
        }
    }

    /// Lets a stub that shares the root stub's descriptors connect to a bound socket.
    func connect(
        _ stub: RestoreStub, _ fd: Int32, to key: UInt32, name: [UInt8], _ object: String
    ) throws(EngineError) {
        var address = Self.address(name)
        if let place = places[key] {
            try stub.call(.fchdir, [place.folder], doing: "enter the folder of \(object)")
            address = Self.address(place.base + [0])
        }
        try stub.call(
            .connect, [UInt64(fd), try stub.put(address), UInt64(address.count)], doing: "connect to \(object)")
    }

    /// Moves files that still have a name to where they belong. What stood there is replaced: it is a socket's name that
    /// nobody serves any more, as was checked.
    func settle() throws(EngineError) {
        for (key, place) in places where !place.target.isEmpty {
            try EngineError.wrap("put the name of a socket to \(place.target)") { () throws(LinuxError) in
                try RestoreCalls.rename(place.path, to: place.target)
            }
            let (folder, base) = Self.split(place.target)
            places[key]?.path = place.target
            places[key]?.base = Array(base.utf8)
            places[key]?.folder = try root.call(
                .openat, [RestoreStub.word(-100), try root.put(text: folder), 0o12200000], doing: "open \(folder)")
        }
    }

    /// Removes what was only for the restore, also after a failure.
    func clean() {
        for place in places.values where place.target.isEmpty || place.path != place.target {
            try? Files.unlink(place.path)
        }
        places = [:]
        for folder in folders.reversed() { RestoreCalls.removeFolder(folder) }
        folders = []
    }
}
