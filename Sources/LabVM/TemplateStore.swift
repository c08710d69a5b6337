import CRModel
import Glibc
import GuestWire
import Synchronization

/// The templates of this lab machine, one folder each, shared by every crlab that uses the same cache.
///
/// A template is built under a lock in a folder of its own and renamed when it is whole, so there is never half of one.
/// QEMU keeps the files that it has opened, so one can be removed while clones of it run.
final class TemplateStore: Sendable {
    /// Of all templates together, what they take on disk: some forty guests.
    static let limitBytes: Int64 = 6 << 30
    /// Must be free beside the guest's memory before a template is built.
    static let spareBytes: UInt64 = 1 << 30
    /// So many clones that did not start, or templates that could not be made, and a host is booted cold for good.
    static let patience = 2

    let folder: String
    private struct Memory {
        /// Templates whose content this process has checked.
        var checked: Set<String> = []
        var failures: [String: Int] = [:]
    }
    private let memory = Mutex(Memory())

    init(folder: String) { self.folder = folder }

    /// Where a key's template is.
    func place(_ key: String) -> Template.Place { Template.Place(folder: folder + "/" + Self.name(of: key)) }

    private static func name(of key: String) -> String { String(SHA256.hex(key).prefix(24)) }

    /// Why this key is not worth another try; `nil` when it is.
    func givenUp(_ key: String) -> Bool { memory.withLock { $0.failures[key] ?? 0 } >= Self.patience }

    /// Notes that a key's template did not do.
    func noteFailure(_ key: String) { memory.withLock { $0.failures[key, default: 0] += 1 } }

    /// A whole template whose files are what they were; its content is read once in each process.
    ///
    /// - Returns: `nil` when there is none. A damaged one is removed.
    /// - Precondition: On a thread of its own.
    func find(_ key: String) -> Template? {
        let place = place(key)
        let text = Descriptor.text(of: place.manifest)
        if text.isEmpty { return nil }
        guard let template = try? JSONCoder.decode(Template.self, from: text), template.format == Template.format,
            template.key == key, template.memory.stillMarks(place.memory), template.state.stillMarks(place.state)
        else {
            remove(key)
            return nil
        }
        if !memory.withLock({ $0.checked.contains(key) }) {
            guard FileMark(checking: place.memory) == template.memory,
                FileMark(checking: place.state) == template.state
            else {
                remove(key)
                return nil
            }
            memory.withLock { _ = $0.checked.insert(key) }
        }
        // The newest use decides which ones are kept.
        _ = utimensat(AT_FDCWD, place.manifest, nil, 0)
        return template
    }

    /// Throws a template away.
    func remove(_ key: String) {
        memory.withLock { _ = $0.checked.remove(key) }
        Self.removeFolder(place(key).folder)
    }

    /// Waits until no other process and no other task builds this template.
    ///
    /// - Returns: A descriptor that holds the lock until it is closed; -1 when the folder cannot be used.
    /// - Precondition: On a thread of its own.
    func lock(_ key: String) -> Int32 {
        Self.makeFolders(folder)
        guard let fd = try? Descriptor.open(place(key).folder + ".lock", O_RDWR | O_CREAT) else { return -1 }
        while flock(fd, LOCK_EX) != 0 {
            if errno != EINTR {
                Descriptor.close(fd)
                return -1
            }
        }
        return fd
    }

    /// An empty folder to build in, and the memory file in it.
    ///
    /// - Precondition: The key is locked.
    func prepare(_ key: String, memoryMebibytes: Int) throws(VMError) -> Template.Place {
        let part = Template.Place(folder: place(key).folder + ".part")
        Self.removeFolder(part.folder)
        var space = statvfs()
        if statvfs(folder, &space) == 0 {
            let free = UInt64(space.f_bavail) * UInt64(space.f_frsize)
            // A guest whose memory file cannot grow is killed by the kernel at a random moment.
            guard free >= UInt64(memoryMebibytes) << 20 + Self.spareBytes else {
                throw .fileFailed(path: folder, action: "make a template", why: "only \(free >> 20) MiB are free")
            }
        }
        guard mkdir(part.folder, 0o700) == 0 else {
            throw .fileFailed(path: part.folder, action: "make a template", why: Descriptor.errorText())
        }
        return part
    }

    /// Gives up what was being built.
    ///
    /// - Precondition: The key is locked.
    func discard(_ part: Template.Place) { Self.removeFolder(part.folder) }

    /// Makes a built template the key's.
    ///
    /// - Precondition: The key is locked; no guest writes to the files any more.
    func publish(_ key: String, _ part: Template.Place, ready: Ready, bootMilliseconds: Int) throws(VMError) -> Template
    {
        guard let memory = FileMark(checking: part.memory), let state = FileMark(checking: part.state) else {
            throw .fileFailed(path: part.folder, action: "read back a template", why: Descriptor.errorText())
        }
        let template = Template(
            format: Template.format, key: key, ready: ready, bootMilliseconds: bootMilliseconds, memory: memory,
            state: state)
        guard let text = try? JSONCoder.text(of: template, pretty: true) else {
            throw .fileFailed(path: part.manifest, action: "write a template", why: "it has no text")
        }
        let fd = try Descriptor.open(part.manifest, O_WRONLY | O_CREAT | O_TRUNC)
        let written = Descriptor.write(fd, Array(text.utf8)[...], socket: false)
        Descriptor.close(fd)
        guard written == text.utf8.count else {
            throw .fileFailed(path: part.manifest, action: "write a template", why: Descriptor.errorText())
        }
        Self.removeFolder(place(key).folder)
        guard rename(part.folder, place(key).folder) == 0 else {
            throw .fileFailed(path: part.folder, action: "keep a template", why: Descriptor.errorText())
        }
        self.memory.withLock { _ = $0.checked.insert(key) }
        prune(keeping: key)
        return template
    }

    /// Removes the templates that were not used for longest, until the rest is within the limit, and what a killed
    /// process left half built.
    private func prune(keeping key: String) {
        let kept = Self.name(of: key)
        var found: [(name: String, used: Int64, bytes: Int64)] = []
        for entry in Descriptor.names(in: folder) where !entry.hasPrefix(kept) && !entry.hasSuffix(".lock") {
            let path = folder + "/" + entry
            if entry.hasSuffix(".part") {
                // Whoever builds it holds its lock.
                guard let fd = try? Descriptor.open(String(path.dropLast(5)) + ".lock", O_RDWR | O_CREAT) else {
                    continue
                }
                if flock(fd, LOCK_EX | LOCK_NB) == 0 { Self.removeFolder(path) }
                Descriptor.close(fd)
                continue
            }
            found.append((entry, FileMark(path + "/manifest.json")?.modifiedSeconds ?? 0, Self.diskBytes(path)))
        }
        var total = found.reduce(Self.diskBytes(place(key).folder)) { $0 + $1.bytes }
        for old in found.sorted(by: { ($0.used, $0.name) < ($1.used, $1.name) }) where total > Self.limitBytes {
            Self.removeFolder(folder + "/" + old.name)
            total -= old.bytes
        }
    }

    /// What the files of a folder take, holes not counted.
    private static func diskBytes(_ folder: String) -> Int64 {
        Descriptor.names(in: folder).reduce(0) { sum, name in
            var status = stat()
            return stat(folder + "/" + name, &status) == 0 ? sum + Int64(status.st_blocks) * 512 : sum
        }
    }

    private static func removeFolder(_ folder: String) {
        // The manifest first: what is left of a removal that is killed must not look like a template.
        for name in ["manifest.json"] + Descriptor.names(in: folder) { unlink(folder + "/" + name) }
        rmdir(folder)
    }

    private static func makeFolders(_ folder: String) {
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/" + part
            mkdir(path, 0o755)
        }
    }
}
