internal import CRImage
internal import LinuxKit

/// The pseudoterminals of the image: made by the engine, inherited by the stubs.
final class RestoreTerminals {
    /// Number of a ``TerminalRecord`` to a slave of the engine's own, which sessions need to get their terminal.
    private(set) var slaves: [UInt32: Int32] = [:]
    private(set) var notes: [String] = []
    /// Open files of virtual terminals that control sessions, by the number of the ``OpenFileRecord``.
    var consoles: [UInt32: Int32] = [:]
    private var masters: [UInt32: Int32] = [:]
    private let contents: ImageContents
    private let records: [UInt32: TerminalRecord]

    init(_ contents: ImageContents) {
        self.contents = contents
        records = Dictionary(contents.terminals.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
    }

    typealias Lift = (Int32, String) throws(LinuxError) -> Int32

    /// Creates both sides with their settings and what waits in them, but no open file of the workload's yet.
    ///
    /// - Parameter lift: Moves a new descriptor above the workload's and keeps it until the restore ends.
    func create(_ lift: Lift) throws(EngineError) {
        // In ascending order, so that the kernel, which gives the lowest free index, goes the shortest way.
        for record in contents.terminals.sorted(by: { $0.index < $1.index }) {
            let master = try openMaster(record)
            do throws(LinuxError) {
                let lifted = try lift(master, record.masterPath)
                masters[record.number] = lifted
                try fill(record, lifted, lift)
            } catch {
                throw .system(error, task: nil, doing: "restore \(Self.describe(record))")
            }
        }
    }

    static func describe(_ record: TerminalRecord) -> String { "terminal /dev/pts/\(record.index)" }

    private func openMaster(_ record: TerminalRecord) throws(EngineError) -> Int32 {
        var passed: [Int32] = []
        defer { for fd in passed { Files.close(fd) } }
        let name = Self.describe(record)
        do throws(LinuxError) {
            guard try Files.status(of: record.masterPath).specialDevice == 5 << 32 | 2 else {
                throw .call("open", object: record.masterPath, .noDevice)
            }
            while true {
                // O_RDWR|O_NOCTTY|O_NONBLOCK
                let fd = try RestoreCalls.open(record.masterPath, rawFlags: 0o2 | 0o400 | 0o4000)
                let index = UInt32(bitPattern: try Terminals.number(.index, of: fd))
                if index == record.index { return fd }
                passed.append(fd)
                if index > record.index { break }
            }
        } catch {
            throw .system(error, task: nil, doing: "create \(name)")
        }
        throw .busy("\(name) is in use", task: nil, next: "close it, or restore where another devpts is mounted")
    }

    private func fill(_ record: TerminalRecord, _ master: Int32, _ lift: Lift) throws(LinuxError) {
        try Terminals.set(.setLock, of: master, to: 0)
        if record.isUnopened {
            try Terminals.set(.size, of: master, to: record.size)
            try Terminals.set(.settings, of: master, to: record.settings)
            return
        }
        // O_RDWR|O_NOCTTY|O_NONBLOCK. With O_CLOEXEC this call, unlike open(2), would mark the open file itself, and every
        // descriptor of it would look like one that is closed by execve(2), also to the next dump.
        let slave = try lift(
            try Terminals.act(.openPeer, on: master, 0o2 | 0o400 | 0o4000), record.masterPath)
        slaves[record.number] = slave
        let node = try Files.status(of: slave)
        do throws(LinuxError) {
            if node.uid != record.uid || node.gid != record.gid {
                try RestoreCalls.changeOwner(slave, record.uid, record.gid)
            }
            if node.mode & 0o7777 != record.mode { try RestoreCalls.changeMode(slave, record.mode) }
        } catch {
            notes.append("owner and mode of \(Self.describe(record)) could not be set")
        }
        if record.isHungUp { return }
        // No process group is in its foreground yet, so nobody is told of the size.
        try Terminals.set(.size, of: master, to: record.size)
        try TerminalQueues(master: master, slave: slave, settings: record.settings).refill(record)
        if !record.lockedSettings.isEmpty { try Terminals.set(.lockedSettings, of: master, to: record.lockedSettings) }
    }

    // MARK: Open files

    /// Makes one open file of a terminal.
    func open(_ file: OpenFileRecord) throws(LinuxError) -> Int32 {
        guard let record = records[file.terminal], let master = masters[file.terminal] else {
            throw .call("open", object: file.terminalPath, .noDevice)
        }
        // F_DUPFD_CLOEXEC
        if file.kind == .terminalMaster { return Int32(try RestoreCalls.control(master, 1030, 0, file.terminalPath)) }
        // O_LARGEFILE shows in F_GETFL.
        let flags = UInt64(file.flags & 0o100003) | 0o400 | 0o4000
        let peer = try Terminals.act(.openPeer, on: master, flags)
        let shown = try Files.link("/proc/self/fd/\(peer)")
        if shown == file.terminalPath { return peer }
        do throws(LinuxError) {
            let found = try Files.status(of: file.terminalPath)
            if found.kind == .character, found.specialDevice == 5 << 32 {
                try Terminals.openControlling(peer, path: file.terminalPath, flags: flags, replacing: peer)
                return peer
            }
            // Another name of the same node: /dev/console in a container.
            let node = try Files.status(of: peer)
            if found.identity == node.identity {
                let fd = try RestoreCalls.open(file.terminalPath, rawFlags: flags)
                Files.close(peer)
                return fd
            }
        } catch {
            if error.errno != .noEntry {
                Files.close(peer)
                throw error
            }
        }
        notes.append("\(Self.describe(record)) was open as \(file.terminalPath), which is not here")
        return peer
    }

    /// What must come after all open files: hanging up, locks, exclusive use and packet mode.
    func finish(_ drop: (Int32) -> Void) throws(EngineError) {
        for record in contents.terminals {
            guard let master = masters[record.number] else { continue }
            if record.isHungUp {
                masters[record.number] = nil
                slaves[record.number] = nil
                drop(master)
                continue
            }
            try EngineError.wrap("set up \(Self.describe(record))") { () throws(LinuxError) in
                if record.isPacketMode { try Terminals.set(.setPacketMode, of: master, to: 1) }
                if record.isMasterExclusive { try Terminals.act(.setExclusive, on: master) }
                if record.isSlaveExclusive, let slave = slaves[record.number] {
                    try Terminals.act(.setExclusive, on: slave)
                }
                if record.isLocked { try Terminals.set(.setLock, of: master, to: 1) }
            }
        }
    }

    // MARK: Sessions

    /// Makes a new session's leader take its terminal, which its later children inherit.
    func control(_ stub: RestoreStub, _ record: ProcessRecord) throws(EngineError) {
        guard let slave = slaves[record.terminal] ?? consoles[record.consoleFile] else { return }
        try stub.call(
            .ioctl, [UInt64(slave), Terminals.Action.control.rawValue, 0], doing: "take its controlling terminal")
    }

    /// Takes the terminal from those who gave it up, and puts the right process groups into the foreground.
    ///
    /// - Precondition: All processes exist in their sessions and groups.
    func finishSessions(_ tree: RestoreTree) throws(EngineError) {
        var leaders: [Int32: UInt32] = [:]
        for process in contents.processes where process.session == process.pid && process.terminal != 0 {
            leaders[process.pid] = process.terminal
        }
        for process in contents.processes where !process.isZombie && process.terminal == 0 {
            guard let terminal = leaders[process.session], let slave = slaves[terminal],
                let stub = tree.processes[process.pid]
            else { continue }
            // Without effect (ENOTTY) in one that never had it.
            _ = try stub.attempt(.ioctl, [UInt64(slave), Terminals.Action.giveUp.rawValue, 0])
        }
        for process in contents.processes
        where process.session == process.pid && process.consoleFile != 0 && process.consoleForeground > 0 {
            guard let stub = tree.processes[process.pid], let console = consoles[process.consoleFile] else { continue }
            let group = try stub.put(words: [UInt64(process.consoleForeground)])
            if let errno = try stub.attempt(
                .ioctl, [UInt64(console), Terminals.Number.setForeground.rawValue, group])
            {
                notes.append(
                    "process group \(process.consoleForeground) could not be put into the foreground: \(errno)")
            }
        }
        for (pid, terminal) in leaders {
            guard let stub = tree.processes[pid], let slave = slaves[terminal], let record = records[terminal],
                record.foreground > 0
            else { continue }
            let group = try stub.put(words: [UInt64(record.foreground)])
            let number = Terminals.Number.setForeground.rawValue
            if let errno = try stub.attempt(.ioctl, [UInt64(slave), number, group]) {
                notes.append(
                    "process group \(record.foreground) could not be put into the foreground of "
                        + "\(Self.describe(record)): \(errno)")
            }
        }
    }
}
