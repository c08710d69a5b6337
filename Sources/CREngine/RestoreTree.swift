internal import CRImage
internal import LinuxKit

/// The tasks that a restore has created so far, all of them stubs under ptrace.
///
/// Every task is traced with PTRACE_O_EXITKILL: whatever happens to the engine, no half-made task survives it.
///
/// - Precondition: All methods run on one thread.
final class RestoreTree {
    static let options: Ptrace.Options = [.markSystemCallStops, .killOnExit]
    /// With events at births, which tell the newcomer's ID as the engine sees it.
    private static let eventOptions = options.union([.traceFork, .traceVfork, .traceClone])

    /// Live processes and zombies to be, by PID in the image.
    var processes: [Int32: RestoreStub] = [:]
    /// Tasks beside the first of their process, by TID in the image.
    private(set) var threads: [Int32: RestoreStub] = [:]
    /// Passing children that hold a PID.
    var holders: [Int32: RestoreStub] = [:]
    /// The first process of a PID namespace of our own.
    private(set) var namespaceInit: RestoreStub?
    /// The kernel's special mappings, the same in every stub.
    private(set) var specials: [Mapping] = []
    let area: RestoreStub.Area
    /// Sessions take their terminals from here.
    var terminals: RestoreTerminals?
    let contents: ImageContents
    private(set) lazy var records = RestoreRecords(contents)
    let wakeups: UInt64
    private let isNamespaced: Bool
    /// Whether births are told by events: where stubs count in other PID namespaces than the engine.
    private let hasEvents: Bool
    private let pages: SharedPages
    private let lanes: RemoteLanes
    var namespaces: RestoreNamespaces?

    init(_ contents: ImageContents, wakeups: UInt64, newPidNamespace: Bool) throws(EngineError) {
        self.contents = contents
        self.wakeups = wakeups
        isNamespaced = newPidNamespace || RestoreNamespaces.rootRecord(contents, .pid) != nil
        let own = try EngineError.wrap("read the engine's own mappings") { () throws(LinuxError) in
            try Procfs.mappingsWithoutFlags(Int32(Kernel.attempt(.getpid)))
        }
        let area = RestoreStub.Area(start: Self.freeRange(contents.addressSpaces, own))
        self.area = area
        hasEvents = isNamespaced || contents.namespaces.contains { $0.kind == .pid }
        pages = try EngineError.wrap("map the pages that stubs share") { () throws(LinuxError) in
            let pages = try SharedPages(
                at: area.data, count: Int(RestoreStub.Area.pagesBytes - (area.data - area.start)))
            try SharedPages.mapCode(
                at: area.start,
                [
                    (0, RemoteInstruction.systemCall), (Int(area.benchCode - area.start), RemoteProgram.trapping),
                ])
            return pages
        }
        lanes = RemoteLanes(pages, start: area.lanes, code: area.benchCode)
    }

    deinit { SharedPages.unmapCode(at: area.code) }

    /// A range that is free everywhere, far from where heaps and stacks grow: the lowest from 1 TiB on.
    static func freeRange(_ spaces: [AddressSpaceRecord], _ own: [Mapping]) -> UInt64 {
        var taken = spaces.flatMap { $0.vmas.map { $0.start..<$0.end } } + own.map { $0.start..<$0.end }
        taken.sort { $0.lowerBound < $1.lowerBound }
        // A little room on both sides, for stacks that grow and for guard gaps.
        let margin: UInt64 = 16 << 20
        var candidate: UInt64 = 1 << 40
        for range in taken where range.upperBound + margin > candidate {
            if range.lowerBound >= candidate + RestoreStub.Area.sizeBytes + margin { break }
            candidate = range.upperBound + margin
        }
        return candidate
    }

    private lazy var places: [Int32: Int] = Dictionary(
        contents.processes.enumerated().map { ($1.pid, $0) }, uniquingKeysWith: { first, _ in first })

    /// A process of the image; `nil` for a passing task.
    func record(of pid: Int32) -> ProcessRecord? { places[pid].map { contents.processes[$0] } }

    /// The TID that the engine sees, of a TID of the image.
    func outer(_ tid: Int32) -> Int32 { (processes[tid] ?? threads[tid])?.outer ?? tid }

    /// An ID as a task of the process sees it, of the engine's.
    func inside(_ id: UInt32, _ process: Int32, isGroup: Bool) -> UInt64 {
        namespaces?.inside(id, process, isGroup: isGroup) ?? UInt64(id)
    }

    // MARK: Creating

    /// Creates all processes, with their sessions and groups.
    ///
    /// - Parameters:
    ///   - beforeForks: Called once, with the root.
    ///   - beforeFork: Called before each fork: what the child is to find in its memory must be there.
    ///   - born: Called with each live process but the root, when it is there.
    /// - Precondition: ``createRoot()`` has made the root's stub.
    func create(
        _ plan: RelationPlan, _ namespaces: RestoreNamespaces,
        beforeForks: (RestoreStub) throws(EngineError) -> Void,
        beforeFork: () throws(EngineError) -> Void, born: (RestoreStub) throws(EngineError) -> Void
    ) throws(EngineError) {
        self.namespaces = namespaces
        let root = try process(contents.header.root)
        try beforeForks(root)
        let live = Set(contents.processes.lazy.filter { !$0.isZombie }.map(\.pid))
        for step in plan.steps {
            if let error = FrozenTree.interruption(wakeups) { throw error }
            guard case .fork(_, let child) = step else {
                try perform(step)
                continue
            }
            try beforeFork()
            try perform(step)
            if live.contains(child) { try born(try process(child)) }
        }
    }

    /// Creates the root's stub, which shares the engine's descriptors until it is told otherwise: what is opened once its
    /// namespaces are there reaches it that way.
    func createRoot(_ plan: RelationPlan) throws(EngineError) -> RestoreStub {
        let root = try createRoot(session: plan.rootSession)
        processes[contents.header.root] = root
        return root
    }

    private func createRoot(session: Int32) throws(EngineError) -> RestoreStub {
        let pid = contents.header.root
        let flags = RestoreNamespaces.birthFlags(contents)
        if flags & Namespaces.Flag.pid != 0 { return try takeOver(spawn([], flags), tid: pid) }
        if isNamespaced {
            try EngineError.wrap("create a PID namespace") { () throws(LinuxError) in try RestoreCalls.unshare(.pid) }
            let first = try takeOver(spawn([], pid == 1 ? flags : 0), tid: 1)
            if pid == 1 { return first }
            namespaceInit = first
            let root: RestoreStub
            if session == 0 {
                root = try fork(first, child: pid, flags: Self.cloneFiles | flags, exitSignal: Signals.child)
            } else {
                let founder = try fork(first, child: session, flags: Self.cloneFiles, exitSignal: Signals.child)
                root = try fork(pid, bornIn: founder, flags)
                try first.call(.wait4, [UInt64(session), 0, 0x4000_0000, 0], doing: "reap a passing child")
            }
            // It will close what it has.
            try first.call(.unshare, [Self.cloneFiles], doing: "have descriptors of its own")
            return root
        }
        if session == 0 { return try takeOver(spawn([pid], flags), tid: pid) }
        // The founder of the root's session is gone. The engine adopts what a passing founder leaves behind.
        try EngineError.wrap("adopt orphans") { () throws(LinuxError) in
            _ = try Kernel.call(.prctl, 36, 1, on: "this process")
        }
        defer { _ = Kernel.attempt(.prctl, 36, 0) }
        return try fork(pid, bornIn: try takeOver(spawn([session], 0), tid: session), flags)
    }

    private static let cloneFiles: UInt64 = 0x400

    /// Forks the root from a passing founder of its session, which ends.
    func fork(
        _ pid: Int32, bornIn founder: RestoreStub, _ flags: UInt64
    ) throws(EngineError) -> RestoreStub {
        holders[founder.tid] = founder
        try founder.call(.setsid, [], doing: "found session \(founder.tid)")
        let root = try fork(founder, child: pid, flags: Self.cloneFiles | flags, exitSignal: Signals.child)
        processes[pid] = root
        try end(founder, status: 9)
        holders[founder.tid] = nil
        return root
    }

    private func spawn(_ pids: [Int32], _ flags: UInt64) throws(EngineError) -> Int32 {
        do {
            let spawned = try Spawn.pausedTask(
                namespaces: SpawnRequest.Namespaces(rawValue: flags), pids: pids, sharesFiles: true)
            Files.close(spawned.pidfd)
            return spawned.pid
        } catch {
            throw Self.creation(error.errno, pids.first, error)
        }
    }

    private static func creation(_ errno: Errno?, _ tid: Int32?, _ error: LinuxError) -> EngineError {
        if errno == .exists {
            return .busy(
                "PID \(tid ?? 0) is in use", task: tid,
                next: "end what uses it, or restore with --new-pid-namespace")
        }
        return .system(error, task: tid, doing: "create the task")
    }

    /// Seizes a task that waits in pause(2) and gives it the engine's pages.
    private func takeOver(_ outer: Int32, tid: Int32) throws(EngineError) -> RestoreStub {
        do {
            try Ptrace.seize(outer, hasEvents ? Self.eventOptions : Self.options)
            try Ptrace.interrupt(outer)
        } catch {
            try? Signals.send(Signals.kill, to: outer)
            throw .system(error, task: tid, doing: "take over the new task")
        }
        try awaitStop(outer, tid)
        let mappings = try EngineError.wrap("read the new task's mappings", task: tid) { () throws(LinuxError) in
            try Procfs.mappingsWithoutFlags(outer)
        }
        specials = mappings.filter { $0.name == "[vdso]" || $0.name.hasPrefix("[vvar") }
        // It has the engine's pages from its birth.
        let remote = try RemoteTask(task: outer, systemCallAddress: area.code)
        remote.wakeups = wakeups
        remote.pages = pages
        let stub = RestoreStub(tid: tid, outer: outer, remote: remote, area: area)
        // The engine may have been started with SIGTRAP ignored.
        let action = try stub.put(words: [0, 0, 0, 0])
        try stub.call(.rt_sigaction, [UInt64(Signals.trap), action, 0, 8], doing: "let the engine's traps through")
        if trapsAreHarmless {
            remote.lanes = lanes
            try EngineError.wrap("let the engine's traps through", task: tid) { () throws(LinuxError) in
                try Ptrace.setSignalMask(outer, remote.quietMask)
            }
        }
        try unregisterRseq(stub)
        return stub
    }

    /// The engine's own C library has registered rseq, and children inherit that; the kernel would kill a stub whose
    /// registered memory is gone.
    private func unregisterRseq(_ stub: RestoreStub) throws(EngineError) {
        let known: Ptrace.RseqConfiguration?
        do { known = try Ptrace.rseqConfiguration(stub.outer) } catch { known = nil }
        if let known {
            if known.address == 0 { return }
            try stub.call(
                .rseq, [known.address, UInt64(known.sizeBytes), 1, UInt64(known.signature)],
                doing: "take back the engine's own rseq registration")
            return
        }
        // Before 5.13 the kernel does not tell. glibc's area lies near the thread pointer, on a multiple of 32 bytes;
        // unregistering a wrong address fails and does nothing.
        for distance in stride(from: Int64(0), to: 8192, by: 32) {
            for sign in [Int64(1), -1] {
                let address = (stub.remote.original.fsBase & ~31) &+ UInt64(bitPattern: distance * sign)
                if try stub.attempt(.rseq, [address, 32, 1, 0x5305_3053]) == nil { return }
            }
        }
    }

    private func awaitStop(_ outer: Int32, _ tid: Int32) throws(EngineError) {
        let deadline = Deadline(seconds: 30)
        while true {
            let status = try EngineError.wrap("wait for the new task", task: tid) { () throws(LinuxError) in
                try Wait.wait(for: outer, deadline: deadline, wakeups: wakeups).status
            }
            switch status {
            case .stopped(_, event: 128, _): return
            case .stopped(let signal, event: 0, systemCall: false):
                try EngineError.wrap("stop the new task", task: tid) { () throws(LinuxError) in
                    try Ptrace.resume(outer, signal: signal)
                }
            case .stopped:
                try EngineError.wrap("stop the new task", task: tid) { () throws(LinuxError) in
                    try Ptrace.resume(outer)
                }
            case .continued: continue
            case .exited, .killed: throw .derailed(task: tid, "it ended while it was being created")
            }
        }
    }

    /// Makes a stub fork (or clone) another one, which the kernel attaches to the engine at its birth.
    func fork(
        _ parent: RestoreStub, child: Int32, flags: UInt64, exitSignal: Int32
    ) throws(EngineError) -> RestoreStub {
        let isThread = flags & 0x10000 != 0
        let prepared: (flags: UInt64, pids: [Int32]) =
            isThread ? threadPids(child) : try namespaces?.prepareFork(parent, child) ?? (0, [child])
        try parent.flush()
        let tid = try parent.put(prepared.pids.flatMap { NetworkLinks.bytes(UInt32(bitPattern: $0)) }, at: 128)
        let arguments = try parent.put(
            words: cloneArguments(flags | prepared.flags, exitSignal, (tid, prepared.pids.count)))
        let answer = try parent.remote.attempt(.clone3, [arguments, 80])
        if let errno = Kernel.errno(of: answer) {
            throw Self.creation(errno, child, .call("clone3", object: "PID \(child)", errno))
        }
        let outer = parent.remote.created.last ?? Int32(truncatingIfNeeded: answer)
        let stub = adopt(outer, tid: child, of: parent)
        if !isThread { try namespaces?.endFork(parent, child) }
        return stub
    }

    /// struct clone_args, version 1: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    /// set_tid_size.
    private func cloneArguments(
        _ flags: UInt64, _ exitSignal: Int32, _ pids: (address: UInt64, count: Int)
    ) -> [UInt64] {
        // CLONE_PTRACE attaches without a stop of the parent.
        [
            flags | (hasEvents ? 0 : 0x2000), 0, 0, 0, UInt64(exitSignal), 0, 0, 0, pids.address, UInt64(pids.count),
        ]
    }

    /// IDs in the PID namespaces below, of the tasks that are in some.
    private lazy var innerTids: [Int32: [Int32]] = Dictionary(
        contents.tasks.lazy.filter { !$0.innerTids.isEmpty }.map { ($0.tid, $0.innerTids) },
        uniquingKeysWith: { first, _ in first })

    private func threadPids(_ tid: Int32) -> (flags: UInt64, pids: [Int32]) {
        (0, (innerTids[tid] ?? []).reversed() + [tid])
    }

    /// Whether no task of the image would notice the engine's traps: none ignores SIGTRAP or has one pending.
    private lazy var trapsAreHarmless: Bool = {
        let trap = Signals.trap
        let ignores = contents.signalTables.contains { table in
            table.actions.count >= trap && table.actions[Int(trap) - 1].handler == 1
        }
        let isPending =
            contents.tasks.contains { $0.pendingSignals.contains { $0.half(at: 0) == UInt32(trap) } }
            || contents.processes.contains { $0.pendingSignals.contains { $0.half(at: 0) == UInt32(trap) } }
        return !ignores && !isPending
    }()

    /// Takes in a stub that was born attached.
    private func adopt(_ outer: Int32, tid: Int32, of parent: RestoreStub) -> RestoreStub {
        let stub = RestoreStub(
            tid: tid, outer: outer, remote: RemoteTask(newborn: outer, of: parent.remote), area: area)
        stub.memory = parent.memory
        return stub
    }

    /// Waits until every stub has made its calls.
    func settle() throws(EngineError) { try lanes.settle() }

    /// Makes a stub clone many threads of its process.
    private func clone(_ tids: [Int32], from parent: RestoreStub, flags: UInt64) throws(EngineError) {
        var rest = tids[...]
        while !rest.isEmpty {
            let piece = rest.prefix(100)
            rest = rest.dropFirst(piece.count)
            try parent.flush()
            var batch = RemoteBatch()
            for tid in piece {
                let pids = threadPids(tid).pids
                let numbers = try parent.hold(
                    pids.flatMap { pid in (0..<4).map { UInt8(truncatingIfNeeded: pid >> ($0 * 8)) } })
                let arguments = try parent.hold(words: cloneArguments(flags, 0, (numbers, pids.count)))
                batch.ask(.clone3, arguments, 80)
            }
            let answers = try parent.remote.run(batch)
            let outers = parent.remote.created
            // Those that were made must be known, or nobody would end them after an error.
            var index = 0
            var failure: EngineError?
            for (tid, answer) in zip(piece, answers) {
                if let errno = Kernel.errno(of: answer) {
                    failure = failure ?? Self.creation(errno, tid, .call("clone3", object: "TID \(tid)", errno))
                    continue
                }
                let outer = index < outers.count ? outers[index] : Int32(truncatingIfNeeded: answer)
                index += 1
                let thread = adopt(outer, tid: tid, of: parent)
                thread.process = parent.process
                threads[tid] = thread
            }
            if let failure { throw failure }
        }
    }

    func process(_ pid: Int32) throws(EngineError) -> RestoreStub {
        guard let stub = processes[pid] else { throw .derailed(task: pid, "it was not created") }
        return stub
    }

    /// Creates the other tasks of a process.
    ///
    /// - Parameter tasks: All of its tasks.
    func createThreads(of pid: Int32, _ tasks: [TaskRecord]) throws(EngineError) {
        if tasks.count < 2 { return }
        // VM, SIGHAND, THREAD, SYSVSEM
        let flags: UInt64 = 0x100 | 0x800 | 0x10000 | 0x40000
        var owners = [(table: UInt32(0), system: UInt32(0), stub: try process(pid))]
        let plain = tasks.filter { $0.tid != pid && $0.fileTable == 0 && $0.fileSystem == 0 }
        if plain.count > 1, trapsAreHarmless {
            // CLONE_FILES, CLONE_FS
            try clone(plain.map(\.tid), from: owners[0].stub, flags: flags | 0x600)
        }
        for task in tasks where task.tid != pid && threads[task.tid] == nil {
            // Tables are shared with whoever clones. CLONE_FILES, CLONE_FS
            var parent = owners[0]
            if let same = owners.first(where: { $0.table == task.fileTable && $0.system == task.fileSystem }) {
                parent = same
            } else if let same = owners.first(where: { $0.table == task.fileTable && task.fileTable != 0 }) {
                parent = same
            } else if let same = owners.first(where: { $0.system == task.fileSystem }) {
                parent = same
            }
            let shared: UInt64 =
                (parent.table == task.fileTable ? 0x400 : 0) | (parent.system == task.fileSystem ? 0x200 : 0)
            let thread = try fork(parent.stub, child: task.tid, flags: flags | shared, exitSignal: 0)
            thread.process = pid
            threads[task.tid] = thread
            if shared != 0x600 { owners.append((task.fileTable, task.fileSystem, thread)) }
        }
    }

    // MARK: Ending

    /// Kills everything that was created. Errors mean that a task is gone already.
    func destroy() {
        let all = Array(processes.values) + Array(holders.values) + (namespaceInit.map { [$0] } ?? [])
        for stub in all { try? Signals.send(Signals.kill, to: stub.outer) }
        let deadline = Deadline(seconds: 10)
        // In no order: the first process of a PID namespace ends only when all others there were reaped.
        var left = Set((Array(threads.values) + all).map(\.outer))
        while !left.isEmpty, deadline.remainingNanoseconds > 0 {
            for outer in left {
                do {
                    while let found = try Wait.poll(outer) {
                        if found.status.isEnd { break }
                    }
                } catch {
                    // Nobody's child any more.
                    left.remove(outer)
                }
            }
            if !left.isEmpty { _ = Signals.take(Signals.mask([Signals.child]), timeoutNanoseconds: 1_000_000) }
        }
        processes = [:]
        threads = [:]
        holders = [:]
    }
}
