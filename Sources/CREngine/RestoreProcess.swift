internal import CRImage
internal import LinuxKit

/// Gives a stub what belongs to a whole process: folders, descriptors, signal actions, limits, timers.
struct RestoreProcess {
    let stub: RestoreStub
    let record: ProcessRecord
    let records: RestoreRecords
    private(set) var notes: [String] = []

    init(stub: RestoreStub, record: ProcessRecord, records: RestoreRecords) {
        self.stub = stub
        self.record = record
        self.records = records
    }

    /// Working directory, root and umask.
    func enterFolders(_ files: RestoreFiles) throws(EngineError) {
        guard let system = records.fileSystems[record.fileSystem] else { return }
        try files.deliver([system.rootFile, system.workingDirectoryFile], to: stub)
        func path(_ text: String) throws(EngineError) -> UInt64 { try stub.hold(Array(text.utf8) + [0]) }
        if let fd = files.openFiles[system.rootFile] {
            try stub.later(.fchdir, [UInt64(fd)], doing: "enter the root directory")
            try stub.later(.chroot, [try path(".")], doing: "change the root directory")
        }
        if files.passedFolders.contains(system.workingDirectoryFile) {
            // It is there already.
        } else if let fd = files.openFiles[system.workingDirectoryFile] {
            try stub.later(.fchdir, [UInt64(fd)], doing: "enter the working directory")
        } else {
            try stub.later(
                .chdir, [try path(system.workingDirectory)], doing: "enter \(system.workingDirectory)")
        }
        if system.root != "/" {
            try stub.later(.chroot, [try path(system.root)], doing: "make \(system.root) the root directory")
        }
        try stub.later(.umask, [UInt64(system.umask)], doing: "set the umask")
    }

    /// Enters a working directory that is about to go away.
    func enterPassing(_ file: UInt32, _ files: RestoreFiles) throws(EngineError) {
        guard let system = records.fileSystems[record.fileSystem],
            system.workingDirectoryFile == file, let fd = files.openFiles[file]
        else { return }
        try files.deliver([file], to: stub)
        try stub.call(.fchdir, [UInt64(fd)], doing: "enter the working directory")
        files.passedFolders.insert(file)
    }

    /// Whether its table has an open file.
    func has(_ openFile: UInt32) -> Bool {
        let table = records.fileTables[record.fileTable]
        return table?.entries.contains { $0.openFile == openFile } ?? false
    }

    /// Puts every open file at its numbers and closes everything else.
    func fillTable(_ files: RestoreFiles) throws(EngineError) {
        guard let table = records.fileTables[record.fileTable] else { return }
        let entries = table.entries.sorted { $0.fd < $1.fd }.filter { files.openFiles[$0.openFile] != nil }
        for entry in entries {
            guard let source = files.openFiles[entry.openFile] else { continue }
            let number = RestoreStub.word(entry.fd)
            if source == entry.fd {
                // F_SETFD
                try stub.later(.fcntl, [number, 2, entry.closeOnExec ? 1 : 0], doing: "set up fd \(number)")
            } else {
                try stub.later(
                    .dup3, [UInt64(source), number, entry.closeOnExec ? 0o2000000 : 0], doing: "set up fd \(number)")
            }
        }
        // Only now: a number that is to be closed may be where another one came from.
        var next: UInt64 = 0
        for entry in entries {
            let number = UInt64(entry.fd)
            if number > next { try closeRange(next, number - 1) }
            next = number + 1
        }
        try closeRange(next, UInt64(UInt32.max))
        try stub.launch()
    }

    private func closeRange(_ first: UInt64, _ last: UInt64) throws(EngineError) {
        try stub.later(.close_range, [first, last, 0], doing: "close the engine's descriptors")
    }

    /// Signal actions; what the stub has from the engine goes too.
    ///
    /// - Precondition: No child of the process ends any more, so that the SIGCHLD flushed here stay away.
    ///
    /// - Parameter inherited: Signals that do not have their default action in the stub.
    func setActions(inherited: UInt64) throws(EngineError) {
        guard let table = records.signalTables[record.signalTable] else { return }
        // The default action of SIGCHLD is to ignore it: setting it throws away the ones that stubs have left behind.
        let flush = try stub.hold(words: [0, 0, 0, 0])
        try stub.later(.rt_sigaction, [UInt64(Signals.child), flush, 0, 8], doing: "flush SIGCHLD")
        for (index, action) in table.actions.enumerated() {
            let signal = Int32(index + 1)
            if signal == Signals.kill || signal == Signals.stop { continue }
            let isDefault = action == SignalActionValue()
            if isDefault, inherited & Signals.mask([signal]) == 0 { continue }
            let words = try stub.hold(words: [action.handler, action.flags, action.restorer, action.mask])
            try stub.later(
                .rt_sigaction, [UInt64(signal), words, 0, 8], doing: "set the action of \(Signals.name(signal))")
        }
    }

    /// Limits, adoption of orphans, out-of-memory score: set from outside.
    mutating func setLimits() throws(EngineError) {
        let current = (try? Limits.all(of: stub.outer)) ?? []
        for (number, limit) in record.limits.enumerated() {
            let wanted = ResourceLimit(soft: limit.soft, hard: limit.hard)
            if number < current.count, current[number] == wanted { continue }
            do {
                try Limits.set(number, of: stub.outer, to: wanted)
            } catch {
                let fallback = ResourceLimit(
                    soft: min(limit.soft, number < current.count ? current[number].hard : limit.soft),
                    hard: number < current.count ? min(limit.hard, current[number].hard) : limit.hard)
                try? Limits.set(number, of: stub.outer, to: fallback)
                notes.append(
                    "limit \(number) of process \(record.pid) could not be raised to the image's: "
                        + "\(error.errno.map { "\($0)" } ?? error.description)")
            }
        }
        if record.isSubreaper { try stub.later(.prctl, [36, 1], doing: "adopt orphans") }
        let score = "/proc/\(stub.outer)/oom_score_adj"
        if let text = try? Files.text(of: score), Int32(text.filter { $0 != "\n" }) != record.oomScoreAdjustment {
            do {
                try Files.write(Array("\(record.oomScoreAdjustment)".utf8), to: score)
            } catch {
                notes.append("the out-of-memory score of process \(record.pid) could not be set")
            }
        }
    }

    /// Signals that were on their way; they wait until the mask lets them through.
    func queueSignals() throws(EngineError) {
        for siginfo in record.pendingSignals {
            guard let signal = Self.queueable(siginfo) else { continue }
            let info = try stub.put(siginfo)
            try stub.call(
                .rt_sigqueueinfo, [UInt64(record.pid), UInt64(signal), info], doing: "queue \(Signals.name(signal))")
        }
    }

    static func queueable(_ siginfo: [UInt8]) -> Int32? {
        let signal = Int32(bitPattern: siginfo.half(at: 0))
        guard signal > 0, signal <= 64, signal != Signals.kill, signal != Signals.stop else { return nil }
        return signal
    }

    /// Timers, with the IDs that the workload knows.
    ///
    /// - Parameter task: The stub of a task of this process; one that counts its own CPU time must create its timer.
    func createTimers(by task: (Int32) -> RestoreStub) throws(EngineError) {
        if !record.timers.isEmpty {
            // PR_TIMER_CREATE_RESTORE_IDS (6.15): the kernel takes the ID from where it would store it.
            let takesIDs = try stub.attempt(.prctl, [77, 1, 0, 0, 0]) == nil
            for timer in record.timers.sorted(by: { $0.id < $1.id }) {
                try create(timer, by: task(timer.creator), takesIDs: takesIDs)
            }
            if takesIDs { try stub.call(.prctl, [77, 0, 0, 0, 0], doing: "number timers as usual") }
        }
    }

    private func create(
        _ timer: PosixTimerValue, by stub: RestoreStub, takesIDs: Bool
    ) throws(EngineError) {
        // struct sigevent: value, signal, notify, TID
        let event = try stub.put(
            words: [
                timer.value, UInt64(UInt32(bitPattern: timer.signal)) | UInt64(UInt32(bitPattern: timer.notify)) << 32,
                UInt64(UInt32(bitPattern: timer.notifyTask)), 0, 0, 0, 0, 0,
            ])
        let clock = RestoreStub.word(timer.clock)
        // The kernel counts IDs up from 0 in each process; bound the way for damaged images.
        for _ in 0...65536 {
            let place = try stub.put(words: [UInt64(UInt32(bitPattern: timer.id))], at: 128)
            try stub.call(.timer_create, [clock, event, place], doing: "create timer \(timer.id)")
            let id = Int32(bitPattern: try stub.remote.read(at: place, count: 4).half(at: 0))
            if id == timer.id { return }
            try stub.call(.timer_delete, [RestoreStub.word(id)], doing: "pass over timer ID \(id)")
            guard !takesIDs, id < timer.id else { break }
        }
        throw .derailed(task: record.pid, "timer ID \(timer.id) cannot be had")
    }

    /// Starts all timers; what expires from now on waits in the queue.
    ///
    /// A periodic timer that has expired shows no time left until its signal is taken: the kernel starts it again only
    /// then. Its signal is in the queue, so the next expiry is one interval away.
    func startTimers() throws(EngineError) {
        for timer in record.timers where timer.valueNanoseconds != 0 || timer.intervalNanoseconds != 0 {
            let value = timer.valueNanoseconds == 0 ? timer.intervalNanoseconds : timer.valueNanoseconds
            let setting = try stub.put(
                words: RestoreCalls.timerWords(value: value, interval: timer.intervalNanoseconds))
            try stub.call(
                .timer_settime, [RestoreStub.word(timer.id), 0, setting, 0], doing: "start timer \(timer.id)")
        }
        for (which, timer) in record.intervalTimers.enumerated() {
            let interval = timer.intervalMicroseconds
            let value = which == 0 && timer.valueMicroseconds == 0 ? interval : timer.valueMicroseconds
            if value == 0 { continue }
            let setting = try stub.put(
                words: [interval / 1_000_000, interval % 1_000_000, value / 1_000_000, value % 1_000_000])
            try stub.call(.setitimer, [UInt64(which), setting, 0], doing: "start interval timer \(which)")
        }
    }
}
