extension ImageContents {
    /// Checks that the records refer to each other in a way that a restore can follow without looking twice.
    public func validate() throws(ImageError) {
        try numbersAreUnique()
        try processesFit()
        try tasksFit()
        try taskStatesFit()
        try ringsFit()
        for space in addressSpaces { try fits(space) }
        try filesFit()
        try namespacesFit()
        try terminalsFit()
        try systemVFits()
        try socketsFit()
        try handlesFit()
        try inetSocketsFit()
    }

    private func unique(_ numbers: [UInt32], _ seen: inout Set<UInt32>, _ record: String) throws(ImageError) {
        for number in numbers {
            guard number != 0, seen.insert(number).inserted else {
                throw .inconsistent(record: "\(record) \(number)", why: "its number is 0 or used twice")
            }
        }
    }

    private func numbersAreUnique() throws(ImageError) {
        // One number space for all objects: a page run names its target by number alone.
        var seen: Set<UInt32> = []
        try unique(addressSpaces.map(\.number), &seen, "address space")
        try unique(inodes.map(\.number), &seen, "inode")
        try unique(openFiles.map(\.number), &seen, "open file")
        try unique(pipes.map(\.number), &seen, "pipe")
        try unique(fileTables.map(\.number), &seen, "file table")
        try unique(fileSystems.map(\.number), &seen, "file system")
        try unique(signalTables.map(\.number), &seen, "signal table")
        try unique(namespaces.map(\.number), &seen, "namespace")
        try unique(cgroups.map(\.number), &seen, "cgroup")
        try unique(fileEntries.map(\.number).filter { $0 != 0 }, &seen, "file content")
        try unique(seccompFilters.map(\.number), &seen, "seccomp filter")
        try unique(terminals.map(\.number), &seen, "terminal")
        try unique(sockets.map(\.number), &seen, "socket")
    }

    private func processesFit() throws(ImageError) {
        let spaces = Set(addressSpaces.map(\.number))
        let tables = Set(fileTables.map(\.number))
        let systems = Set(fileSystems.map(\.number))
        let signals = Set(signalTables.map(\.number))
        var known: Set<Int32> = []
        for process in processes {
            let name = "process \(process.pid)"
            func fail(_ why: String) -> ImageError { .inconsistent(record: name, why: why) }
            guard process.pid > 0, known.insert(process.pid).inserted else { throw fail("its PID is used twice") }
            if process.pid == header.root {
                guard process.parent == 0, !process.isZombie else { throw fail("the root has a parent or is a zombie") }
            } else {
                guard process.parent != process.pid, known.contains(process.parent) else {
                    throw fail("its parent \(process.parent) does not come before it")
                }
            }
            for siginfo in process.pendingSignals where siginfo.count != 128 {
                throw fail("a pending siginfo has \(siginfo.count) bytes")
            }
            if process.isZombie { continue }
            guard spaces.contains(process.addressSpace), tables.contains(process.fileTable),
                systems.contains(process.fileSystem), signals.contains(process.signalTable)
            else { throw fail("it refers to an object that the image does not hold") }
            guard process.limits.count <= 16, process.intervalTimers.count <= 3 else {
                throw fail("it has more limits or interval timers than the kernel")
            }
        }
        guard known.contains(header.root) else {
            throw .inconsistent(record: "header", why: "the root process \(header.root) is missing")
        }
        // A parent that is a zombie cannot have live children: the kernel gave them away when it ended.
        let zombies = Set(processes.filter(\.isZombie).map(\.pid))
        for process in processes where zombies.contains(process.parent) {
            throw .inconsistent(record: "process \(process.pid)", why: "its parent \(process.parent) has ended")
        }
        for process in processes where !(0...64).contains(process.exitSignal) {
            throw .inconsistent(record: "process \(process.pid)", why: "its exit signal is none")
        }
        for table in signalTables where table.actions.count > 64 {
            throw .inconsistent(record: "signal table \(table.number)", why: "it has more than 64 signals")
        }
    }

    private func tasksFit() throws(ImageError) {
        var leaders: Set<Int32> = []
        var seen: Set<Int32> = []
        let live = Set(processes.filter { !$0.isZombie }.map(\.pid))
        let leaderless = Set(processes.filter { !$0.isZombie && $0.leaderHasEnded }.map(\.pid))
        var kept: Set<Int32> = []
        for task in tasks {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "task \(task.tid)", why: why) }
            guard task.tid > 0, seen.insert(task.tid).inserted else { throw fail("its TID is used twice") }
            guard live.contains(task.process) else { throw fail("its process \(task.process) is not there") }
            if task.tid == task.process {
                leaders.insert(task.tid)
            } else {
                guard leaders.contains(task.process) else { throw fail("it comes before its process's first task") }
                guard !live.contains(task.tid) else { throw fail("its TID is also a process's") }
                kept.insert(task.process)
            }
            if leaderless.contains(task.tid) {
                guard task.registers.isEmpty, task.xstate.isEmpty else { throw fail("it has ended and has registers") }
            } else {
                guard task.registers.count == 27 else { throw fail("it has \(task.registers.count) registers") }
                guard task.xstate.count >= 512 else {
                    throw fail("its extended state has \(task.xstate.count) bytes")
                }
            }
            guard task.comm.count <= 15 else { throw fail("its name is longer than 15 bytes") }
            guard task.credentials.users.count == 4, task.credentials.groups.count == 4 else {
                throw fail("it has not four user and four group IDs")
            }
            for siginfo in task.pendingSignals where siginfo.count != 128 {
                throw fail("a pending siginfo has \(siginfo.count) bytes")
            }
        }
        for pid in live where !leaders.contains(pid) {
            throw .inconsistent(record: "process \(pid)", why: "its first task is missing")
        }
        for pid in leaderless where !kept.contains(pid) {
            throw .inconsistent(record: "process \(pid)", why: "its first task has ended, and there is no other")
        }
        for task in tasks where task.parentDeathSignal != 0 {
            guard let parent = processes.first(where: { $0.pid == task.process })?.parent, leaderless.contains(parent)
            else { continue }
            throw .inconsistent(
                record: "task \(task.tid)", why: "the end of its parent's first task would signal it")
        }
    }

    private func fits(_ space: AddressSpaceRecord) throws(ImageError) {
        let inodes = Set(inodes.map(\.number))
        let page = UInt64(ImageFormat.pageBytes)
        // One page below the end of user space in five-level paging.
        let limit: UInt64 = (1 << 56) - page
        var last: UInt64 = 0
        guard space.executable == 0 || inodes.contains(space.executable) else {
            throw .inconsistent(record: "address space \(space.number)", why: "its program is not in the image")
        }
        guard space.guards.count % 2 == 0, zip(space.guards, space.guards.dropFirst()).allSatisfy({ $0 < $1 }),
            space.guards.allSatisfy({ $0 % page == 0 && $0 <= limit }), space.futureLock & ~6 == 0
        else {
            throw .inconsistent(record: "address space \(space.number)", why: "its guard pages are no ranges of pages")
        }
        guard space.inherited.count % 2 == 0,
            zip(space.inherited, space.inherited.dropFirst()).allSatisfy({ $0 < $1 }),
            space.inherited.allSatisfy({ $0 % page == 0 && $0 <= limit })
        else {
            throw .inconsistent(
                record: "address space \(space.number)", why: "its inherited memory is no ranges of pages")
        }
        for vma in space.vmas {
            func fail(_ why: String) -> ImageError {
                .inconsistent(
                    record: "address space \(space.number), VMA 0x\(String(vma.start, radix: 16))", why: why)
            }
            guard vma.kind != .vdso || vma.end &- vma.start <= 1 << 20 else { throw fail("it is too large for a vDSO") }
            guard vma.start < vma.end, vma.end <= limit, vma.start % page == 0, vma.end % page == 0 else {
                throw fail("its range is no range of pages of user space")
            }
            guard vma.start >= last else { throw fail("it overlaps the one before") }
            last = vma.end
            guard vma.protection <= 7, vma.fileOffset % page == 0 else {
                throw fail("its protection or offset is invalid")
            }
            guard vma.hugePageShift == 0 || (16...34).contains(vma.hugePageShift) else {
                throw fail("no page has its size")
            }
            let needsInode = vma.kind == .privateFile || vma.kind == .sharedFile
            guard needsInode == (vma.inode != 0), !needsInode || inodes.contains(vma.inode) else {
                throw fail("it refers to an inode that the image does not hold")
            }
        }
    }

    private func filesFit() throws(ImageError) {
        let inodeNumbers = Set(inodes.map(\.number))
        let pipeNumbers = Set(pipes.map(\.number))
        let files = Set(openFiles.map(\.number))
        for inode in inodes where inode.hugePageShift != 0 {
            let isShared = inode.kind == .memfd || inode.kind == .sharedMemory || inode.kind == .systemVSegment
            guard isShared, (16...34).contains(inode.hugePageShift),
                inode.sizeBytes % (UInt64(1) << UInt64(inode.hugePageShift)) == 0
            else { throw .inconsistent(record: "inode \(inode.number)", why: "its size is no number of huge pages") }
        }
        for inode in inodes {
            let nameless: [InodeKind] = [.memfd, .sharedMemory, .systemVSegment, .packetRing]
            guard
                nameless.contains(inode.kind) || inode.path.utf8.first == UInt8(ascii: "/")
            else {
                throw .inconsistent(record: "inode \(inode.number)", why: "its path is not absolute")
            }
            guard inode.queue.count == (inode.kind == .messageQueue ? 1 : 0) else {
                throw .inconsistent(record: "inode \(inode.number)", why: "it is half a message queue")
            }
        }
        // NR_OPEN is at most this on every kernel.
        let descriptors: Range<Int32> = 0..<(1 << 30)
        for file in openFiles {
            func fail(_ why: String) -> ImageError { .inconsistent(record: "open file \(file.number)", why: why) }
            let needsInode = file.kind == .inode || file.kind == .fifo
            let needsPipe = file.kind == .pipe || file.kind == .fifo
            guard needsInode == (file.inode != 0), !needsInode || inodeNumbers.contains(file.inode) else {
                throw fail("it refers to an inode that the image does not hold")
            }
            guard needsPipe == (file.pipe != 0), !needsPipe || pipeNumbers.contains(file.pipe) else {
                throw fail("it refers to a pipe that the image does not hold")
            }
            for target in file.epollTargets where !files.contains(target.openFile) {
                throw fail("it watches a file that the image does not hold")
            }
            for target in file.epollTargets where !descriptors.contains(target.fd) {
                throw fail("it watches no descriptor")
            }
            guard file.ownerID > -(1 << 30), file.ownerID < 1 << 30 else { throw fail("its owner is none") }
        }
        for pipe in pipes where !pipe.packets.isEmpty {
            var total: UInt64 = 0
            for packet in pipe.packets {
                guard packet <= UInt64(pipe.content.count) - total else {
                    throw .inconsistent(record: "pipe \(pipe.number)", why: "its packets are longer than its content")
                }
                total += packet
            }
        }
        for table in fileTables {
            var seen: Set<Int32> = []
            for entry in table.entries {
                guard descriptors.contains(entry.fd), seen.insert(entry.fd).inserted, files.contains(entry.openFile)
                else {
                    throw .inconsistent(
                        record: "file table \(table.number), fd \(entry.fd)",
                        why: "it is there twice, or its open file is not")
                }
            }
        }
        for system in fileSystems {
            for path in [system.workingDirectory, system.root] where path.utf8.first != UInt8(ascii: "/") {
                throw .inconsistent(record: "file system \(system.number)", why: "'\(path)' is not absolute")
            }
        }
    }
}
