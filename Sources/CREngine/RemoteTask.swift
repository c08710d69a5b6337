internal import CRImage
public import LinuxKit

/// A stopped task in which the engine makes system calls.
///
/// A call is a `syscall` instruction that the task's address space already holds, between two ptrace system-call stops, or
/// one of a series in memory of the engine's (``RemoteCrowd``, ``RemoteLanes``). What the calls leave behind is undone by
/// ``park()``: registers (`orig_rax` included), signal mask and memory. A task with a ``RemoteHome`` has all that back too
/// when the engine is killed, at whatever moment: first come registers that lead home, then everything else, and at the
/// end the registers go last.
///
/// - Precondition: All methods run on the thread that seized the task.
public final class RemoteTask {
    enum Place {
        /// In PTRACE_EVENT_STOP, where the kernel has yet to restart an interrupted call.
        case eventStop
        /// Behind a remote call.
        case systemCallExit
        /// Behind a series of calls, at the delivery of its signal: the kernel has yet to look at the registers, too.
        case signalStop
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
    public internal(set) var scratch: RemoteMemory.Range?
    /// Blocked signals of the engine that end a wait with `EngineError.interrupted`.
    public var wakeups: UInt64 = 0

    /// How the task's own system calls are dispatched, off during remote calls; ``park()`` sets it. `nil` when the kernel
    /// cannot tell or nothing is on.
    public var userDispatch: Ptrace.UserDispatch?
    /// Whether calls may be dispatched and the kernel does not tell (5.11 to 6.3). SIGSYS is not blocked then: a call that
    /// is dispatched forces that signal, and the kernel would reset the action of a blocked one.
    let hidesDispatch: Bool
    /// Where the task goes when the engine ends in the middle of a call; `nil` when that is not known, or for a stub,
    /// which ends too.
    var home: RemoteHome?
    /// Nobody else has its memory.
    var isAlone = false
    /// Where many calls can be made in one stop; `nil` makes each in stops of its own.
    var crowd: (place: RemoteCrowd, process: Int32, tid: Int32)?

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

    var isBorrower = false
    var extended: (kind: XstateKind, bytes: [UInt8])?
    var place = Place.eventStop
    /// It has its own registers and mask.
    private(set) var isResting = false
    let timeoutSeconds: Double

    /// Takes over a task that stands in PTRACE_EVENT_STOP and ends with the engine, and blocks its signals.
    public init(task: Int32, systemCallAddress: UInt64, timeoutSeconds: Double = 30) throws(EngineError) {
        self.task = task
        self.systemCallAddress = systemCallAddress
        self.timeoutSeconds = timeoutSeconds
        hidesDispatch = false
        (original, originalMask) = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
            let registers = try Ptrace.registers(task)
            let mask = try Ptrace.signalMask(task)
            try Ptrace.setSignalMask(task, ~0)
            return (registers, mask)
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
        isNewborn = true
        // Its parent was stopped in a call when it is not on a lane, and has everything blocked either way.
        isResting = false
    }

    /// Takes over a task of a workload, and leaves it as it is until the first call.
    ///
    /// - Parameter registers: As far as they are known.
    init(resting task: Int32, _ registers: Registers?, systemCallAddress: UInt64) throws(EngineError) {
        self.task = task
        self.systemCallAddress = systemCallAddress
        timeoutSeconds = 30
        isResting = true
        let dispatch = Ptrace.userDispatch(task)
        hidesDispatch = dispatch == nil && Ptrace.canDispatch
        (original, originalMask) = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
            let mask = try Ptrace.signalMask(task)
            if let registers { return (registers, mask) }
            return (try Ptrace.registers(task), mask)
        }
        if let dispatch, dispatch.mode != 0 { userDispatch = dispatch }
    }

    // MARK: Calls

    /// The mask during remote calls. A signal that ends a series must not meet a blocked one: the kernel would reset the
    /// action of a forced SIGTRAP, and no tracer sees others before they are unblocked.
    var quietMask: UInt64 {
        if lanes != nil { return ~Signals.mask([Signals.trap]) }
        let mask = crowd.map { ~Signals.mask([$0.place.signal]) } ?? ~0
        return hidesDispatch ? mask & ~Signals.mask([Signals.badCall]) : mask
    }

    /// The calls that were put off, which are put off no more.
    func takeWaiting() -> RemoteBatch {
        defer { waiting = RemoteBatch() }
        return waiting
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
        waiting.add(call, arguments, doing: doing)
        if waiting.count == capacity { try flush() }
    }

    /// Puts off a call that may fail; ``failures`` says so afterwards.
    func laterIfPossible(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) {
        waiting.ask(call, arguments)
        if waiting.count == capacity { try flush() }
    }

    /// Calls that can be made in one stop.
    private var capacity: Int { lanes != nil ? RemoteLanes.capacity : crowd != nil ? RemoteCrowd.calls - 1 : 1 }

    /// Makes the calls that were put off.
    func flush() throws(EngineError) {
        if lanes != nil {
            try launch()
            return try collect()
        }
        if waiting.count == 0 { return }
        let batch = takeWaiting()
        failures += try batch.check(try answers(batch), task: task)
    }

    /// Makes many calls one after the other, in one stop where the task has a place for that.
    ///
    /// All of them are made, whatever they answer. Calls that must succeed throw after the last one.
    ///
    /// - Returns: The raw answers, in the order of the batch.
    @discardableResult
    func run(_ batch: RemoteBatch) throws(EngineError) -> [Int64] {
        if running != nil || waiting.count > 0 { try flush() }
        let answers = try answers(batch)
        try batch.check(answers, task: task)
        return answers
    }

    private func answers(_ batch: RemoteBatch) throws(EngineError) -> [Int64] {
        created = []
        var answers: [Int64] = []
        answers.reserveCapacity(batch.count)
        var rest = batch.entries[...]
        while !rest.isEmpty {
            let piece = rest.prefix(capacity)
            rest = rest.dropFirst(piece.count)
            if let lanes {
                answers += try run(piece, in: lanes)
            } else if let crowd, piece.count > 1 {
                let member = RemoteCrowd.Member(self, process: crowd.process, tid: crowd.tid, RemoteBatch(piece))
                try crowd.place.make([member])
                for (entry, answer) in zip(piece, member.answers) {
                    answers.append(
                        RestartCode(rawValue: answer) == nil ? answer : try settled(entry.call, entry.arguments))
                }
            } else {
                for entry in piece { answers.append(try settled(entry.call, entry.arguments)) }
            }
        }
        leaveLane()
        return answers
    }

    private func once(_ call: SystemCall, _ arguments: [UInt64]) throws(EngineError) -> Int64 {
        precondition(arguments.count <= 6, "a system call has at most six arguments")
        if let lanes {
            let entry = RemoteBatch.Entry(call: call, arguments: arguments, doing: nil)
            let answer = try run([entry], in: lanes)[0]
            if waiting.count == 0 { leaveLane() }
            return answer
        }
        try awaitBirth()
        created = []
        var registers = original
        func argument(_ index: Int) -> UInt64 { index < arguments.count ? arguments[index] : 0 }
        registers.rax = call.rawValue
        (registers.rdi, registers.rsi, registers.rdx) = (argument(0), argument(1), argument(2))
        (registers.r10, registers.r8, registers.r9) = (argument(3), argument(4), argument(5))
        registers.rip = systemCallAddress
        // No restart and no mix-up with the interrupted call of the workload.
        registers.origRax = UInt64.max
        if let home {
            // It sets out for home, and becomes another call where it enters the kernel; from that it comes back to go
            // home all the same.
            let homeward = try homeward()
            try start(homeward) { () throws(LinuxError) in try Ptrace.resumeToSystemCall(task) }
            try runToSystemCallStop(call, isRunning: true)
            registers.rip = home.signalReturn
            registers.rsp = home.entrance
            registers.origRax = call.rawValue
            try EngineError.wrap("set the registers for \(call.name)", task: task) { () throws(LinuxError) in
                try Ptrace.setRegisters(task, registers)
            }
        } else {
            try start(registers) { () throws(LinuxError) in try Ptrace.resumeToSystemCall(task) }
            try runToSystemCallStop(call, isRunning: true)
        }
        try runToSystemCallStop(call)
        place = .systemCallExit
        return try EngineError.wrap("read the answer of \(call.name)", task: task) { () throws(LinuxError) in
            Int64(bitPattern: try Ptrace.registers(task).rax)
        }
    }

    /// Gives the task registers for calls and lets it go on.
    func start(
        _ registers: Registers, mask: UInt64? = nil, _ resume: () throws(LinuxError) -> Void
    ) throws(EngineError) {
        try EngineError.wrap("start calls", task: task) { () throws(LinuxError) in
            try Ptrace.setRegisters(task, registers)
            // The mask comes back with the frame, but the registers do not come with the mask: so it is second.
            if isResting {
                isResting = false
                try Ptrace.setSignalMask(task, mask ?? quietMask)
                if userDispatch != nil { try Ptrace.setUserDispatch(task, Ptrace.UserDispatch()) }
            }
            try resume()
        }
        place = .signalStop
    }

    func runToSystemCallStop(_ call: SystemCall, isRunning: Bool = false) throws(EngineError) {
        try wait("\(call.name)", isRunning: isRunning) { () throws(LinuxError) in
            try Ptrace.resumeToSystemCall(task)
        } until: { status in
            if case .stopped(_, _, systemCall: true) = status { true } else { false }
        }
    }

    /// Waits for the stop that `ends`. Whatever else stops the task before is noted, and it goes on.
    func wait(
        _ what: @autoclosure () -> String, isRunning: Bool = true, _ resume: () throws(LinuxError) -> Void,
        until ends: (WaitStatus) -> Bool
    ) throws(EngineError) {
        let deadline = Deadline(seconds: timeoutSeconds)
        var isRunning = isRunning
        while true {
            let status: WaitStatus
            do {
                if !isRunning { try resume() }
                // Not interruptible: a call under way cannot be abandoned without leaving its registers in the task.
                status = try Wait.wait(for: task, deadline: deadline).status
            } catch {
                throw .system(error, task: task, doing: "run \(what()) in task \(task)")
            }
            if ends(status) { return }
            isRunning = status == .continued
            switch status {
            case .stopped(let signal, event: 0, systemCall: false): try deferSignal(signal)
            case .stopped(_, event: 1...3, _): try noteBirth()
            // A trap for a group stop that begins or ends; the call goes on.
            case .stopped, .continued: continue
            case .exited, .killed: throw .derailed(task: task, "it ended during \(what())")
            }
        }
    }

    func deferSignal(_ signal: Int32) throws(EngineError) {
        if hidesDispatch, signal == Signals.badCall, Ptrace.isDispatch(task) { throw hiddenDispatch() }
        // SIGTRAP|0 without an event is the kernel's echo of our own resume on old kernels, never the workload's: its
        // signals are all blocked.
        if signal != Signals.trap { deferredSignals.append(signal) }
    }

    // MARK: Rest

    /// The registers as the task takes them up again without its tracer: it makes an interrupted call again.
    func settled() -> Registers {
        InterruptedCall.settle(
            original, isSignalDue: false,
            codeBefore: { address in try? RemoteMemory.read(task, at: address &- 64, count: 64) },
            memory: { address in try? RemoteMemory.read(task, at: address, count: 16) })
    }

    /// Extended state, which the engine's calls do not touch.
    func extendedState() throws(EngineError) -> (kind: XstateKind, bytes: [UInt8]) {
        if let extended { return extended }
        let found: (kind: XstateKind, bytes: [UInt8])
        do {
            found = (.extended, try Ptrace.registerSet(task, .extendedState))
        } catch {
            // A CPU without XSAVE.
            guard error.errno == .noDevice || error.errno == .invalid else {
                throw .system(error, task: task, doing: "read the extended state")
            }
            let bytes = try EngineError.wrap("read the floating-point state", task: task) { () throws(LinuxError) in
                try Ptrace.registerSet(task, .floatingPoint)
            }
            found = (.floatingPoint, bytes)
        }
        extended = found
        return found
    }

    /// Registers with which the task goes home; its own when it has none.
    func homeward() throws(EngineError) -> Registers {
        guard let home else { return original }
        if isResting { try home.prepare(self) }
        return home.registers(original)
    }

    /// Ends the series of remote calls: unmaps the engine's memory and brings the task to a stop in which the kernel
    /// treats the original registers as if nothing had happened, restarting an interrupted call included.
    ///
    /// - Postcondition: The task stands in PTRACE_EVENT_STOP with its own registers and mask; it may be detached,
    ///   killed, or taken over again.
    public func park() throws(EngineError) {
        try flush()
        if let range = scratch, !isBorrower {
            let memory = crowd?.place.memory ?? range
            // Another thread could get the same place as soon as it is free.
            if !isAlone { home?.memory = nil }
            if home?.isInside(memory) ?? false { home = nil }
            _ = try attempt(.munmap, [memory.start, UInt64(memory.count)])
        }
        try rest()
        if !isBorrower { home?.wipe(task) }
        home = nil
        scratch = nil
        crowd = nil
        isBorrower = false
    }

    /// Gives the task its registers and mask back until the next call. Its scratch memory stays.
    func rest() throws(EngineError) {
        try flush()
        try awaitBirth()
        // Not at the delivery of a signal either: should the engine end, the kernel would deliver it.
        if place != .eventStop { try stopAgain() }
        try giveBack()
    }

    /// Gives a task that stands in an event or signal stop its registers and mask back.
    func giveBack() throws(EngineError) {
        try EngineError.wrap("give the task its registers back", task: task) { () throws(LinuxError) in
            try Ptrace.setSignalMask(task, originalMask)
            try Ptrace.setRegisters(task, original)
            if let userDispatch { try Ptrace.setUserDispatch(task, userDispatch) }
        }
        isResting = true
    }

    /// Brings the task to PTRACE_EVENT_STOP.
    func stopAgain() throws(EngineError) {
        try EngineError.wrap("stop the task again", task: task) { () throws(LinuxError) in
            try Ptrace.interrupt(task)
        }
        try wait("its last steps", isRunning: false) { () throws(LinuxError) in
            try Ptrace.resume(task)
        } until: { status in
            status.isEventStop
        }
        place = .eventStop
    }
}
