internal import CRImage
internal import LinuxKit

/// Address spaces and what they map.
extension DumpCollector {
    private static let carriedFlags: [(String, VMAValue.Flags)] = [
        ("gd", .growsDown), ("lo", .locked), ("nr", .noReserve), ("dc", .dontFork), ("dd", .dontDump),
        ("wf", .wipeOnFork), ("mg", .mergeable), ("hg", .hugePages), ("nh", .noHugePages), ("sr", .sequentialReads),
        ("rr", .randomReads), ("lf", .lockedOnFault),
    ]

    /// Flags of smaps that mean something this version cannot give back.
    private static let refusedFlags: [(String, String)] = [
        ("uw", "userfaultfd watches it"), ("um", "userfaultfd watches it"), ("ui", "userfaultfd watches it"),
        ("ss", "it is a shadow stack"), ("io", "it maps a device"), ("pf", "it maps a device"),
        ("sl", "it is sealed (mseal)"),
    ]

    func collectMemory(
        _ process: FrozenTree.Process, number: UInt32, _ mappings: [Mapping]
    ) throws(EngineError) -> AddressSpaceRecord {
        let pid = process.subject
        var record = AddressSpaceRecord()
        record.number = number
        let stat = try EngineError.wrap("look at the process", task: pid) { () throws(LinuxError) in
            process.leaderHasEnded ? try Procfs.stat(pid) : process.stat
        }
        record.startCode = stat.startCode
        record.endCode = stat.endCode
        record.startData = stat.startData
        record.endData = stat.endData
        record.startBreak = stat.startHeap
        record.startStack = stat.startStack
        record.argumentsStart = stat.argumentsStart
        record.argumentsEnd = stat.argumentsEnd
        record.environmentStart = stat.environmentStart
        record.environmentEnd = stat.environmentEnd
        let auxiliary = try EngineError.wrap("read the auxiliary vector", task: pid) { () throws(LinuxError) in
            try Files.contents(of: "/proc/\(pid)/auxv")
        }
        record.auxiliaryVector = stride(from: 0, to: auxiliary.count / 16 * 16, by: 8).map { auxiliary.word(at: $0) }
        let executable = try EngineError.wrap("read the program's path", task: pid) { () throws(LinuxError) in
            (
                try Files.link("/proc/\(pid)/exe"), try Files.status(of: "/proc/\(pid)/exe")
            )
        }
        record.executable = try inode(
            process: pid, link: executable.0, executable.1, openAt: "/proc/\(pid)/exe", object: "program",
            written: false, probesBuildID: true)

        // The same file is mapped in several pieces; ask for its status once.
        var statuses: [InodeKey: FileStatus] = [:]
        for mapping in mappings where mapping.name != "[vsyscall]" && !Self.isAIORing(mapping) {
            record.vmas.append(try vma(mapping, of: pid, &statuses))
        }
        record.guards = try guards(of: pid, mappings)
        if let text = try? Files.text(of: "/proc/\(pid)/coredump_filter"),
            let filter = UInt32(text.filter(\.isHexDigit), radix: 16)
        {
            record.coreDumpFilter = filter
        }
        record.hasHugePages = mappings.contains { $0.hasHugePages }
        var space = Space(number: number, process: pid, vmas: record.vmas)
        for mapping in mappings where !mapping.hasAnonymousPages && !mapping.flags.contains("ht") {
            space.untouched.insert(mapping.start)
        }
        spaces.append(space)
        return record
    }

    private func vma(
        _ mapping: Mapping, of pid: Int32, _ statuses: inout [InodeKey: FileStatus]
    ) throws(EngineError) -> VMAValue {
        var value = VMAValue()
        value.start = mapping.start
        value.end = mapping.end
        value.protection = mapping.protection.rawValue
        let range = "VMA \(String(mapping.start, radix: 16))-\(String(mapping.end, radix: 16)) \(mapping.name)"
        if mapping.name == "[vdso]" {
            value.kind = .vdso
            return value
        }
        if mapping.name.hasPrefix("[vvar") {
            value.kind = .vvar
            return value
        }
        // Execute-only memory gets its key from the kernel by itself.
        if mapping.protectionKey != 0, mapping.protection != .execute {
            throw refuse(pid, range, "it has a memory protection key")
        }
        for (flag, why) in Self.refusedFlags where mapping.flags.contains(flag) { throw refuse(pid, range, why) }
        for (flag, option) in Self.carriedFlags where mapping.flags.contains(flag) { value.flags.insert(option) }
        // Older kernels, 5.10 among them, have no name for lock on fault, and for nothing else that goes with a lock.
        if value.flags.contains(.locked), mapping.flags.contains("??") { value.flags.insert(.lockedOnFault) }

        if mapping.flags.contains("ht") {
            value.hugePageShift = UInt32(mapping.kernelPageBytes.trailingZeroBitCount)
            if !mapping.isShared, mapping.path == "/anon_hugepage" {
                value.kind = .anonymous
                return value
            }
        }
        if mapping.flags.contains("dp") {
            // The kernel sets these three by itself.
            value.flags.subtract([.wipeOnFork, .dontDump, .noReserve])
            value.flags.insert(.droppable)
        }

        if mapping.inode == 0 && !mapping.isShared {
            let name = mapping.name
            if name.hasPrefix("[anon:") {
                value.name = String(name.dropFirst(6).dropLast())
            } else if !(name.isEmpty || name == "[heap]" || name == "[stack]" || name.hasPrefix("[stack:")) {
                throw refuse(pid, range, "this kind of mapping is not known")
            }
            value.kind = .anonymous
            return value
        }
        if mapping.path == "/secretmem" { throw refuse(pid, range, "secret memory is shown to nobody but its owner") }
        if mapping.name.hasPrefix("anon_inode:") || mapping.name.hasPrefix("/anon_inode:")
            || mapping.name.hasPrefix("[uprobes]")
        {
            throw refuse(pid, range, "this kind of mapping is not known")
        }

        let key = InodeKey(identity: FileIdentity(device: mapping.device, inode: mapping.inode), path: mapping.name)
        let link = "/proc/\(pid)/map_files/\(String(mapping.start, radix: 16))-\(String(mapping.end, radix: 16))"
        let status: FileStatus
        if let known = statuses[key] {
            status = known
        } else {
            status = try EngineError.wrap("look at the file of \(range)", task: pid) { () throws(LinuxError) in
                try Files.status(of: link)
            }
            statuses[key] = status
        }
        if status.kind == .character, mapping.path == "/dev/zero", !mapping.isShared {
            value.kind = .anonymous  // mmap(2) of /dev/zero is how anonymous memory was made before MAP_ANONYMOUS.
            return value
        }
        if status.kind == .socket, mapping.name.hasPrefix("socket:") {
            value.kind = mapping.isShared ? .sharedFile : .privateFile
            value.fileOffset = mapping.fileOffset
            if mapping.flags.contains("mw") { value.flags.insert(.mayWrite) }
            value.inode = packetRing(mapping.inode, name: mapping.name, of: pid, range)
            return value
        }
        guard status.kind == .regular else { throw refuse(pid, range, "it maps something that is no regular file") }
        value.kind = mapping.isShared ? .sharedFile : .privateFile
        if mapping.name.hasPrefix("[anon_shmem:") { value.name = String(mapping.name.dropFirst(12).dropLast()) }
        value.fileOffset = mapping.fileOffset
        let mayWrite = mapping.isShared && mapping.flags.contains("mw")
        if mayWrite { value.flags.insert(.mayWrite) }
        value.inode = try inode(
            process: pid, link: mapping.name, status, openAt: link, object: range,
            written: mayWrite && mapping.protection.contains(.write),
            probesBuildID: mapping.protection.contains(.execute))
        if mapping.isDeleted, mapping.path.hasPrefix("/SYSV"), mapping.path.utf8.count == 13 {
            try segment(mapping.inode, inode: value.inode, name: mapping.name, of: pid, range)
        }
        return value
    }

    // MARK: Inodes

    /// The number of an inode, recorded at its first use.
    ///
    /// - Parameters:
    ///   - link: The name that the kernel gives, ` (deleted)` included.
    ///   - openAt: A path under `/proc` that opens the very inode, whatever its name means by now.
    ///   - object: What refers to it, for a refusal.
    func inode(
        process: Int32, link: String, _ status: FileStatus, openAt: String, object: String, written: Bool,
        probesBuildID: Bool = false
    ) throws(EngineError) -> UInt32 {
        try checkText(link, process)
        var record = InodeRecord()
        let isDeleted = isDeleted(link, status, process: process)
        let path = isDeleted ? String(link.dropLast(10)) : link
        record.path = path
        switch status.kind {
        case .regular where path.hasPrefix("/memfd:"):
            record.kind = .memfd
            record.path = String(path.dropFirst(7))
        case .regular
        where isDeleted && (path == "/dev/zero" || path == "/anon_hugepage") || path.hasPrefix("[anon_shmem:"):
            record.kind = .sharedMemory
            record.path = ""
        case .regular where isDeleted && path.hasPrefix("/SYSV") && path.utf8.count == 13:
            record.kind = .systemVSegment
            record.path = ""
        case .regular where status.links == 0: record.kind = .deleted
        case .regular: record.kind = .regular
        case .directory: record.kind = .directory
        case .fifo: record.kind = .fifo
        case .character, .block: record.kind = .device
        case .symbolicLink: record.kind = .symbolicLink
        case .socket: record.kind = .socketName
        case .none: throw refuse(process, "\(object): \(link)", "this kind of file is not known")
        }
        record.isRemoved = isDeleted && !record.kind.hasContent
        let key = InodeKey(identity: status.identity, path: record.kind.hasContent ? "" : record.path)
        if let number = inodes[key] {
            if let index = inodePlaces[number] {
                if written { contents.inodes[index].isWritten = true }
                // The first mapping of a library is not the executable one.
                if probesBuildID, contents.inodes[index].kind == .regular, contents.inodes[index].buildID.isEmpty {
                    contents.inodes[index].buildID = buildID(openAt)
                }
            }
            return number
        }
        if record.isRemoved {
            if status.links > 0, record.kind != .directory {
                (record.otherName, record.isOtherNameOurs) = try otherName(
                    of: status, removedFrom: path, openAt: openAt, process: process, object: object)
            }
        } else if !record.kind.hasContent && record.kind != .device {
            // Another node of the same stateless device is as good, even where /dev was made anew.
            try checkName(path, is: status, of: process, object)
            if !rootShows(path, status, to: process) {
                guard record.kind == .regular || record.kind == .directory else {
                    throw refuse(
                        process, "\(object): \(path)",
                        "the mount namespace of the root process does not show this file there")
                }
                record.mountNamespace = nestedMounts(process)
            }
        } else if record.kind == .device, mountNumber(process) != 0,
            (try? Files.status(of: visible(path, from: process))) == nil
        {
            // In mounts that come with the image there will be no other.
            throw refuse(process, "\(object): \(path)", "its path cannot be reached")
        }
        if record.kind == .symbolicLink { record.target = try symbolicLink(openAt, process, object) }
        record.number = newNumber()
        record.sizeBytes = status.sizeBytes
        record.mode = status.mode
        record.uid = status.uid
        record.gid = status.gid
        record.modifiedNanoseconds = status.modifiedNanoseconds
        record.accessedNanoseconds = status.accessedNanoseconds
        record.device = status.specialDevice
        record.isWritten = written
        if record.kind == .regular, probesBuildID { record.buildID = buildID(openAt) }
        if record.kind.hasContent { try keepContent(&record, openAt: openAt, process, object) }
        inodes[key] = record.number
        inodePlaces[record.number] = contents.inodes.count
        contents.inodes.append(record)
        return record.number
    }

    private func symbolicLink(_ openAt: String, _ process: Int32, _ object: String) throws(EngineError) -> String {
        let target = try EngineError.wrap("read the link of \(object)", task: process) { () throws(LinuxError) in
            let fd = try Files.open(openAt, .pathOnly)
            defer { Files.close(fd) }
            return try Files.target(of: fd)
        }
        try checkText(target, process)
        return target
    }

    /// Another file may stand at the path by now; restoring would then take the wrong one.
    private func checkName(
        _ path: String, is status: FileStatus, of process: Int32, _ object: String
    ) throws(EngineError) {
        guard path.hasPrefix("/") else { throw refuse(process, "\(object): \(path)", "it has no path") }
        let components = path.split(separator: "/", maxSplits: 2)
        if components.count >= 2, components[0] == "proc", Int32(components[1]) != nil {
            throw refuse(process, "\(object): \(path)", "files below a process's /proc folder are not carried")
        }
        do {
            let there = try Files.status(of: visible(path, from: process), follow: false)
            if there.identity == status.identity { return }
            throw refuse(process, "\(object): \(path)", "another file stands at its path now")
        } catch let error as LinuxError {
            throw refuse(
                process, "\(object): \(path)", "its path cannot be reached: \(error.errno.map { "\($0)" } ?? "?")")
        } catch let error as EngineError {
            throw error
        } catch {
            throw refuse(process, "\(object): \(path)", "its path cannot be reached")
        }
    }

    /// A path that leads the engine to what the process's mount namespace has at `path`.
    func visible(_ path: String, from process: Int32) -> String {
        let root = roots[process] ?? "/"
        if root == "/" { return "/proc/\(process)/root\(path)" }
        if path == root { return "/proc/\(process)/root" }
        if path.hasPrefix(root + "/") { return "/proc/\(process)/root\(path.dropFirst(root.utf8.count))" }
        return mountRoot(process).map { "/proc/self/fd/\($0)\(path)" } ?? path
    }

    /// A descriptor of the root of a process's mount namespace, which the process may not reach any more; `nil` where the
    /// engine sees the same.
    private func mountRoot(_ process: Int32) -> Int32? {
        let number = mountNumber(process)
        if number == 0 { return nil }
        if let known = mountRoots[number] { return known < 0 ? nil : known }
        mountRoots[number] = -1
        guard let visit = try? Namespaces.Visit(process, Namespaces.Flag.mount) else { return nil }
        defer { visit.end() }
        guard let fd = try? Files.open("/", [.pathOnly, .directory]) else { return nil }
        mountRoots[number] = fd
        return fd
    }

    private func buildID(_ path: String) -> [UInt8] {
        guard let fd = try? Files.open(path, .readOnly) else { return [] }
        defer { Files.close(fd) }
        // Linkers put the notes right behind the program headers.
        guard let start = try? Files.prefix(of: fd, count: 8192), let file = try? ELFFile(start),
            let text = file.buildID
        else { return [] }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let pair = String(rest.prefix(2)), rest.count >= 2, let byte = UInt8(pair, radix: 16) {
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    private func keepContent(
        _ record: inout InodeRecord, openAt: String, _ process: Int32, _ object: String
    ) throws(EngineError) {
        let fd = try EngineError.wrap("open the content of \(object)", task: process) { () throws(LinuxError) in
            try Files.open(openAt, .readOnly)
        }
        contentFiles.append(Content(inode: record.number, fd: fd, sizeBytes: record.sizeBytes))
        if record.kind == .deleted, (try? Files.isOnReadOnlyMount("/proc/self/fd/\(fd)")) == true {
            throw refuse(
                process, "\(object): \(record.path) (deleted)",
                "its mount is read-only, so that it could not be made again there: remount it for writing, or close it")
        }
        // A file of huge pages counts in huge pages.
        if record.kind != .deleted, let status = try? Files.status(of: fd), status.blockBytes > 65536 {
            record.hugePageShift = UInt32(status.blockBytes.trailingZeroBitCount)
        }
        if record.kind == .deleted || record.kind == .memfd {
            record.attributes = try EngineError.wrap("read the attributes of \(object)", task: process) {
                () throws(LinuxError) in
                try Files.attributes(of: fd).map { FileAttributeValue(name: $0.name, value: $0.value) }
            }
        }
        if record.kind == .memfd {
            let seals = Kernel.attempt(.fcntl, Kernel.number(fd), 1034, 0)  // F_GET_SEALS
            if Kernel.errno(of: seals) == nil { record.seals = UInt32(truncatingIfNeeded: seals) }
        }
    }
}
