internal import CRModel
internal import LinuxKit

/// A task tree that stands still under the engine's ptrace.
///
/// Every task is seized and interrupted, so that its parent and its job control see nothing of it. ``release()`` lets all
/// run on; whoever was stopped by job control before stays stopped, because ptrace never touches that state.
///
/// - Precondition: All methods run on one thread.
final class FrozenTree {
    /// One process of the tree.
    struct Process {
        var pid: Int32
        var parent: Int32
        /// Live tasks, the first one of the process in front unless it has ended; empty for a zombie.
        var tasks: [Int32]
        var status: TaskStatus
        var stat: TaskStat
        /// Stopped by job control: the signal that did it; 0 when running.
        var groupStopSignal: Int32
        var isZombie: Bool { tasks.isEmpty }
        /// The task that is asked about what all have in common.
        var subject: Int32 { tasks.first ?? pid }
        /// Whether the first task has ended while others run; the kernel keeps it as a zombie until they end.
        var leaderHasEnded: Bool { !isZombie && tasks.first != pid }
    }

    /// Parents before their children.
    private(set) var processes: [Process] = []
    private var seized: [Int32] = []
    private var seizedSet: Set<Int32> = []
    private var stopSignal: [Int32: Int32] = [:]
    /// Registers of tasks that have just been stopped; not of those in a stop of job control.
    private(set) var registers: [Int32: Registers] = [:]
    /// Processes whose first task has ended: nothing of their memory shows under their own number.
    private var leaderless: Set<Int32> = []
    /// Signals that reached tasks during remote calls, to be sent again when they run.
    private var deferred: [(process: Int32, signal: Int32)] = []
    private let wakeups: UInt64
    private let stopSeconds: Double
    var settling = FreezeSettle()
    /// The cgroup freezer that its runtime has stopped the tree with; `nil` for a tree that runs.
    private var freezer: Freezer?
    private var isThawed = false
    /// Freezes the cgroup again when the engine is killed.
    private var keeper: Keeper?

    /// - Parameters:
    ///   - wakeups: Blocked signals that end any wait.
    ///   - stopSeconds: How long one task may take to stop; a task in an uninterruptible wait takes as long as that lasts.
    init(wakeups: UInt64, stopSeconds: Double = 10) {
        self.wakeups = wakeups
        self.stopSeconds = stopSeconds
    }

    /// Whether its runtime had frozen a cgroup, by its folder.
    func wasFrozen(_ folder: String) -> Bool { freezer?.holds(folder) ?? false }

    /// Every task under ptrace, zombies not counted.
    var tasks: [Int32] { seized }

    /// Stops `root` and all its descendants.
    ///
    /// - Throws: `EngineError.refused` for tasks that cannot be taken over; what was seized until then stays so, the
    ///   caller calls ``release()``.
    func freeze(root: Int32) throws(EngineError) {
        let ownPid = Int32(Kernel.attempt(.getpid))
        freezer = (try? Freezer.holding(root)) ?? nil
        var known: Set<Int32> = [root]
        var order: [Int32] = [root]
        var index = 0
        // Tasks that have children; and whether somebody was gone or ended before it could be stopped.
        var parents: [(task: Int32, process: Int32)] = []
        var lostSomebody = false
        repeat {
            while index < order.count {
                let pid = order[index]
                index += 1
                if pid == ownPid {
                    throw .refused(
                        .unsupported(task: pid, object: "process \(pid)", "the tree holds the engine's own process"))
                }
                guard let process = try freeze(process: pid, isRoot: pid == root) else {
                    lostSomebody = true
                    continue
                }
                processes.append(process)
                if process.isZombie { lostSomebody = true }
                // The whole process stands still, so its list of children can only lose members now.
                let looks = try Workers.map(process.tasks) { try? Procfs.children(of: $0, in: pid) }
                for (task, children) in zip(process.tasks, looks) {
                    let children = if let children { children } else { try self.children(of: task, in: pid) }
                    if children.isEmpty { continue }
                    parents.append((task, pid))
                    for child in children where known.insert(child).inserted { order.append(child) }
                }
            }
            // ... or be given some by those that still ran: a sibling that a child makes (CLONE_PARENT), and orphans, which
            // go to a subreaper in the tree when their parent has ended. One more look finds them.
            let candidates =
                lostSomebody ? processes.flatMap { process in process.tasks.map { ($0, process.pid) } } : parents
            for (task, pid) in candidates {
                for child in try children(of: task, in: pid) where known.insert(child).inserted { order.append(child) }
            }
        } while index < order.count
        try takeFromFreezer()
        // Only now: until all stood, one could still change what another shares with it, or take away its terminal.
        for position in processes.indices {
            let pid = processes[position].pid
            let subject = processes[position].subject
            (processes[position].status, processes[position].stat) = try EngineError.wrap(
                "look at the process", task: pid
            ) { () throws(LinuxError) in (try Procfs.status(subject), try Procfs.stat(pid)) }
            processes[position].parent = processes[position].stat.parent
        }
    }

    /// Takes the tasks of a frozen tree over from its freezer: each was told to stop before it thaws, and does so before it
    /// runs. In version 1 they cannot answer while they are frozen; in version 2 they could make no call.
    private func takeFromFreezer() throws(EngineError) {
        guard let freezer else { return }
        let root = processes.first?.pid ?? 0
        let held = try EngineError.wrap("list the tasks of the frozen cgroup", task: root) { () throws(LinuxError) in
            try freezer.processes()
        }
        if let stranger = held.subtracting(processes.map(\.pid)).min() {
            self.freezer = nil
            throw .refused(
                .unsupported(
                    task: stranger, object: "process \(stranger)",
                    "it is outside of the tree but in the same frozen cgroup, and would run while the tree is dumped"))
        }
        isThawed = true
        try EngineError.wrap("take the tasks over from the freezer", task: root) { () throws(LinuxError) in
            keeper = try Keeper { _, _ in try? freezer.freeze() }
            try freezer.thaw()
        }
        var failure: EngineError?
        for index in processes.indices {
            for task in processes[index].tasks {
                do throws(EngineError) {
                    if try !awaitStop(task, of: processes[index].pid) {
                        failure = .derailed(task: task, "it ended while it was being stopped")
                    }
                } catch {
                    failure = error
                }
            }
            processes[index].groupStopSignal = processes[index].tasks.compactMap { stopSignal[$0] }.first ?? 0
        }
        if let failure { throw failure }
    }

    /// Gives the tasks back to the freezer, which holds them as soon as they are detached.
    private func giveToFreezer() {
        guard let freezer, isThawed else { return }
        try? freezer.freeze()
        keeper?.dismiss()
        keeper = nil
    }

    /// Waits until all stand again.
    private func awaitFreezer() {
        guard let freezer, isThawed else { return }
        isThawed = false
        let deadline = Deadline(seconds: 5)
        while !freezer.isSettled, deadline.remainingNanoseconds > 0 {
            _ = Signals.take(Signals.mask([Signals.child]), timeoutNanoseconds: 1_000_000)
        }
    }

    /// The children of one task; none when it is gone.
    private func children(of task: Int32, in pid: Int32) throws(EngineError) -> [Int32] {
        do {
            return try Procfs.children(of: task, in: pid)
        } catch {
            guard error.errno == .noEntry || error.errno == .noProcess else {
                throw .system(error, task: task, doing: "list the children")
            }
            // Without CONFIG_PROC_CHILDREN the file is missing for every task. Then all processes are asked for their
            // parent, once for each process of the tree.
            let own = Int32(Kernel.attempt(.getpid))
            guard (try? Procfs.children(of: own, in: own)) == nil, task == pid else { return [] }
            return try EngineError.wrap("list the children", task: task) { () throws(LinuxError) in
                try Files.names(in: "/proc").compactMap { Int32($0) }.filter {
                    (try? Procfs.stat($0))?.parent == pid
                }
            }
        }
    }

    /// - Returns: `nil` when the process is gone.
    private func freeze(process pid: Int32, isRoot: Bool) throws(EngineError) -> Process? {
        guard let (status, stat) = try look(pid, isRoot: isRoot) else { return nil }
        if status.state == "Z" || status.state == "X", status.threads <= 1 {
            if isRoot {
                throw .refused(.unsupported(task: pid, object: "process \(pid)", "the root of the tree has ended"))
            }
            return Process(
                pid: pid, parent: stat.parent, tasks: [], status: status, stat: stat, groupStopSignal: 0)
        }
        if status.tracer != 0 {
            throw .refused(
                .unsupported(task: pid, object: "process \(pid)", "task \(status.tracer) is tracing it already"))
        }
        var tasks = try seizeAll(of: pid)
        tasks.sort { ($0 == pid ? 0 : 1, $0) < ($1 == pid ? 0 : 1, $1) }
        guard !tasks.isEmpty else {
            if isRoot { throw .derailed(task: pid, "it ended while it was being stopped") }
            guard let (status, stat) = try look(pid, isRoot: false) else { return nil }
            return Process(pid: pid, parent: stat.parent, tasks: [], status: status, stat: stat, groupStopSignal: 0)
        }
        let stopped = tasks.compactMap { stopSignal[$0] }.first ?? 0
        return Process(
            pid: pid, parent: stat.parent, tasks: tasks, status: status, stat: stat, groupStopSignal: stopped)
    }

    private func look(_ pid: Int32, isRoot: Bool) throws(EngineError) -> (TaskStatus, TaskStat)? {
        do {
            return (try Procfs.status(pid), try Procfs.stat(pid))
        } catch {
            if error.errno == .noEntry || error.errno == .noProcess, !isRoot { return nil }
            throw .system(error, task: pid, doing: "look at the process")
        }
    }

    /// Seizes every task of a process, and those that they create meanwhile.
    ///
    /// All that are there are told to stop before the first is waited for: tasks that go on creating others are caught
    /// in few rounds.
    private func seizeAll(of pid: Int32) throws(EngineError) -> [Int32] {
        var tasks: [Int32] = []
        // A first task that ended stays listed while it is a zombie.
        var ended: Set<Int32> = []
        while true {
            let listed = try EngineError.wrap("list the tasks", task: pid) { () throws(LinuxError) in
                try Procfs.tasks(of: pid)
            }
            let new = listed.filter {
                !seizedSet.contains($0) && !(ended.contains($0) && hasEnded($0, of: pid))
            }
            if new.isEmpty { return tasks }
            var attached: [Int32] = []
            for task in new { if try attach(task, of: pid) { attached.append(task) } else { ended.insert(task) } }
            if ended.contains(pid) { leaderless.insert(pid) }
            // A frozen process makes no tasks, and its own cannot answer yet.
            if freezer != nil { return attached }
            var failure: EngineError?
            for task in attached {
                do throws(EngineError) {
                    if try awaitStop(task, of: pid) { tasks.append(task) } else { ended.insert(task) }
                } catch {
                    // The others shall stand as well, so that they can be let go.
                    failure = failure ?? error
                }
            }
            if let failure { throw failure }
        }
    }

    /// - Returns: False when the task ended first.
    private func attach(_ task: Int32, of pid: Int32) throws(EngineError) -> Bool {
        do {
            try Ptrace.seize(task, .markSystemCallStops)
        } catch {
            if error.errno == .noProcess { return false }
            // EPERM also comes for a task that is ending.
            if error.errno == .notPermitted, hasEnded(task, of: pid) { return false }
            throw .system(error, task: task, doing: "stop the task")
        }
        seized.append(task)
        seizedSet.insert(task)
        do {
            try Ptrace.interrupt(task)
        } catch {
            // ESRCH: it has ended since, which the wait for it tells.
            if error.errno != .noProcess { throw .system(error, task: task, doing: "stop the task") }
        }
        return true
    }

    /// - Returns: False when the task ended first.
    private func awaitStop(_ task: Int32, of pid: Int32) throws(EngineError) -> Bool {
        let deadline = Deadline(seconds: stopSeconds)
        let pid = leaderless.contains(pid) ? task : pid
        // A task that does nothing but read the clock is in the vDSO most of the time; each look is a new throw.
        var looks = 0
        do {
            while true {
                switch try status(of: task, deadline) {
                case .stopped(let signal, event: 128, _):
                    // PTRACE_EVENT_STOP: SIGTRAP for our interrupt, the stop signal in a group stop.
                    if signal != Signals.trap {
                        stopSignal[task] = signal
                        return true
                    }
                    let registers = try Ptrace.registers(task)
                    looks += 1
                    if looks <= 200, freezer == nil, settling.isInVdso(registers, of: pid) {
                        try Ptrace.resume(task)
                        try Ptrace.interrupt(task)
                        continue
                    }
                    self.registers[task] = try settling.settle(task, of: pid, registers)
                    return true
                case .stopped(let signal, event: 0, systemCall: false):
                    // It was about to take a signal. It shall: the interrupt is still due and comes right after.
                    try Ptrace.resume(task, signal: signal)
                case .stopped: try Ptrace.resume(task)
                case .continued: continue
                case .exited, .killed:
                    forget(task)
                    return false
                }
            }
        } catch {
            if error.errno == .noProcess || error.errno == .noChild {
                forget(task)
                return false
            }
            if case .deadline = error {
                if waitsForVfork(task) {
                    throw .refused(
                        .unsupported(
                            task: task, object: "vfork in flight",
                            "it waits for a child that borrows its memory to execute a program or to end; dump it after"
                        ))
                }
                throw .refused(
                    .unsupported(
                        task: task, object: "task \(task)",
                        "it does not stop within \(stopSeconds) s: it waits in the kernel without being interruptible"))
            }
            throw Self.interruption(wakeups) ?? .system(error, task: task, doing: "stop the task")
        }
    }

    /// Waits for a task's next stop. A child that vfork(2) made may run on and let its parent go: parents come first; one
    /// that does not within a second is not waited for any longer.
    private func status(of task: Int32, _ deadline: Deadline) throws(LinuxError) -> WaitStatus {
        do {
            return try Wait.wait(for: task, deadline: Deadline(seconds: min(1, stopSeconds)), wakeups: wakeups).status
        } catch {
            guard case .deadline = error, !waitsForVfork(task) else { throw error }
        }
        return try Wait.wait(for: task, deadline: deadline, wakeups: wakeups).status
    }

    private func waitsForVfork(_ task: Int32) -> Bool {
        guard let text = try? Files.text(of: "/proc/\(task)/syscall") else { return false }
        let words = text.split(separator: " ").map { $0.hasPrefix("0x") ? $0.dropFirst(2) : $0 }
        guard words.count > 1, let first = UInt64(words[1], radix: 16) else { return false }
        let vfork: UInt64 = 0x4000  // CLONE_VFORK
        switch words[0] {
        case "58": return true  // vfork
        case "56": return first & vfork != 0  // clone
        case "435":  // clone3: the flags come first in its argument
            guard let flags = try? RemoteMemory.read(task, at: first, count: 8) else { return false }
            return flags.word(at: 0) & vfork != 0
        default: return false
        }
    }

    private func hasEnded(_ task: Int32, of pid: Int32) -> Bool {
        guard let stat = try? Procfs.stat(task) else { return true }
        return stat.state == "Z" || stat.state == "X"
    }

    private func forget(_ task: Int32) {
        seized.removeAll { $0 == task }
        seizedSet.remove(task)
    }

    /// The signal that asks the engine to end, as an error; `nil` when none came.
    static func interruption(_ wakeups: UInt64) -> EngineError? {
        let came = Signals.pending() & wakeups
        return came == 0 ? nil : .interrupted(signal: Int32(came.trailingZeroBitCount) + 1)
    }

    /// Remembers signals that must reach a process once it runs again.
    func send(_ signals: [Int32], to process: Int32) {
        for signal in signals { deferred.append((process, signal)) }
    }

    /// Lets every task run on. Errors mean that a task is gone, which is all one could want here.
    func release() {
        giveToFreezer()
        for task in seized.reversed() { try? Ptrace.detach(task) }
        awaitFreezer()
        for entry in deferred { try? Signals.send(entry.signal, to: entry.process) }
        deferred = []
        seized = []
        seizedSet = []
    }

    /// All or none: what the engine does not come to kill any more ends with it.
    func bind() {
        // One task ends its whole process.
        let options: Ptrace.Options = [.markSystemCallStops, .killOnExit]
        for process in processes where !process.isZombie { try? Ptrace.setOptions(process.subject, options) }
    }

    /// Kills every process of the tree and waits until all are gone.
    ///
    /// Children go before their parents. Where a parent was told to ignore SIGCHLD its children vanish at once, so that
    /// their PIDs are free again whatever adopts orphans here.
    func kill() throws(EngineError) {
        var depth: [Int32: Int] = [:]
        var levels: [[Process]] = []
        for process in processes {
            let level = (depth[process.parent] ?? -1) + 1
            depth[process.pid] = level
            while levels.count <= level { levels.append([]) }
            levels[level].append(process)
        }
        let deadline = Deadline(seconds: 30)
        for level in levels.reversed() {
            for process in level where !process.isZombie { try? Signals.send(Signals.kill, to: process.pid) }
            try FaultPoint.dumpEnding.reach()
            for process in level {
                // In the order in which the kernel wakes them, so that some are reaped while others end. A leader reports its
                // end only after the other threads of its process were reaped.
                for task in process.tasks.dropFirst() + process.tasks.prefix(1) { try awaitEnd(task, deadline) }
            }
        }
        giveToFreezer()
        isThawed = false
        seized = []
        seizedSet = []
    }

    private func awaitEnd(_ task: Int32, _ deadline: Deadline) throws(EngineError) {
        while true {
            do {
                if try Wait.wait(for: task, deadline: deadline).status.isEnd { return }
            } catch {
                if error.errno == .noChild { return }
                throw .system(error, task: task, doing: "wait for its end")
            }
        }
    }
}
