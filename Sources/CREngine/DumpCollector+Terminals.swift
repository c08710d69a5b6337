internal import CRImage
internal import LinuxKit

/// A pseudoterminal that the tree has open, as the dump knows it.
struct KnownTerminal {
    /// Number of its ``TerminalRecord``.
    var number: UInt32
    var index: UInt32
    /// Device of its devpts; 0 when only `/dev/tty` leads to it.
    var instance: UInt64
    var masterPath = ""
    /// For refusals.
    var process: Int32
    var object: String
    /// The engine's own duplicates; -1 for none.
    var master: Int32 = -1
    var slave: Int32 = -1
    var slaveStatus: FileStatus?
}

/// Pseudoterminals: both sides, what waits in them, and whom they control.
extension DumpCollector {
    private static let masterDevice: UInt64 = 5 << 32 | 2
    private static let controllingDevice: UInt64 = 5 << 32

    /// Whether a device node is a side of a pseudoterminal, or stands for one.
    static func isTerminal(_ device: UInt64) -> Bool {
        device == masterDevice || device == controllingDevice || (136...143).contains(device >> 32)
    }

    /// Terminals of the machine itself: `/dev/console`, `/dev/tty1`. They are opened again by name, and what is in them
    /// stays in them.
    static func isConsole(_ device: UInt64) -> Bool {
        device == 5 << 32 | 1 || device >> 32 == 4 && device & 0xffff_ffff < 64
    }

    /// Records an open side of a pseudoterminal.
    ///
    /// - Parameter copy: The engine's own duplicate; kept until the dump ends.
    func terminal(
        _ record: inout OpenFileRecord, process: Int32, link: String, status: FileStatus, copy: Int32, object: String
    ) throws(EngineError) {
        terminalCopies.append(copy)
        let isDeleted = link.hasSuffix(" (deleted)")
        record.terminalPath = isDeleted ? String(link.dropLast(10)) : link
        try checkText(record.terminalPath, process)
        let isMaster = status.specialDevice == Self.masterDevice
        record.kind = isMaster ? .terminalMaster : .terminalSlave
        record.offset = 0
        var instance: UInt64 = 0
        var index = UInt32(truncatingIfNeeded: status.specialDevice)
        if isMaster {
            index = UInt32(
                bitPattern: try EngineError.wrap("ask for the index of \(object)", task: process) {
                    () throws(LinuxError) in
                    try Terminals.number(.index, of: copy)
                })
            instance = self.instance(of: record.terminalPath, status)
        } else if status.specialDevice == Self.controllingDevice {
            let device: Int32
            do {
                device = try Terminals.number(.device, of: copy)
            } catch {
                throw refuse(process, object, "the terminal that it was opened for has hung up")
            }
            guard device >> 8 & 0xfff == 136 else {
                throw refuse(process, object, "it is the machine's own terminal, which stays outside of the tree")
            }
            index = Self.minor(device)
        } else {
            instance = status.device
        }
        let position = known(index, instance, process, object)
        record.terminal = terminals[position].number
        if isMaster {
            terminals[position].master = copy
            terminals[position].masterPath = record.terminalPath
            terminals[position].process = process
            terminals[position].object = object
        } else {
            // A descriptor of /dev/tty has that node's owner.
            if terminals[position].slave < 0 || instance != 0 {
                terminals[position].slave = copy
                if instance != 0 { terminals[position].slaveStatus = status }
            }
        }
    }

    private static func minor(_ device: Int32) -> UInt32 {
        let number = UInt32(bitPattern: device)
        return number & 0xff | number >> 12 & 0xfff00
    }

    /// The devpts that a master belongs to: the one beside its node, which is how the kernel finds it.
    private func instance(of path: String, _ status: FileStatus) -> UInt64 {
        let folder = path.split(separator: "/").dropLast()
        if folder.last == "pts" { return status.device }
        let pts = "/" + (folder + ["pts"]).joined(separator: "/")
        return (try? Files.status(of: pts))?.device ?? 0
    }

    /// Where a terminal is in ``terminals``, at its first use at the end.
    private func known(_ index: UInt32, _ instance: UInt64, _ process: Int32, _ object: String) -> Int {
        if let found = terminals.firstIndex(where: {
            $0.index == index && ($0.instance == instance || $0.instance == 0 || instance == 0)
        }) {
            if terminals[found].instance == 0 { terminals[found].instance = instance }
            return found
        }
        terminals.append(
            KnownTerminal(number: newNumber(), index: index, instance: instance, process: process, object: object))
        return terminals.count - 1
    }

    // MARK: All of them

    /// Records what the terminals are and hold, and whom they control, now that all open files are known.
    func collectTerminals() throws(EngineError) {
        for terminal in terminals where terminal.master >= 0 { try refuseOutsiders(terminal) }
        for terminal in terminals {
            try checkInterruption()
            contents.terminals.append(
                terminal.master < 0 ? try hungUp(terminal) : try record(terminal))
        }
        try controlProcesses()
    }

    private func hungUp(_ terminal: KnownTerminal) throws(EngineError) -> TerminalRecord {
        let isHungUp: Bool
        do {
            _ = try Terminals.bytes(.settings, of: terminal.slave)
            isHungUp = false
        } catch {
            isHungUp = error.errno == .inputOutput
        }
        guard isHungUp else {
            throw refuse(
                terminal.process, terminal.object,
                "the terminal's other side is open outside of the tree, in a terminal emulator or an SSH server: start "
                    + "the workload apart from it (setsid, with other standard input and output), or dump that as well")
        }
        var record = TerminalRecord()
        record.number = terminal.number
        record.index = terminal.index
        record.isHungUp = true
        if let status = terminal.slaveStatus {
            (record.mode, record.uid, record.gid) = (status.mode & 0o7777, status.uid, status.gid)
        }
        // Which node made it is not known any more; there is one in nearly every /dev.
        record.masterPath = "/dev/ptmx"
        return record
    }

    private func record(_ terminal: KnownTerminal) throws(EngineError) -> TerminalRecord {
        var record = TerminalRecord()
        let master = terminal.master
        record.number = terminal.number
        record.index = terminal.index
        record.masterPath = terminal.masterPath
        let isClosed = try EngineError.wrap("look at \(terminal.object)", task: terminal.process) {
            () throws(LinuxError) in
            record.isLocked = try Terminals.number(.lock, of: master) != 0
            record.isPacketMode = try Terminals.number(.packetMode, of: master) != 0
            record.isMasterExclusive = try Terminals.number(.exclusive, of: master) != 0
            record.settings = try Terminals.bytes(.settings, of: master)
            record.size = try Terminals.bytes(.size, of: master)
            let locked = try Terminals.bytes(.lockedSettings, of: master)
            if locked.contains(where: { $0 != 0 }) { record.lockedSettings = locked }
            return try Files.poll(master, events: 0) & 0x10 != 0  // POLLHUP: the slave was open, and is no more
        }
        if let group = try? Terminals.number(.foreground, of: master), group > 0 {
            let outer = tree.processes.first { $0.stat.processGroup == group }
            record.foreground = outer?.status.namespaceGroups.last ?? 0
        }
        if terminal.slave < 0, !isClosed {
            record.isUnopened = true
            return record
        }
        if record.isPacketMode, try isPolled(terminal, 2) {  // POLLPRI
            throw refuse(
                terminal.process, terminal.object,
                "its master has yet to read that something happened in packet mode; dump again when it has")
        }
        do throws(LinuxError) {
            try copyQueues(terminal, &record)
        } catch {
            if error.errno == .notSupported {
                throw refuse(terminal.process, terminal.object, "it has another line discipline than the usual one")
            }
            throw .system(error, task: terminal.process, doing: "read what waits in \(terminal.object)")
        }
        return record
    }

    private func isPolled(_ terminal: KnownTerminal, _ events: Int16) throws(EngineError) -> Bool {
        try EngineError.wrap("look at \(terminal.object)", task: terminal.process) { () throws(LinuxError) in
            try Files.poll(terminal.master, events: events) & events != 0
        }
    }

    /// Takes out and puts back, with packet mode and lock off meanwhile.
    private func copyQueues(_ terminal: KnownTerminal, _ record: inout TerminalRecord) throws(LinuxError) {
        let master = terminal.master
        let flags = try RestoreCalls.control(master, 3, 0, terminal.object)  // F_GETFL
        try RestoreCalls.control(master, 4, flags | 0o4000, terminal.object)  // F_SETFL, O_NONBLOCK
        defer { _ = try? RestoreCalls.control(master, 4, flags, terminal.object) }
        if record.isLocked { try Terminals.set(.setLock, of: master, to: 0) }
        defer { if record.isLocked { try? Terminals.set(.setLock, of: master, to: 1) } }
        // O_RDWR|O_NOCTTY|O_NONBLOCK|O_CLOEXEC
        let slave = try Terminals.act(.openPeer, on: master, 0o2 | 0o400 | 0o4000 | 0o2000000)
        defer { Files.close(slave) }
        let discipline = try Terminals.number(.discipline, of: slave)
        guard discipline == 0 else {
            throw .call("line discipline \(discipline)", object: terminal.object, .notSupported)
        }
        record.isSlaveExclusive = try Terminals.number(.exclusive, of: slave) != 0
        let status = try Files.status(of: slave)
        (record.mode, record.uid, record.gid) = (status.mode & 0o7777, status.uid, status.gid)
        if record.isPacketMode { try Terminals.set(.setPacketMode, of: master, to: 0) }
        defer { if record.isPacketMode { try? Terminals.set(.setPacketMode, of: master, to: 1) } }
        let queues = TerminalQueues(master: master, slave: slave, settings: record.settings)
        var failure: LinuxError?
        do throws(LinuxError) { try queues.drain(into: &record) } catch { failure = error }
        do throws(LinuxError) {
            try queues.refill(record)
        } catch {
            // The last word on the settings is the workload's, whatever else failed.
            try? Terminals.set(.settings, of: master, to: record.settings)
            failure = failure ?? error
        }
        if let failure { throw failure }
    }

    /// A program outside of the tree that has one of the sides open would lose it.
    private func refuseOutsiders(_ terminal: KnownTerminal) throws(EngineError) {
        let inside = Set(tree.processes.map(\.pid))
        let own = Int32(Kernel.attempt(.getpid))
        let name = "/pts/\(terminal.index)"
        for pid in (try? Files.names(in: "/proc"))?.compactMap({ Int32($0) }) ?? []
        where pid != own && !inside.contains(pid) {
            for fd in (try? Procfs.descriptors(of: pid)) ?? [] {
                guard let link = try? Procfs.descriptorLink(pid, fd), link.hasPrefix("/") else { continue }
                var isSame = false
                if link.hasSuffix(name) {
                    let status = try? Files.status(of: "/proc/\(pid)/fd/\(fd)")
                    isSame =
                        status?.specialDevice == 136 << 32 | UInt64(terminal.index)
                        && status?.device == terminal.instance
                } else if link.hasSuffix("/ptmx") {
                    isSame = isMaster(pid, fd, terminal)
                }
                if isSame {
                    throw refuse(
                        terminal.process, terminal.object,
                        "process \(pid), which is outside of the tree, has this terminal open as fd \(fd)")
                }
            }
        }
    }

    private func isMaster(_ pid: Int32, _ fd: Int32, _ terminal: KnownTerminal) -> Bool {
        let own = Int32(Kernel.attempt(.getpid))
        return (try? Kcmp.sameFile(own, terminal.master, pid, fd)) ?? false
    }

    /// Says which terminal controls each process.
    private func controlProcesses() throws(EngineError) {
        let leaders = Set(tree.processes.map(\.pid))
        var numbers: [Int32: UInt32] = [:]
        var consoles: [Int32: (file: UInt32, foreground: Int32)] = [:]
        for process in tree.processes where process.stat.terminal != 0 && !process.isZombie {
            let device = process.stat.terminal
            let name =
                device >> 8 & 0xfff == 136
                ? "/dev/pts/\(Self.minor(device))" : "device \(device >> 8 & 0xfff):\(device & 0xff)"
            let found = terminals.filter {
                device >> 8 & 0xfff == 136 && $0.index == Self.minor(device) && $0.master >= 0
            }
            if found.count > 1 {
                throw refuse(
                    process.pid, "controlling terminal \(name)", "two terminals of the tree have this number")
            }
            if let terminal = found.first {
                guard leaders.contains(process.stat.session) else {
                    throw refuse(
                        process.pid, "controlling terminal \(name)", "the leader of its session is outside of the tree")
                }
                numbers[inner(process.pid)] = terminal.number
            } else if leaders.contains(process.stat.session), let console = console(device) {
                consoles[inner(process.pid)] = (console, inner(process.stat.foregroundGroup))
            } else if leaders.contains(process.stat.session) {
                throw refuse(
                    process.pid, "controlling terminal \(name)",
                    "its other side is outside of the tree: start the workload apart from it (setsid)")
            }
            // Else the session stays outside, and so does its terminal: a restore is in that of whoever restores.
        }
        for index in contents.processes.indices {
            contents.processes[index].terminal = numbers[contents.processes[index].pid] ?? 0
            guard let console = consoles[contents.processes[index].pid] else { continue }
            contents.processes[index].consoleFile = console.file
            contents.processes[index].consoleForeground = console.foreground
        }
    }

    /// An open file of the virtual terminal with this number: through it a restored session takes the terminal again.
    private func console(_ device: Int32) -> UInt32? {
        guard device >> 8 & 0xfff == 4 else { return nil }
        let nodes = Set(
            contents.inodes.filter { $0.kind == .device && $0.device == 4 << 32 | UInt64(Self.minor(device)) }
                .map(\.number))
        return contents.openFiles.first { $0.kind == .inode && nodes.contains($0.inode) }?.number
    }
}
