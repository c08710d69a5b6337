internal import CRImage
internal import LinuxKit

/// Memory in a process in which its tasks make series of calls, many at the same time, each in a lane of its own.
///
/// The last call of a series is a signal to the task itself that means nothing to it, which its tracer sees nevertheless:
/// so a series costs one stop, and the stops of all tasks overlap. It is a stop in which the kernel still treats
/// the original registers as if nothing had happened, restarting an interrupted call included. If there is no tracer
/// any more, the code goes on home: to rt_sigreturn(2), which gives the task back what it had.
struct RemoteCrowd {
    /// One page for what calls write, one of code, and the lanes.
    let memory: RemoteMemory.Range
    let capacity: Int
    /// Without effect when nobody sees it, and not pending.
    let signal: Int32

    /// Calls that a lane holds, the last one included.
    static let calls = 64
    /// Room for what calls write.
    static let resultBytes = 64
    private static let stateBytes = (UInt64(max(CPUID.xstateBytes, 512)) + 4 + 63) / 64 * 64
    private static let frameOffset = stateBytes
    private static let resultOffset = (frameOffset + UInt64(SignalFrame.bytes) + 63) / 64 * 64
    private static let tableOffset = resultOffset + UInt64(resultBytes)
    /// Bytes of a lane on this host.
    private static let laneBytes = tableOffset + UInt64(calls * RemoteProgram.entryBytes)

    /// What to map for so many lanes.
    static func bytes(lanes: Int) -> Int { (8192 + lanes * Int(laneBytes) + 4095) / 4096 * 4096 }

    var code: UInt64 { memory.start + 4096 }

    /// A way home for tasks that have none of their own, as long as the memory is there.
    var home: RemoteHome? {
        guard RemoteHome.bytes <= 4096 - 256 else { return nil }
        return RemoteHome(
            signalReturn: code + UInt64(RemoteProgram.homeward.count - 7), signalReturnBytes: 7, exit: nil,
            place: code + 256, content: [UInt8](repeating: 0, count: RemoteHome.bytes))
    }

    /// One task's part.
    final class Member {
        let remote: RemoteTask
        /// Its numbers in its own PID namespace.
        let process: Int32
        let tid: Int32
        let lane: Int
        var batch: RemoteBatch
        fileprivate(set) var answers: [Int64] = []
        fileprivate(set) var results: [UInt64] = []
        fileprivate var isStarted = false
        fileprivate var isRunning = false
        fileprivate var isDone = false

        init(_ remote: RemoteTask, process: Int32, tid: Int32, lane: Int = 0, _ batch: RemoteBatch = RemoteBatch()) {
            self.remote = remote
            self.process = process
            self.tid = tid
            self.lane = lane
            self.batch = batch
        }
    }

    /// Where a member finds room for what its calls write.
    func results(_ member: Member) -> UInt64 { lane(member.lane) + Self.resultOffset }

    private func lane(_ index: Int) -> UInt64 { memory.start + 8192 + UInt64(index) * Self.laneBytes }

    /// Lets all members make their calls. ``end(_:)`` must follow, unless this fails: then they have registers and mask back.
    ///
    /// - Precondition: They rest in a stop; none has more than ``calls`` - 1 calls, or the lane of somebody who is not done.
    func begin(_ members: [Member]) throws(EngineError) {
        var failure: EngineError?
        do throws(EngineError) { try launch(members, .dumpAskingThreads) } catch { failure = error }
        guard let failure else { return }
        _ = giveBack(members)
        throw failure
    }

    /// Waits for the calls of all members, and gives them back registers and mask, whatever happens.
    func end(_ members: [Member]) throws(EngineError) {
        var failure: EngineError?
        do throws(EngineError) { try wait(members) } catch { failure = error }
        let second = giveBack(members)
        if let failure = failure ?? second { throw failure }
        for member in members {
            // Calls that a stop has interrupted are made again.
            for (index, entry) in member.batch.entries.enumerated()
            where RestartCode(rawValue: member.answers[index]) != nil {
                member.answers[index] = try member.remote.attempt(entry.call, entry.arguments)
                try member.remote.rest()
            }
            try member.batch.check(member.answers, task: member.remote.task)
        }
    }

    /// - Returns: The first failure; all others are tried nevertheless.
    private func giveBack(_ members: [Member]) -> EngineError? {
        var failure: EngineError?
        for member in members where member.isStarted {
            do throws(EngineError) {
                if member.isRunning { try finish(member) }
                try member.remote.giveBack()
            } catch {
                failure = failure ?? error
            }
        }
        return failure
    }

    /// Makes the calls of all members, who stay where they come to stand.
    func make(_ members: [Member]) throws(EngineError) {
        try launch(members, .dumpAsking)
        try wait(members)
    }

    private func launch(_ members: [Member], _ point: FaultPoint) throws(EngineError) {
        try prepare(members)
        for member in members { try start(member) }
        try point.reach()
    }

    private func wait(_ members: [Member]) throws(EngineError) {
        var waiting = Array(members.indices)
        for _ in 0..<16 where !waiting.isEmpty {
            for index in waiting { try finish(members[index]) }
            try collect(members)
            waiting = waiting.filter { !members[$0].isDone }
            for index in waiting {
                // Somebody else's signal of that kind came first.
                try members[index].remote.deferSignal(signal)
                try resume(members[index])
            }
        }
        if let index = waiting.first {
            throw .derailed(task: members[index].remote.task, "its calls are interrupted again and again")
        }
    }

    /// Writes tables and frames: all at once, as the tasks share their memory.
    private func prepare(_ members: [Member]) throws(EngineError) {
        guard let first = members.first?.remote.task else { return }
        var words: [UInt64] = []
        var ranges: [RemoteMemory.Range] = []
        func put(_ some: [UInt64], at address: UInt64) {
            words += some
            ranges.append(RemoteMemory.Range(start: address, count: some.count * 8))
        }
        for member in members {
            precondition(member.batch.count < Self.calls, "a lane holds fewer calls")
            var batch = member.batch
            batch.ask(.tgkill, Kernel.number(member.process), Kernel.number(member.tid), Kernel.number(signal))
            put(RemoteProgram.table(batch.entries), at: lane(member.lane) + Self.tableOffset)
            if member.remote.home != nil { continue }
            let (kind, bytes) = try member.remote.extendedState()
            let settled = member.remote.settled()
            let state = lane(member.lane)
            put(
                SignalFrame.words(settled, mask: member.remote.originalMask, extendedState: state),
                at: state + Self.frameOffset)
            try EngineError.wrap("prepare calls", task: first) { () throws(LinuxError) in
                try RemoteMemory.write(
                    member.remote.task, at: state,
                    SignalFrame.extendedState(kind, bytes, ends: RemoteHome.componentEnds))
            }
        }
        try EngineError.wrap("prepare calls", task: first) { () throws(LinuxError) in
            try RemoteMemory.write(first, ranges, words: words)
        }
    }

    private func start(_ member: Member) throws(EngineError) {
        let remote = member.remote
        var registers = try remote.homeward()
        registers.rbp = remote.home?.entrance ?? lane(member.lane) + Self.frameOffset
        registers.rip = code
        registers.origRax = UInt64.max
        registers.rbx = lane(member.lane) + Self.tableOffset
        registers.r12 = UInt64(member.batch.count + 1)
        member.isStarted = true
        try remote.start(registers, mask: remote.quietMask & ~Signals.mask([signal])) { () throws(LinuxError) in
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
        member.isRunning = false
        try member.remote.wait("calls") { () throws(LinuxError) in
            try Ptrace.resume(member.remote.task)
        } until: { status in
            if case .stopped(signal, event: 0, systemCall: false) = status { true } else { false }
        }
    }

    /// Reads all lanes at once: the tasks share their memory.
    private func collect(_ members: [Member]) throws(EngineError) {
        guard let first = members.first?.remote.task else { return }
        let ranges = members.map { member in
            RemoteMemory.Range(
                start: results(member), count: Self.resultBytes + member.batch.count * RemoteProgram.entryBytes)
        }
        let words = try EngineError.wrap("read the answers", task: first) { () throws(LinuxError) in
            try RemoteMemory.words(first, ranges)
        }
        var base = 0
        for (member, range) in zip(members, ranges) {
            let table = base + Self.resultBytes / 8
            member.results = Array(words[base..<table])
            let answers = (0..<member.batch.count).map { words[table + $0 * 8 + 7] }
            // The signal comes before its call has an answer.
            member.isDone = answers.last != RemoteProgram.unanswered
            member.answers = answers.map { Int64(bitPattern: $0) }
            base += range.count / 8
        }
    }

    /// A signal that has no effect on a process: SIGURG, SIGWINCH or SIGCHLD, ignored by default.
    ///
    /// - Returns: `nil` when it catches each of them or has it pending.
    static func quietSignal(_ status: TaskStatus) -> Int32? {
        let taken = status.caughtSignals | status.sharedPendingSignals | status.pendingSignals
        return [23, 28, 17].first { taken & Signals.mask([$0]) == 0 }
    }
}
