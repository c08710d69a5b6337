internal import LinuxKit

/// Finds out how long an interrupted sleep still lasts, where the kernel does not write it down for the task.
///
/// The task goes on with the call for a moment, and the timer that it sleeps by shows in `/proc/timer_list`. It cannot get
/// out of the call meanwhile: the end of a system call is a ptrace stop. Each look takes the kernel a millisecond or two,
/// so only some tasks are asked, and none in a tree of very many; the others start their sleep again from its beginning.
struct SleepProbe {
    /// Looks that are left to this dump.
    private var budget: Int
    /// On a busy host the task may wait for a CPU; the others shall not stand still for that.
    private var deadline: Deadline?
    /// Time that is left, by task.
    private(set) var nanoseconds: [Int32: UInt64] = [:]

    /// A high-resolution timer that wakes a task.
    struct Wakeup: Hashable {
        var address: Substring
        /// CLOCK_MONOTONIC of the host.
        var expiry: UInt64
    }

    init(tasks: Int) { budget = tasks > 64 ? 0 : 16 }

    /// Whether a task has to go on for a moment: then it is asked alone, and this before anything else.
    func wants(_ task: Int32, _ registers: Registers) -> Bool {
        budget > 0 && deadline?.remainingNanoseconds != 0 && Self.limit(task, registers) != nil
    }

    private static func limit(_ task: Int32, _ registers: Registers) -> UInt64? {
        InterruptedCall.unknownSleep(
            registers, { address in try? RemoteMemory.read(task, at: address &- 64, count: 64) },
            memory: { address in try? RemoteMemory.read(task, at: address, count: 16) })
    }

    /// - Precondition: The task stands as it was interrupted: nothing was asked of it yet.
    mutating func ask(_ remote: RemoteTask, _ process: Int32) throws(EngineError) {
        let task = remote.task
        guard budget > 0, let limit = Self.limit(task, remote.original) else { return }
        let deadline = self.deadline ?? Deadline(seconds: 0.4)
        self.deadline = deadline
        var strangers = Set(Self.look().wakeups)
        var candidates: Set<Wakeup>?
        for _ in 0..<4 where budget > 0 && deadline.remainingNanoseconds > 0 {
            budget -= 1
            var seen: (now: UInt64, wakeups: [Wakeup]) = (0, [])
            let waits = try remote.goOn(sleepsIn: process) { seen = Self.look() }
            if !waits {
                // It has ended, or did not get as far as to sleep.
                if RestartCode(rawValue: Int64(bitPattern: remote.original.rax)) != .restartBlock { return }
                continue
            }
            // Its own timer is gone now. Others that look alike mostly stay.
            strangers.formUnion(Self.look().wakeups)
            let fresh = Set(
                seen.wakeups.filter {
                    !strangers.contains($0) && $0.expiry > seen.now && $0.expiry - seen.now <= limit
                })
            // None: the task says that it sleeps a moment before it starts its timer.
            if fresh.isEmpty { continue }
            let common = candidates?.intersection(fresh) ?? fresh
            if common.count == 1, let found = common.first {
                nanoseconds[task] = found.expiry - seen.now
                return
            }
            candidates = common.isEmpty ? nil : common
        }
    }

    private static func look() -> (now: UInt64, wakeups: [Wakeup]) {
        parse((try? Files.text(of: "/proc/timer_list")) ?? "")
    }

    /// The timers of the monotonic clock that wake a task; address and earliest expiry.
    static func parse(_ text: String) -> (now: UInt64, wakeups: [Wakeup]) {
        var now: UInt64 = 0
        var wakeups: [Wakeup] = []
        var address: Substring?
        // Bases 0 and 4 count CLOCK_MONOTONIC.
        var isMonotonic = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("now at ") {
                now = line.split(separator: " ").dropFirst(2).first.flatMap { UInt64($0) } ?? 0
            } else if line.hasPrefix(" clock ") {
                isMonotonic = line.hasPrefix(" clock 0:") || line.hasPrefix(" clock 4:")
            } else if line.hasPrefix(" #"), !line.hasPrefix(" # ") {
                // ` #0: <0000000012ca61ea>, hrtimer_wakeup, S:01`
                let parts = line.split(separator: ",")
                let isWakeup = parts.count > 1 && parts[1].contains("hrtimer_wakeup")
                address = isWakeup && isMonotonic ? parts[0].split(separator: " ").last : nil
            } else if line.hasPrefix(" # expires at "), let known = address {
                // ` # expires at 14472595059438-14472595109438 nsecs [in … to … nsecs]`
                let words = line.split(separator: " ")
                if words.count > 3, let expiry = words[3].split(separator: "-").first.flatMap({ UInt64($0) }) {
                    wakeups.append(Wakeup(address: known, expiry: expiry))
                }
                address = nil
            }
        }
        return (now, wakeups)
    }
}

extension InterruptedCall {
    /// The whole time of a relative sleep whose rest the kernel keeps to itself, in nanoseconds.
    static func unknownSleep(
        _ registers: Registers, _ codeBefore: (UInt64) -> [UInt8]?, memory: (UInt64) -> [UInt8]?
    ) -> UInt64? {
        guard sleep(registers, codeBefore, memory: memory) == nil, let kept = kept(registers, codeBefore, memory) else {
            return nil
        }
        let place: UInt64
        switch kept.origRax {
        case RestoreSleep.poll:
            let milliseconds = Int32(truncatingIfNeeded: registers.rdx)
            return milliseconds > 0 ? UInt64(milliseconds) * 1_000_000 : nil
        case RestoreSleep.nanosleep: place = registers.rdi
        case RestoreSleep.clockNanosleep where registers.rsi & 1 == 0: place = registers.rdx
        // FUTEX_WAIT; FUTEX_WAIT_BITSET has an absolute time.
        case RestoreSleep.futex where registers.rsi & 0x7f == 0: place = registers.r10
        default: return nil
        }
        guard place != 0, let bytes = memory(place), bytes.word(at: 0) < 1 << 32, bytes.word(at: 8) < 1_000_000_000
        else { return nil }
        return bytes.word(at: 0) * 1_000_000_000 + bytes.word(at: 8)
    }
}
