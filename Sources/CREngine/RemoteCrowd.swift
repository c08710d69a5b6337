internal import CRImage
internal import LinuxKit

/// Memory in which many tasks of one address space make calls at the same time, each in a lane of its own.
///
/// The last call of a lane is a signal to the task itself that means nothing to it, which its tracer sees nevertheless: so
/// a series costs one stop, and the stops of all tasks overlap. It is a stop in which the kernel still treats
/// the original registers as if nothing had happened, restarting an interrupted call included. If there is no tracer
/// any more, the code goes on to rt_sigreturn(2), which gives the task back what it had.
struct RemoteCrowd {
    /// Address of ``program``, in executable memory.
    var code: UInt64
    /// Address of the first lane, a multiple of 64, in writable memory.
    var lanes: UInt64
    var capacity: Int
    /// Neither caught nor pending, and without effect when it is not.
    var signal: Int32

    /// Calls that a lane holds, the last one included.
    static let calls = 16
    /// Room for what calls write.
    static let resultBytes = 64
    private static let resultOffset = UInt64(calls * RemoteBench.entryBytes)
    private static let frameOffset = resultOffset + UInt64(resultBytes)
    private static let stateOffset = (frameOffset + UInt64(SignalFrame.bytes) + 63) / 64 * 64
    private static let unanswered = Int64.min

    /// Bytes of a lane on this host.
    static let laneBytes: UInt64 = {
        let state = max(CPUID.xstateBytes, 512) + 4
        return (stateOffset + UInt64(state) + 63) / 64 * 64
    }()

    private static let componentEnds: [(number: Int, end: Int)] = RestorePreflight.destinationLayout().map {
        (Int($0.key), $0.value.offset + $0.value.sizeBytes)
    }

    /// The loop of ``RemoteBench/program``, and behind it: mov rsp, rbp; mov eax, 15; syscall.
    static let program = RemoteBench.program.dropLast() + [0x48, 0x89, 0xec, 0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05]

    /// One task's part.
    final class Member {
        let remote: RemoteTask
        /// Its numbers in its own PID namespace.
        let process: Int32
        let tid: Int32
        var batch = RemoteBatch()
        /// Extended state, which the calls do not touch, for the frame.
        var kind = XstateKind.extended
        var xstate: [UInt8] = []
        fileprivate(set) var answers: [Int64] = []
        fileprivate(set) var results: [UInt64] = []
        fileprivate var isStarted = false
        fileprivate var isRunning = false

        init(_ remote: RemoteTask, process: Int32, tid: Int32) {
            self.remote = remote
            self.process = process
            self.tid = tid
        }
    }

    /// Where member `index` of a series finds room for what its calls write.
    func results(_ index: Int) -> UInt64 { lane(index) + Self.resultOffset }

    private func lane(_ index: Int) -> UInt64 { lanes + UInt64(index) * Self.laneBytes }

    /// Makes the calls of all members, and gives them back registers and mask, whatever happens.
    ///
    /// - Precondition: They rest in a stop; none has more than ``calls`` - 1 calls.
    func run(_ members: [Member]) throws(EngineError) {
        var failure: EngineError?
        do throws(EngineError) {
            try prepare(members)
            for (index, member) in members.enumerated() { try start(member, index) }
            try FaultPoint.dumpAsking.reach()
            var waiting = Array(members.indices)
            for _ in 0..<16 where !waiting.isEmpty {
                for index in waiting { try finish(members[index]) }
                try collect(members)
                waiting = waiting.filter { !members[$0].isDone }
                // Somebody else's signal of that kind came first.
                for index in waiting { try resume(members[index]) }
            }
            if let index = waiting.first {
                throw .derailed(task: members[index].remote.task, "its calls are interrupted again and again")
            }
        } catch {
            failure = error
        }
        for member in members where member.isStarted {
            do throws(EngineError) {
                if member.isRunning { try finish(member) }
                try member.remote.giveBack()
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        for member in members { try settle(member) }
    }

    /// Writes tables and frames: all at once, as the tasks share their memory.
    private func prepare(_ members: [Member]) throws(EngineError) {
        guard let first = members.first?.remote.task else { return }
        var words: [UInt64] = []
        var ranges: [RemoteMemory.Range] = []
        for (index, member) in members.enumerated() {
            let remote = member.remote
            let lane = lane(index)
            precondition(member.batch.count < Self.calls, "a lane holds fewer calls")
            var batch = member.batch
            batch.ask(.tgkill, Kernel.number(member.process), Kernel.number(member.tid), Kernel.number(signal))
            let table = RemoteBench.table(batch.entries[...], unanswered: UInt64(bitPattern: Self.unanswered))
            // Without its tracer the task makes an interrupted call again.
            let registers = InterruptedCall.settle(
                remote.original, isSignalDue: false,
                codeBefore: { address in try? RemoteMemory.read(remote.task, at: address &- 64, count: 64) },
                memory: { address in try? RemoteMemory.read(remote.task, at: address, count: 16) })
            words += table
            words += SignalFrame.words(
                registers, mask: remote.originalMask, extendedState: lane + Self.stateOffset)
            ranges.append(RemoteMemory.Range(start: lane, count: table.count * 8))
            ranges.append(RemoteMemory.Range(start: lane + Self.frameOffset, count: SignalFrame.bytes))
        }
        try EngineError.wrap("prepare calls", task: first) { () throws(LinuxError) in
            try RemoteMemory.write(first, ranges, words: words)
            for (index, member) in members.enumerated() {
                let state = SignalFrame.extendedState(member.kind, member.xstate, ends: Self.componentEnds)
                try RemoteMemory.write(member.remote.task, at: lane(index) + Self.stateOffset, state)
            }
        }
    }

    private func start(_ member: Member, _ index: Int) throws(EngineError) {
        let remote = member.remote
        var registers = remote.original
        registers.rip = code
        registers.origRax = UInt64.max
        registers.rbx = lane(index)
        registers.r12 = UInt64(member.batch.count + 1)
        registers.rbp = lane(index) + Self.frameOffset
        member.isStarted = true
        try EngineError.wrap("start a series of calls", task: remote.task) { () throws(LinuxError) in
            // The mask last: it comes back with the frame, the registers do not come with the mask.
            try Ptrace.setRegisters(remote.task, registers)
            try Ptrace.setSignalMask(remote.task, ~Signals.mask([signal]))
            try Ptrace.resume(remote.task)
        }
        member.isRunning = true
    }

    private func resume(_ member: Member) throws(EngineError) {
        try EngineError.wrap("go on with a series of calls", task: member.remote.task) { () throws(LinuxError) in
            try Ptrace.resume(member.remote.task)
        }
        member.isRunning = true
    }

    private func finish(_ member: Member) throws(EngineError) {
        let remote = member.remote
        let deadline = Deadline(seconds: remote.timeoutSeconds)
        while true {
            let status = try EngineError.wrap("run calls in task \(remote.task)", task: remote.task) {
                () throws(LinuxError) in try Wait.wait(for: remote.task, deadline: deadline).status
            }
            member.isRunning = false
            switch status {
            case .stopped(signal, event: 0, systemCall: false): return
            case .stopped(let other, event: 0, _): try remote.deferSignal(other)
            case .stopped, .continued: break
            case .exited, .killed: throw .derailed(task: remote.task, "it ended during the engine's calls")
            }
            try resume(member)
        }
    }

    /// Reads all lanes at once: the tasks share their memory.
    private func collect(_ members: [Member]) throws(EngineError) {
        guard let first = members.first?.remote.task else { return }
        let count = Int(Self.frameOffset)
        let words = try EngineError.wrap("read the answers", task: first) { () throws(LinuxError) in
            try RemoteMemory.words(
                first, members.indices.map { RemoteMemory.Range(start: lane($0), count: count) })
        }
        for (index, member) in members.enumerated() {
            let base = index * count / 8
            member.answers = (0..<member.batch.count).map { Int64(bitPattern: words[base + $0 * 8 + 7]) }
            let results = base + Int(Self.resultOffset) / 8
            member.results = Array(words[results..<(results + Self.resultBytes / 8)])
        }
    }

    /// Makes calls again that a stop has interrupted, and throws for those that failed and must not.
    private func settle(_ member: Member) throws(EngineError) {
        for (index, entry) in member.batch.entries.enumerated() {
            if RestartCode(rawValue: member.answers[index]) != nil {
                member.answers[index] = try member.remote.attempt(entry.call, entry.arguments)
                try member.remote.rest()
            }
            guard let doing = entry.doing, let errno = Kernel.errno(of: member.answers[index]) else { continue }
            throw .remote(call: entry.call.name, task: member.remote.task, errno, doing: doing())
        }
    }

    /// A signal that a process does not catch and that has no effect then; `nil` when there is none.
    static func quietSignal(_ status: TaskStatus) -> Int32? {
        // SIGURG, SIGWINCH, SIGCHLD: ignored by default.
        [23, 28, 17].first { (status.caughtSignals | status.sharedPendingSignals) & Signals.mask([$0]) == 0 }
    }
}

extension RemoteCrowd.Member {
    fileprivate var isDone: Bool { !answers.contains(Int64.min) }
}
