internal import CRImage
internal import LinuxKit

/// Scheduling, prctl(2) state, security label and seccomp of one task; membarrier(2) and audit identity of a process.
extension DumpCollector {
    private enum Flag {
        // `include/linux/sched.h`; the same numbers since 5.6.
        static let machineCheckPolicy: UInt32 = 0x80
        static let flusher: UInt32 = 0x0018_0000
    }

    /// Lets the engine make calls in a task that runs under seccomp, and refuses what it cannot read.
    ///
    /// - Precondition: Called for each task before anything is asked of it.
    func admitSeccomp(_ task: Int32, _ status: TaskStatus) throws(EngineError) {
        if status.seccomp == 0 { return }
        do {
            try Ptrace.setOptions(task, [.markSystemCallStops, .suspendSeccomp])
        } catch {
            throw refuse(
                task, "seccomp \(status.seccomp == 1 ? "strict mode" : "filter")",
                "the engine may not suspend seccomp: it needs CAP_SYS_ADMIN, and must run without seccomp itself")
        }
    }

    /// What can be read from outside or by few calls.
    func taskState(
        _ remote: RemoteTask, _ status: TaskStatus, _ stat: TaskStat, securityOf process: Int32
    ) throws(EngineError) -> TaskStateValue {
        let task = remote.task
        var state = TaskStateValue()
        if let mask = try? Limits.affinity(of: task), !Self.isEverywhere(mask) { state.affinity = mask }
        state.inputOutputPriority = Limits.inputOutputPriority(of: task)
        state.isFlusher = stat.flags & Flag.flusher == Flag.flusher
        if stat.flags & Flag.machineCheckPolicy != 0 {
            state.machineCheckKill = UInt32(
                try remote.call(.prctl, 34, 0, 0, 0, 0, doing: "read the machine check policy"))
        }
        let scratch = try remote.scratch()
        try remote.call(.prctl, 25, scratch, doing: "ask whether it may read the time stamp counter")  // PR_GET_TSC
        state.isTSCForbidden = try remote.read(at: scratch, count: 4).half(at: 0) == 2
        if Self.hasCPUIDFaulting {
            // ARCH_GET_CPUID
            state.isCPUIDForbidden = try remote.attempt(.arch_prctl, [0x1011, 0]) == 0
        }
        if Self.isOwnSpeculation(status.speculation) {
            for which in UInt64(0)..<3 {
                let answer = try remote.attempt(.prctl, [52, which, 0, 0, 0])  // PR_GET_SPECULATION_CTRL
                state.speculation.append(answer < 0 ? 0 : UInt64(answer))
            }
        }
        if let dispatch = remote.userDispatch {
            state.userDispatch = [dispatch.mode, dispatch.selector, dispatch.offset, dispatch.length]
        }
        state.securityLabel = Self.securityLabel(of: task, in: process)
        state.seccompMode = UInt32(status.seccomp)
        if status.seccomp == 2 { state.seccompFilters = try seccompFilters(of: task) }
        return state
    }

    /// Whether the mask holds every CPU that is online.
    static func isEverywhere(_ mask: [UInt8]) -> Bool {
        guard let text = try? Files.text(of: "/sys/devices/system/cpu/online") else { return false }
        for range in text.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return false }
            for cpu in first...last where cpu / 8 >= mask.count || mask[cpu / 8] >> UInt8(cpu % 8) & 1 == 0 {
                return false
            }
        }
        return true
    }

    /// ARCH_SET_CPUID fails with ENODEV on CPUs that cannot trap CPUID; the engine sets for itself what it has.
    private static var hasCPUIDFaulting: Bool { Kernel.errno(of: Kernel.attempt(.arch_prctl, 0x1012, 1)) == nil }

    /// Words that /proc uses for what the task itself has chosen.
    private static func isOwnSpeculation(_ text: String) -> Bool {
        text.contains("mitigated") && text.contains("thread") || text.contains("conditional")
    }

    /// The label, when it differs from the engine's own; `exec` and the other files hold wishes for the next execve.
    private static func securityLabel(of task: Int32, in process: Int32) -> String {
        func label(_ path: String) -> String {
            ((try? Files.text(of: path)) ?? "").filter { $0 != "\n" && $0 != "\0" }
        }
        let own = Int32(Kernel.attempt(.getpid))
        let engine = label("/proc/\(own)/attr/current")
        let found = label("/proc/\(process)/task/\(task)/attr/current")
        return found == engine ? "" : found
    }

    // MARK: seccomp

    private static let returnInstruction: UInt8 = 0x06
    private static let userNotification: UInt32 = 0x7fc0_0000

    private func seccompFilters(of task: Int32) throws(EngineError) -> [UInt64] {
        var numbers: [UInt64] = []
        while true {
            let program: [UInt8]?
            do {
                program = try Ptrace.seccompFilter(task, index: UInt64(numbers.count))
            } catch {
                throw refuse(
                    task, "seccomp filter \(numbers.count)",
                    "the kernel does not give it: \(error.errno.map { "\($0)" } ?? "?"); it takes CAP_SYS_ADMIN, and an "
                        + "engine without seccomp")
            }
            guard let program else { return numbers }
            let isLogged = Ptrace.isSeccompFilterLogged(task, index: UInt64(numbers.count))
            for offset in stride(from: 0, to: program.count, by: 8)
            where program[offset] == Self.returnInstruction && program[offset + 1] == 0
                && program.half(at: offset + 4) & 0xffff_0000 == Self.userNotification
            {
                throw refuse(
                    task, "seccomp filter \(numbers.count)", "it hands system calls to a supervisor by notification")
            }
            if let known = contents.seccompFilters.first(where: { $0.program == program && $0.isLogged == isLogged }) {
                numbers.append(UInt64(known.number))
                continue
            }
            var record = SeccompFilterRecord()
            record.number = newNumber()
            record.isLogged = isLogged
            record.program = program
            contents.seccompFilters.append(record)
            numbers.append(UInt64(record.number))
        }
    }

    // MARK: Process

    /// What belongs to a whole process, asked of its first task.
    func processState(_ remote: RemoteTask) throws(EngineError) -> ProcessStateValue {
        var state = ProcessStateValue()
        state.membarriers = try membarriers(remote)
        if let text = try? Files.text(of: "/proc/\(remote.task)/loginuid"), let user = UInt32(text.filter(\.isNumber)) {
            state.loginUser = user
        }
        let deny = try remote.attempt(.prctl, [66, 0, 0, 0, 0])  // PR_GET_MDWE, since 6.3
        if deny > 0 { state.denyWriteExecute = UInt32(truncatingIfNeeded: deny) }
        state.mergesMemory = try remote.attempt(.prctl, [68, 0, 0, 0, 0]) == 1  // PR_GET_MEMORY_MERGE, since 6.4
        let scratch = try remote.scratch()
        if try remote.attempt(.arch_prctl, [0x1022, scratch]) == 0 {  // ARCH_GET_XCOMP_PERM, since 5.16
            state.permittedComponents = try remote.read(at: scratch, count: 8).word(at: 0)
        }
        // ARCH_GET_UNTAG_MASK, since 6.4
        if try remote.attempt(.arch_prctl, [0x4001, scratch]) == 0,
            try remote.read(at: scratch, count: 8).word(at: 0) != UInt64.max
        {
            throw refuse(remote.task, "linear address masking", "its pointers carry tags, which are not carried")
        }
        return state
    }

    /// The registrations of membarrier(2), as bits of MEMBARRIER_CMD_REGISTER_….
    private func membarriers(_ remote: RemoteTask) throws(EngineError) -> UInt32 {
        // MEMBARRIER_CMD_GET_REGISTRATIONS, since 6.3
        let told = try remote.attempt(.membarrier, [1 << 9, 0, 0])
        if told >= 0 { return UInt32(truncatingIfNeeded: told) }
        var found: UInt32 = 0
        // An expedited barrier without its registration fails with EPERM. Private ones only reach the frozen process.
        for command in [UInt64(3), 5, 7] where try remote.attempt(.membarrier, [1 << command, 0, 0]) == 0 {
            found |= 1 << UInt32(command + 1)
        }
        // The global one always succeeds. Being registered costs little, and missing it would lose barriers.
        let known = try remote.attempt(.membarrier, [0, 0, 0])
        if known > 0, known & 1 << 2 != 0 { found |= 1 << 2 }
        return found
    }
}
