public import LinuxKit

/// A stopped task in which the engine makes system calls.
///
/// The task executes a `syscall` instruction that its address space already holds, between two ptrace system-call stops.
/// No breakpoint and no single step: both arrive as a forced SIGTRAP, and the kernel resets a blocked or ignored SIGTRAP
/// to its default, which the workload would notice. What the calls leave behind is undone by ``park()``: registers
/// (`orig_rax` included), signal mask and scratch memory.
///
/// - Precondition: All methods run on the thread that seized the task.
public final class RemoteTask {
    enum Place {
        /// In PTRACE_EVENT_STOP, where the kernel has yet to restart an interrupted call.
        case eventStop
        /// Behind a remote call.
        case systemCallExit
        /// Behind a series of calls, at the delivery of its trap: the kernel has yet to look at the registers, too.
        case trap
    }

    public let task: Int32
    /// What the task gets back in ``park()``. Restore replaces it by what the image says.
    public var original: Registers
    /// The mask that the task gets back in ``park()``.
    public var originalMask: UInt64
    /// Signals that arrived during remote calls and could not be blocked (SIGSTOP); to be sent again after the end.
    public private(set) var deferredSignals: [Int32] = []
    /// Address of a `syscall` instruction in the task's memory; restore moves it when it replaces the mappings.
    public var systemCallAddress: UInt64
    /// Writable memory in the task for arguments; mapped at the first use, gone after ``park()``.
    public private(set) var scratch: RemoteMemory.Range?
    /// Blocked signals of the engine that end a wait with `EngineError.interrupted`.
    public var wakeups: UInt64 = 0

    /// How the task's own system calls are dispatched, off during remote calls; ``park()`` sets it. `nil` when the kernel
    /// cannot tell or nothing is on.
    public var userDispatch: Ptrace.UserDispatch?
    /// Whether calls may be dispatched and the kernel does not tell (5.11 to 6.3). SIGSYS is not blocked then: a call that
    /// is dispatched forces that signal, and the kernel would reset the action of a blocked one.
    let hidesDispatch: Bool
    /// Where many calls can be made in one stop; `nil` makes each in stops of its own.
    var bench: RemoteBench?

    /// Where a stub makes calls without stops of their own; `nil` for other tasks.
    var lanes: RemoteLanes?
    /// Which of them it has, how far arguments fill it, and what it is doing there.
    var lane: Int?
    var heldOffset: UInt64 = 0
    var running: RemoteBatch?
    /// Memory that the engine has too, at the same address.
    var pages: SharedPages?
    /// Nobody has waited for its birth yet.
    var isNewborn = false

    /// Calls that were put off, to be made in one stop.
    private var waiting = RemoteBatch()
    /// Calls that were put off and might fail, and did.
    var failures: [String] = []
    /// TIDs, as the engine sees them, of the tasks that calls in a batch have created, in order.
    var created: [Int32] = []

    private var scratchIsLent = false
    /// What ``openBench()`` has mapped: scratch memory, code and table.
    private var benchMapping: RemoteMemory.Range?
    var place = Place.eventStop
    private var isResting = false
    let timeoutSeconds: Double

    /// Takes over a task that stands in PTRACE_EVENT_STOP, and blocks its signals.
    public init(task: Int32, systemCallAddress: UInt64, timeoutSeconds: Double = 30) throws(EngineError) {
        self.task = task
        self.systemCallAddress = systemCallAddress
        self.timeoutSeconds = timeoutSeconds
        let dispatch = Ptrace.userDispatch(task)
        hidesDispatch = dispatch == nil && Ptrace.canDispatch
        let quiet = Self.quietMask(hidesDispatch)
        (original, originalMask) = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
            let registers = try Ptrace.registers(task)
            let mask = try Ptrace.signalMask(task)
            try Ptrace.setSignalMask(task, quiet)
            return (registers, mask)
        }
        if let dispatch, dispatch.mode != 0 {
            userDispatch = dispatch
            try EngineError.wrap("suspend user dispatch", task: task) { () throws(LinuxError) in
                try Ptrace.setUserDispatch(task, Ptrace.UserDispatch())
            }
        }
    }

    /// Takes over a task that was born attached, of a stub whose registers and mask it has.
    init(newborn task: Int32, of parent: RemoteTask) {
        self.task = task
        hidesDispatch = false
        systemCallAddress = parent.systemCallAddress
        timeoutSeconds = parent.timeoutSeconds
        original = parent.original
        originalMask = ~0
        wakeups = parent.wakeups
        lanes = parent.lanes
        pages = parent.pages
        bench = parent.bench
        isNewborn = true
        // Its parent was stopped in a call when it is not on a lane, and has everything blocked either way.
        isResting = false
    }

    /// The calls that were put off, which are put off no more.
    func takeWaiting() -> RemoteBatch {
        defer { waiting = RemoteBatch() }
        return waiting
    }

    /// Takes over a task whose registers are known, and leaves it as it is until the first call.
    init(resting task: Int32, _ registers: Registers, systemCallAddress: UInt64) throws(EngineError) {
        self.task = task
        self.systemCallAddress = systemCallAddress
        timeoutSeconds = 30
        isResting = true
        let dispatch = Ptrace.userDispatch(task)
        hidesDispatch = dispatch == nil && Ptrace.canDispatch
        original = registers
        originalMask = try EngineError.wrap("read the signal mask", task: task) { () throws(LinuxError) in
            try Ptrace.signalMask(task)
        }
        if let dispatch, dispatch.mode != 0 { userDispatch = dispatch }
    }

    /// Gives a task that stands in a stop by a signal its registers and mask back.
    func giveBack() throws(EngineError) {
        try EngineError.wrap("give the task its registers back", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, original)
            try Ptrace.setSignalMask(task, originalMask)
        }
    }

    /// Makes one call and returns the kernel's raw answer.
    public func attempt(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) -> Int64 {
        try flush()
        return try settled(call, arguments)
    }

    func settled(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) -> Int64 {
        // A stop request that was already on its way makes a call return a restart code without effect; the second
        // time nothing is pending any more.
        for _ in 0..<16 {
            let answer = try once(call, arguments)
            if RestartCode(rawValue: answer) == nil { return answer }
        }
        throw .derailed(task: task, "\(call.name) is interrupted again and again")
    }

    /// Makes one call; a failure is an error that names what the engine was `doing`.
    @discardableResult
    public func call(_ call: SystemCall, _ arguments: UInt64..., doing: String) throws(EngineError) -> UInt64 {
        let answer = try attempt(call, arguments)
        if let errno = Kernel.errno(of: answer) { throw .remote(call: call.name, task: task, errno, doing: doing) }
        return UInt64(bitPattern: answer)
    }

    /// Puts off a call that must succeed; it is made before any other of this task, and before its memory is read.
    func later(_ call: SystemCall, _ arguments: [UInt64], doing: @escaping () -> String) throws(EngineError) {
        if running != nil { try collect() }
        guard let bench else {
            let answer = try attempt(call, arguments)
            if let errno = Kernel.errno(of: answer) {
                throw .remote(call: call.name, task: task, errno, doing: doing())
            }
            return
        }
        waiting.add(call, arguments, doing: doing)
        if waiting.count == bench.capacity { try flush() }
    }

    /// Puts off a call that may fail; ``failures`` says so afterwards.
    func laterIfPossible(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) {
        waiting.ask(call, arguments)
        if waiting.count == bench?.capacity ?? 1 { try flush() }
    }

    /// Makes the calls that were put off.
    func flush() throws(EngineError) {
        if lanes != nil {
            try launch()
            return try collect()
        }
        if waiting.count == 0 { return }
        let batch = takeWaiting()
        try check(batch, try run(batch))
    }

    /// Makes many calls one after the other, in one stop where the task has a place for that.
    ///
    /// All of them are made, whatever they answer. Calls that must succeed throw after the last one.
    ///
    /// - Returns: The raw answers, in the order of the batch.
    @discardableResult
    func run(_ batch: RemoteBatch) throws(EngineError) -> [Int64] {
        if running != nil || waiting.count > 0 { try flush() }
        created = []
        var answers: [Int64] = []
        answers.reserveCapacity(batch.entries.count)
        var rest = batch.entries[...]
        while !rest.isEmpty {
            let piece = rest.prefix(bench?.capacity ?? 1)
            rest = rest.dropFirst(piece.count)
            if let lanes {
                answers += try run(piece, in: lanes)
            } else if let bench, piece.count > 1 {
                answers += try run(piece, on: bench)
            } else {
                for entry in piece { answers.append(try settled(entry.call, entry.arguments)) }
            }
        }
        leaveLane()
        for (entry, answer) in zip(batch.entries, answers) {
            guard let doing = entry.doing, let errno = Kernel.errno(of: answer) else { continue }
            throw .remote(call: entry.call.name, task: task, errno, doing: doing())
        }
        return answers
    }

    private func run(
        _ entries: ArraySlice<RemoteBatch.Entry>, on bench: RemoteBench
    ) throws(EngineError) -> [Int64] {
        try wake()
        try write(words: RemoteBench.table(entries), at: bench.table)
        var registers = original
        registers.rip = bench.code
        registers.origRax = UInt64.max
        registers.rbx = bench.table
        registers.r12 = UInt64(entries.count)
        try EngineError.wrap("start a series of calls", task: task) { () throws(LinuxError) in
            // The trap at the end must not meet a blocked signal: the kernel would reset its action.
            try Ptrace.setSignalMask(task, quietMask & ~Signals.mask([Signals.trap]))
            try Ptrace.setRegisters(task, registers)
        }
        place = .systemCallExit
        try runToTrap(bench)
        try EngineError.wrap("end a series of calls", task: task) { () throws(LinuxError) in
            try Ptrace.setSignalMask(task, quietMask)
        }
        let table = try EngineError.wrap("read the answers", task: task) { () throws(LinuxError) in
            try RemoteMemory.read(task, at: bench.table, count: entries.count * RemoteBench.entryBytes)
        }
        var answers: [Int64] = []
        answers.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() {
            var answer = Int64(bitPattern: table.word(at: index * RemoteBench.entryBytes + 56))
            if RestartCode(rawValue: answer) != nil { answer = try settled(entry.call, entry.arguments) }
            answers.append(answer)
        }
        return answers
    }

    private func runToTrap(_ bench: RemoteBench) throws(EngineError) {
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let status = try step(deadline, "calls in task \(task)") { () throws(LinuxError) in
                try Ptrace.resume(task)
            }
            switch status {
            case .stopped(Signals.trap, event: 0, systemCall: false):
                let registers = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
                    try Ptrace.registers(task)
                }
                if registers.rip == bench.end { return }
                // Somebody else's SIGTRAP, which came while it was let through.
                deferredSignals.append(Signals.trap)
            case .stopped(let signal, event: 0, _): try deferSignal(signal)
            case .stopped(_, event: 1...3, _): try noteBirth()
            case .stopped, .continued: continue
            case .exited, .killed: throw .derailed(task: task, "it ended during the engine's calls")
            }
        }
    }

    private func once(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) -> Int64 {
        precondition(arguments.count <= 6, "a system call has at most six arguments")
        if let lanes {
            let entry = RemoteBatch.Entry(call: call, arguments: arguments, doing: nil)
            let answer = try run([entry], in: lanes)[0]
            if waiting.count == 0 { leaveLane() }
            return answer
        }
        try wake()
        created = []
        var registers = original
        registers.rip = systemCallAddress
        registers.rax = call.rawValue
        // No restart and no mix-up with the interrupted call of the workload.
        registers.origRax = UInt64.max
        registers.rdi = arguments.count > 0 ? arguments[0] : 0
        registers.rsi = arguments.count > 1 ? arguments[1] : 0
        registers.rdx = arguments.count > 2 ? arguments[2] : 0
        registers.r10 = arguments.count > 3 ? arguments[3] : 0
        registers.r8 = arguments.count > 4 ? arguments[4] : 0
        registers.r9 = arguments.count > 5 ? arguments[5] : 0
        try EngineError.wrap("set the registers for \(call.name)", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, registers)
        }
        place = .systemCallExit
        try runToSystemCallStop(call)
        try runToSystemCallStop(call)
        let after = try EngineError.wrap("read the answer of \(call.name)", task: task) { () throws(LinuxError) in
            try Ptrace.registers(task)
        }
        return Int64(bitPattern: after.rax)
    }

    func runToSystemCallStop(_ call: SystemCall) throws(EngineError) {
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let status = try step(deadline, "\(call.name) in task \(task)") { () throws(LinuxError) in
                try Ptrace.resumeToSystemCall(task)
            }
            switch status {
            case .stopped(_, _, systemCall: true): return
            case .stopped(let signal, event: 0, _): try deferSignal(signal)
            case .stopped(_, event: 1...3, _): try noteBirth()
            // A trap for a group stop that begins or ends; the call goes on.
            case .stopped: continue
            case .exited, .killed: throw .derailed(task: task, "it ended during \(call.name)")
            case .continued: continue
            }
        }
    }

    /// Ends the series of remote calls: unmaps the scratch memory and brings the task to a stop in which the kernel
    /// treats the original registers as if nothing had happened, restarting an interrupted call included.
    ///
    /// - Postcondition: The task stands in PTRACE_EVENT_STOP with its own registers and mask; it may be detached,
    ///   killed, or taken over again.
    public func park() throws(EngineError) {
        try flush()
        if let range = scratch, !scratchIsLent, range.start != benchMapping?.start {
            scratch = nil
            _ = try attempt(.munmap, [range.start, UInt64(range.count)])
        }
        if let range = benchMapping {
            benchMapping = nil
            bench = nil
            _ = try attempt(.munmap, [range.start, UInt64(range.count)])
        }
        try rest()
        scratch = nil
        if scratchIsLent { bench = nil }
        scratchIsLent = false
    }

    /// Gives the task its registers and mask back until the next call: should the engine be killed meanwhile, the task
    /// runs on unharmed. Its scratch memory stays.
    func rest() throws(EngineError) {
        try flush()
        try awaitBirth()
        // Not at the delivery of a trap either: should the engine end, the kernel would deliver it.
        if place != .eventStop { try stopAgain() }
        try EngineError.wrap("give the task its registers back", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, original)
            try Ptrace.setSignalMask(task, originalMask)
            if let userDispatch { try Ptrace.setUserDispatch(task, userDispatch) }
        }
        place = .eventStop
        isResting = true
    }

    /// Makes a task that rests ready for calls.
    func wake() throws(EngineError) {
        try awaitBirth()
        if !isResting { return }
        isResting = false
        try EngineError.wrap("block the task's signals", task: task) { () throws(LinuxError) in
            try Ptrace.setSignalMask(task, quietMask)
            if userDispatch != nil { try Ptrace.setUserDispatch(task, Ptrace.UserDispatch()) }
        }
    }

    /// Brings the task to PTRACE_EVENT_STOP.
    func stopAgain() throws(EngineError) {
        try EngineError.wrap("stop the task again", task: task) { () throws(LinuxError) in
            try Ptrace.interrupt(task)
        }
        let deadline = Deadline(seconds: timeoutSeconds)
        while true {
            let status = try step(deadline, "task \(task) to stop") { () throws(LinuxError) in
                try Ptrace.resume(task)
            }
            switch status {
            case .stopped(_, event: 128, _): return  // PTRACE_EVENT_STOP
            case .stopped(let signal, event: 0, systemCall: false): try deferSignal(signal)
            case .stopped, .continued: continue
            case .exited, .killed: throw .derailed(task: task, "it ended before it could be let go")
            }
        }
    }

    func step(
        _ deadline: Deadline, _ what: String, _ resume: () throws(LinuxError) -> Void
    ) throws(EngineError) -> WaitStatus {
        do {
            try resume()
            // Not interruptible: a call under way cannot be abandoned without leaving its registers in the task.
            return try Wait.wait(for: task, deadline: deadline).status
        } catch {
            throw .system(error, task: task, doing: "run \(what)")
        }
    }

    func deferSignal(_ signal: Int32) throws(EngineError) {
        if hidesDispatch, signal == Signals.badCall, Ptrace.isDispatch(task) { throw hiddenDispatch() }
        // SIGTRAP|0 without an event is the kernel's echo of our own resume on old kernels, never the workload's: its
        // signals are all blocked.
        if signal != Signals.trap { deferredSignals.append(signal) }
    }

    // MARK: Memory

    /// Gives writable memory in the task, at least `count` bytes, page-aligned.
    public func scratch(count: Int = 4096) throws(EngineError) -> UInt64 {
        if let scratch, scratch.count >= count { return scratch.start }
        if let old = scratch, old.start != benchMapping?.start {
            scratch = nil
            try call(.munmap, old.start, UInt64(old.count), doing: "unmap scratch memory")
        }
        let size = (count + 4095) / 4096 * 4096
        // PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS
        let start = try call(.mmap, 0, UInt64(size), 3, 0x22, UInt64.max, 0, doing: "map scratch memory")
        scratch = RemoteMemory.Range(start: start, count: size)
        return start
    }

    /// Maps scratch memory together with a bench, which ``park()`` unmaps; without a bench where the kernel or the
    /// task's own rules forbid memory that is both writable and executable.
    ///
    /// - Parameter lanes: For how many tasks at once there shall be room behind it.
    /// - Precondition: The task neither ignores SIGTRAP nor has one pending.
    func openBench(lanes: Int = 0) throws(EngineError) {
        let size = (3 * 4096 + lanes * Int(RemoteCrowd.laneBytes) + 4095) / 4096 * 4096
        // PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS
        let answer = try attempt(.mmap, [0, UInt64(size), 7, 0x22, UInt64.max, 0])
        guard Kernel.errno(of: answer) == nil else { return }
        let start = UInt64(bitPattern: answer)
        try write(RemoteBench.program, at: start + 4096)
        if lanes > 0 { try write(Array(RemoteCrowd.program), at: start + 4096 + 256) }
        benchMapping = RemoteMemory.Range(start: start, count: size)
        scratch = RemoteMemory.Range(start: start, count: 4096)
        bench = RemoteBench(code: start + 4096, table: start + 8192, capacity: 4096 / RemoteBench.entryBytes)
    }

    /// The lanes behind the bench.
    func crowd(_ lanes: Int, signal: Int32) -> RemoteCrowd? {
        guard let range = benchMapping, range.count >= 3 * 4096 + lanes * Int(RemoteCrowd.laneBytes) else { return nil }
        return RemoteCrowd(
            code: range.start + 4096 + 256, lanes: range.start + 3 * 4096, capacity: lanes, signal: signal)
    }

    /// Uses memory that another task of the same address space has mapped and will unmap.
    public func borrowScratch(of other: RemoteTask) {
        bench = other.bench
        scratch = other.scratch
        scratchIsLent = scratch != nil
    }

    /// Reads the task's memory.
    public func read(at address: UInt64, count: Int) throws(EngineError) -> [UInt8] {
        try flush()
        if let pages, pages.holds(address, count) { return pages.read(at: address, count: count) }
        return try EngineError.wrap("read memory", task: task) { () throws(LinuxError) in
            try RemoteMemory.read(task, at: address, count: count)
        }
    }

    /// Writes the task's memory, which must be writable for the task itself.
    public func write(_ bytes: [UInt8], at address: UInt64) throws(EngineError) {
        if let pages, pages.holds(address, bytes.count) { return pages.write(bytes, at: address) }
        try EngineError.wrap("write memory", task: task) { () throws(LinuxError) in
            try RemoteMemory.write(task, at: address, bytes)
        }
    }

    /// Writes 64-bit words.
    public func write(words: [UInt64], at address: UInt64) throws(EngineError) {
        try EngineError.wrap("write memory", task: task) { () throws(LinuxError) in
            try RemoteMemory.write(
                task, [RemoteMemory.Range(start: address, count: words.count * 8)], words: words)
        }
    }

    /// Puts bytes into the scratch memory and returns their address, `offset` bytes into it.
    public func place(_ bytes: [UInt8], offset: Int = 0) throws(EngineError) -> UInt64 {
        let start = try scratch(count: offset + bytes.count)
        try write(bytes, at: start + UInt64(offset))
        return start + UInt64(offset)
    }

    /// Puts a C string into the scratch memory.
    public func place(path: String, offset: Int = 0) throws(EngineError) -> UInt64 {
        try place(Array(path.utf8) + [0], offset: offset)
    }
}
