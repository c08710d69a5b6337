internal import CRImage
internal import LinuxKit

/// Descriptor tables and open files.
extension DumpCollector {
    /// Character devices that are the same everywhere and keep no state: null, zero, full, random, urandom.
    private static let statelessDevices: Set<UInt64> = [3, 5, 7, 8, 9]
    /// File systems with files that take a trigger: proc and cgroup2.
    private static let pressureFiles: Set<UInt64> = [0x9fa0, 0x6367_7270]

    /// - Parameter pid: Any task that has the table.
    func collectDescriptors(of pid: Int32, number: UInt32) throws(EngineError) {
        var table = FileTableRecord()
        table.number = number
        let descriptors = try EngineError.wrap("list the descriptors", task: pid) { () throws(LinuxError) in
            try Procfs.descriptors(of: pid)
        }
        let pidfd = try EngineError.wrap("open a pidfd", task: pid) { () throws(LinuxError) in try Pidfd.open(pid) }
        defer { Files.close(pidfd) }
        for fd in descriptors {
            let (link, info) = try EngineError.wrap("look at fd \(fd)", task: pid) { () throws(LinuxError) in
                (try Procfs.descriptorLink(pid, fd), try Procfs.descriptorInfo(pid, fd))
            }
            let file = try openFile(process: pid, pidfd: pidfd, fd: fd, link: link, info: info)
            try collectLocks(
                info, process: pid, table: number, fd: fd, openFile: file, object: "fd \(fd): \(link)")
            table.entries.append(DescriptorValue(fd: fd, openFile: file, closeOnExec: info.flags & 0o2000000 != 0))
        }
        contents.fileTables.append(table)
    }

    /// The number of an open file, recorded at its first use.
    func openFile(
        process: Int32, pidfd: Int32, fd: Int32, link: String, info: DescriptorInfo
    ) throws(EngineError) -> UInt32 {
        let object = "fd \(fd): \(link)"
        // All eventfds have one name; newer kernels give each a number.
        let key = info.eventfdID.map { "\(link) \($0)" } ?? link
        let box = openFiles[key] ?? KnownFiles()
        var low = 0
        var high = box.files.count
        while low < high {
            let middle = (low + high) / 2
            let other = box.files[middle]
            let order = try EngineError.wrap("compare fd \(fd)", task: process) { () throws(LinuxError) in
                try Kcmp.order(.file, process, fd, other.process, other.fd)
            }
            if order == 0 { return other.number }
            if order == 1 { high = middle } else { low = middle + 1 }
        }
        let path = "/proc/\(process)/fd/\(fd)"
        let status = try EngineError.wrap("look at \(object)", task: process) { () throws(LinuxError) in
            try Files.status(of: path)
        }
        var record = OpenFileRecord()
        record.number = newNumber()
        record.flags = info.flags & ~0o2000000
        record.offset = info.position
        if let name = declaredName(link) {
            record.kind = .external
            record.externalName = name
        } else if status.kind == .socket, link.hasPrefix("socket:"), info.flags & 0o10000000 == 0 {
            let copy = try EngineError.wrap("fetch \(object)", task: process) { () throws(LinuxError) in
                try Pidfd.descriptor(pidfd, fd)
            }
            record.kind = .socket
            record.socket = try socket(status, process: process, fd: fd, copy: copy, object: object)
        } else if status.kind == .character, Self.isTerminal(status.specialDevice), info.flags & 0o10000000 == 0 {
            let copy = try EngineError.wrap("fetch \(object)", task: process) { () throws(LinuxError) in
                try Pidfd.descriptor(pidfd, fd)
            }
            try terminal(&record, process: process, link: link, status: status, copy: copy, object: object)
        } else {
            try classify(&record, process: process, fd: fd, link: link, path: path, status: status, info: info)
        }
        if record.kind == .inode, let inode = contents.inodes.last(where: { $0.number == record.inode }),
            !inode.kind.hasContent, !inode.isRemoved, inode.kind != .messageQueue
        {
            record.mountNamespace = nestedMounts(holding: info.mountID, process)
        }
        try owner(&record, process: process, pidfd: pidfd, fd: fd, object: object, info: info)
        box.files.insert(KnownFile(process: process, fd: fd, number: record.number, inode: status.inode), at: low)
        openFiles[key] = box
        contents.openFiles.append(record)
        return record.number
    }

    private func classify(
        _ record: inout OpenFileRecord, process: Int32, fd: Int32, link: String, path: String, status: FileStatus,
        info: DescriptorInfo
    ) throws(EngineError) {
        let object = "fd \(fd): \(link)"
        if link.hasPrefix("anon_inode:") {
            return try classifyAnonymous(
                &record, String(link.dropFirst(11)), process: process, fd: fd, object: object, info: info)
        }
        if try classifyHandle(&record, process: process, link: link, path: path, status: status, object: object) {
            return
        }
        if record.flags & 0o10000000 != 0 {
            // O_PATH names something without opening it, so anything with a path will do.
            record.kind = .inode
            record.inode = try inode(
                process: process, link: link, status, openAt: path, object: "fd \(fd)", written: false)
            return
        }
        switch status.kind {
        case .regular, .directory:
            record.kind = .inode
            let type = try fileSystemType(of: path, device: status.device, process: process, object: object)
            if type == MessageQueues.fileSystemType, status.kind == .regular {
                record.inode = try messageQueue(link, status, openAt: path, process: process, object: object)
                return
            }
            if let what = Self.kernelObjects[type] {
                throw refuse(process, object, "\(what) is not carried by this version")
            }
            if record.flags & 3 != 0, link.hasPrefix("/proc/pressure/") || link.hasSuffix(".pressure"),
                Self.pressureFiles.contains(type)
            {
                throw refuse(process, object, "what it waits for (pressure stall information) is not shown")
            }
            let isTemporary = record.flags & 0o20000000 != 0
            // O_TMPFILE (which includes O_DIRECTORY) says how the file was made, not how it is open.
            if status.kind == .regular { record.flags &= ~0o20200000 }
            let isWritten = record.flags & 3 != 0 && status.kind == .regular
            record.inode = try inode(
                process: process, link: link, status, openAt: path, object: "fd \(fd)", written: isWritten)
            if isTemporary, let place = inodePlaces[record.inode], contents.inodes[place].kind == .deleted {
                contents.inodes[place].isLinkable = true
            }
        case .character:
            guard
                status.specialDevice >> 32 == 1 && Self.statelessDevices.contains(status.specialDevice & 0xffff_ffff)
                    || Self.isConsole(status.specialDevice)
                    // /dev/kmsg: where a reader stands is its own, a writer stands nowhere.
                    || status.specialDevice == 1 << 32 | 11 && record.flags & 3 == 1
            else {
                throw refuse(
                    process, object,
                    "this device is not carried; where another may stand for it, declare it: "
                        + "--external 'file[\(link)]:NAME'")
            }
            record.kind = .inode
            record.inode = try inode(
                process: process, link: link, status, openAt: path, object: "fd \(fd)", written: false)
        case .fifo:
            let isNamed = !link.hasPrefix("pipe:")
            record.kind = isNamed ? .fifo : .pipe
            if isNamed {
                record.inode = try inode(
                    process: process, link: link, status, openAt: path, object: "fd \(fd)", written: false)
            }
            record.pipe = pipe(status.identity, process: process, fd: fd, flags: record.flags, isNamed: isNamed)
        case .block: throw refuse(process, object, "block devices are not carried")
        case .none, .socket, .symbolicLink:
            throw refuse(process, object, "this kind of descriptor is not known")
        }
    }

    private func fileSystemType(
        of path: String, device: UInt64, process: Int32, object: String
    ) throws(EngineError) -> UInt64 {
        if let known = fileSystemTypes[device] { return known }
        let type = try EngineError.wrap("look at the file system of \(object)", task: process) {
            () throws(LinuxError) in
            try Files.fileSystemType(of: path)
        }
        fileSystemTypes[device] = type
        return type
    }

    /// Files of some file systems are handles of kernel objects: opening their name again would give another object, or
    /// the same without what it held. Types as in `linux/magic.h`.
    private static let kernelObjects: [UInt64: String] = [
        0xcafe_4a11: "an object of the BPF file system",
        0x5345_434d: "secret memory",
    ]

    private func classifyAnonymous(
        _ record: inout OpenFileRecord, _ name: String, process: Int32, fd: Int32, object: String, info: DescriptorInfo
    ) throws(EngineError) {
        switch name {
        case "[eventfd]":
            record.kind = .eventfd
            record.eventCount = info.eventfdCount ?? 0
            record.eventIsSemaphore = info.eventfdSemaphore
        case "[timerfd]":
            guard let timer = info.timer else { throw refuse(process, object, "the kernel does not show its setting") }
            record.kind = .timerfd
            record.timer.clock = timer.clock
            record.timer.ticks = timer.ticks
            record.timer.settimeFlags = timer.settimeFlags
            record.timer.valueNanoseconds = timer.valueNanoseconds
            record.timer.intervalNanoseconds = timer.intervalNanoseconds
        case "[signalfd]":
            guard let mask = info.signalMask else { throw refuse(process, object, "the kernel does not show its mask") }
            record.kind = .signalfd
            record.signalMask = mask
        case "[eventpoll]":
            record.kind = .epoll
            record.epollPolling = EpollProbe.pollParameters(process, fd)
            epolls.append((contents.openFiles.count, process, fd, info.epollTargets))
        case "inotify":
            record.kind = .inotify
            inotifies.append((contents.openFiles.count, process, fd, info.watchLines))
        case "[pidfd]": record.kind = .pidfd
        default: throw refuse(process, object, "this kind of descriptor is not carried by this version")
        }
    }

    /// What fcntl(2) knows of an open file, asked through a duplicate.
    private func owner(
        _ record: inout OpenFileRecord, process: Int32, pidfd: Int32, fd: Int32, object: String, info: DescriptorInfo
    ) throws(EngineError) {
        // O_PATH descriptors cannot be fetched, and have neither owner nor signal.
        if record.flags & 0o10000000 != 0 { return }
        let copy = try EngineError.wrap("fetch \(object)", task: process) { () throws(LinuxError) in
            try Pidfd.descriptor(pidfd, fd)
        }
        defer { Files.close(copy) }
        let (kind, id) = Files.owner(of: copy)
        if id != 0 {
            guard let inner = kind == 2 ? innerTids[id] ?? id : innerTids[id] else {
                throw refuse(process, object, "its signals go to \(id), which is outside the tree")
            }
            record.ownerKind = UInt32(kind)
            record.ownerID = inner
            if let users = Files.ownerUsers(of: copy) {
                (record.ownerUser, record.ownerEffectiveUser) = users
            }
        }
        switch record.kind {
        case .timerfd: try wind(&record, copy, process: process, fd: fd, object)
        case .pidfd: try collectPidfd(&record, copy, info, process: process, object: object)
        case .inotify: try checkQueue(copy, process: process, object)
        default: break
        }
        let signal = Kernel.attempt(.fcntl, Kernel.number(copy), 11)  // F_GETSIG
        record.ownerSignal = Kernel.errno(of: signal) == nil ? Int32(signal) : 0
        if record.kind == .eventfd, !info.eventfdShowsSemaphore {
            record.eventIsSemaphore = try EventfdProbe.isSemaphore(copy, count: record.eventCount, process, object)
        }
    }

    /// Reads a timerfd that repeats and has expired: the kernel winds it up again only when somebody asks.
    private func wind(
        _ record: inout OpenFileRecord, _ copy: Int32, process: Int32, fd: Int32, _ object: String
    ) throws(EngineError) {
        if record.timer.valueNanoseconds == 0, record.timer.intervalNanoseconds > 0 {
            // One that is due shows as one that is off until a CPU has come to it; that may take a while.
            let deadline = Deadline(seconds: 0.01)
            repeat {
                let timer = try EngineError.wrap("read \(object)", task: process) { () throws(LinuxError) in
                    try Files.windTimer(copy)
                    return try Procfs.descriptorInfo(process, fd).timer
                }
                guard let timer else { break }
                record.timer.ticks = timer.ticks
                record.timer.valueNanoseconds = Self.untilNext(timer)
                if record.timer.valueNanoseconds != 0 { break }
                _ = Signals.take(0, timeoutNanoseconds: 1_000_000)
            } while deadline.remainingNanoseconds > 0
        }
        // TFD_TIMER_ABSTIME on CLOCK_REALTIME or CLOCK_REALTIME_ALARM: it waits for a time of day, not for a while.
        if record.timer.settimeFlags & 1 != 0, record.timer.valueNanoseconds != 0,
            record.timer.clock == 0 || record.timer.clock == 8
        {
            record.timer.absoluteNanoseconds = MonotonicClock.nanoseconds(of: 0) &+ record.timer.valueNanoseconds
        }
    }

    /// When a repeating timerfd expires next: one that has expired again while it was looked at shows no time left, which
    /// would turn it off. One that is off has no expirations that nobody has read.
    static func untilNext(_ timer: DescriptorInfo.TimerSetting) -> UInt64 {
        timer.valueNanoseconds == 0 && timer.ticks > 0 ? timer.intervalNanoseconds : timer.valueNanoseconds
    }

    /// The kernel takes no events from outside: what waits to be read would be lost.
    private func checkQueue(_ copy: Int32, process: Int32, _ object: String) throws(EngineError) {
        let waiting = try EngineError.wrap("ask for the events of \(object)", task: process) {
            () throws(LinuxError) in try Files.waitingBytes(copy)
        }
        if waiting > 0 {
            network.awaitReaders()
            throw refuse(
                process, object, "\(waiting) bytes of events wait in it, which cannot be put back; dump again later")
        }
    }
}
