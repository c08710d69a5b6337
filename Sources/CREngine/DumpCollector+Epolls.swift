internal import CRImage
internal import LinuxKit

/// What epoll instances watch.
extension DumpCollector {
    /// Finds which open file each epoll instance watches, now that all are known.
    func resolveEpolls() throws(EngineError) {
        if epolls.isEmpty { return }
        // For `EpollProbe`.
        _ = RestoreCalls.raiseFileLimit(to: 0)
        let index = OpenFileIndex(self)
        for epoll in epolls { try resolve(epoll, index) }
    }

    /// Open files by where they are.
    private struct OpenFileIndex {
        /// By task (as the image numbers it) and descriptor.
        var own: [Int32: [Int32: UInt32]] = [:]
        var byNumber: [UInt32: KnownFile] = [:]
        var byInode: [UInt64: [KnownFile]] = [:]
        var all: [KnownFile] = []

        init(_ collector: DumpCollector) {
            let contents = collector.contents
            var tables: [UInt32: [Int32: UInt32]] = [:]
            for table in contents.fileTables {
                tables[table.number] = Dictionary(
                    table.entries.map { ($0.fd, $0.openFile) }, uniquingKeysWith: { first, _ in first })
            }
            for process in contents.processes { own[process.pid] = tables[process.fileTable] ?? [:] }
            for task in contents.tasks where task.fileTable != 0 { own[task.tid] = tables[task.fileTable] ?? [:] }
            all = collector.openFiles.values.flatMap(\.files)
            for known in all {
                byNumber[known.number] = known
                byInode[known.inode, default: []].append(known)
            }
        }
    }

    private func resolve(
        _ epoll: (file: Int, process: Int32, fd: Int32, targets: [DescriptorInfo.EpollTarget]), _ index: OpenFileIndex
    ) throws(EngineError) {
        var seen: [Int32: UInt32] = [:]
        var uses: [Int32: Int] = [:]
        for target in epoll.targets { uses[target.fd, default: 0] += 1 }
        let probe = epoll.targets.count > 64 ? EpollProbe(epoll.process, epoll.fd) : nil
        defer { probe?.close() }
        var values: [EpollTargetValue] = []
        values.reserveCapacity(epoll.targets.count)
        for target in epoll.targets {
            let occurrence = seen[target.fd] ?? 0
            seen[target.fd] = occurrence + 1
            func matches(_ candidate: KnownFile) throws(EngineError) -> Bool {
                try EngineError.wrap("find what fd \(epoll.fd) watches", task: epoll.process) {
                    () throws(LinuxError) in
                    try Kcmp.watches(
                        candidate.process, candidate.fd, epollOf: epoll.process, epoll.fd, target: target.fd,
                        occurrence: occurrence)
                }
            }
            // The descriptor of that number in the epoll's own process is nearly always the one.
            var found: UInt32?
            if let number = index.own[inner(epoll.process)]?[target.fd], let known = index.byNumber[number] {
                if uses[target.fd] == 1, let answer = probe?.isWatched(target.fd) {
                    if answer { found = number }
                } else if try matches(known) {
                    found = number
                }
            }
            if found == nil {
                for candidate in target.inode.map({ index.byInode[$0] ?? [] }) ?? index.all
                where try matches(candidate) {
                    found = candidate.number
                    break
                }
            }
            guard let found else {
                throw refuse(
                    epoll.process, "fd \(epoll.fd): epoll",
                    "it watches a file (added as fd \(target.fd)) that no process of the tree has open any more")
            }
            var value = EpollTargetValue()
            value.fd = target.fd
            value.events = target.events
            value.data = target.data
            value.openFile = found
            values.append(value)
        }
        contents.openFiles[epoll.file].epollTargets = values
    }
}

/// Asks a large epoll instance by its own search whether it watches a descriptor; kcmp(2) goes through all of it each time.
struct EpollProbe {
    private let process: Int32
    private let epoll: Int32

    init?(_ process: Int32, _ fd: Int32) {
        guard let pidfd = try? Pidfd.open(process) else { return nil }
        guard let copy = try? Pidfd.descriptor(pidfd, fd) else {
            Files.close(pidfd)
            return nil
        }
        self.process = pidfd
        epoll = copy
    }

    /// How a process's epoll instance polls network devices.
    static func pollParameters(_ process: Int32, _ fd: Int32) -> UInt64 {
        guard let probe = EpollProbe(process, fd) else { return 0 }
        defer { probe.close() }
        return Files.pollParameters(of: probe.epoll)
    }

    func close() {
        Files.close(epoll)
        Files.close(process)
    }

    /// Whether the process's file under a number is the one that is watched under it.
    ///
    /// - Returns: `nil` when the engine cannot have the file under the same number.
    func isWatched(_ fd: Int32) -> Bool? {
        guard Files.isFree(fd), let copy = try? Pidfd.descriptor(process, fd) else { return nil }
        if copy != fd {
            let moved = Kernel.attempt(.dup3, Kernel.number(copy), Kernel.number(fd), 0o2000000)
            Files.close(copy)
            if Kernel.errno(of: moved) != nil { return nil }
        }
        defer { Files.close(fd) }
        return Files.isWatched(fd, by: epoll)
    }
}
