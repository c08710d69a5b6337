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

    /// What can be read from outside.
    func outerState(
        of task: Int32, _ status: TaskStatus, _ stat: TaskStat, _ process: Int32
    ) throws(EngineError) -> TaskStateValue {
        var state = TaskStateValue()
        if let mask = try? Limits.affinity(of: task), !OnlineCPUs.areAll(in: mask) { state.affinity = mask }
        state.inputOutputPriority = Limits.inputOutputPriority(of: task)
        if Limits.coreCookie(of: task) != 0 {
            throw refuse(task, "core scheduling cookie", "who may share a core with whom is not carried")
        }
        state.isFlusher = stat.flags & Flag.flusher == Flag.flusher
        // 2 is the default; what the task has chosen itself is asked.
        state.machineCheckKill = stat.flags & Flag.machineCheckPolicy != 0 ? 0 : 2
        state.speculation = Self.isOwnSpeculation(status.speculation) ? [0, 0, 0] : []
        if let label = SecurityLabel.own {
            let found = SecurityLabel.read("/proc/\(process)/task/\(task)/attr/current") ?? ""
            if found != label { state.securityLabel = found }
        }
        state.seccompMode = UInt32(status.seccomp)
        if status.seccomp == 2 { state.seccompFilters = try seccompFilters(of: task) }
        return state
    }

    /// Words that /proc uses for what the task itself has chosen.
    private static func isOwnSpeculation(_ text: String) -> Bool {
        text.contains("mitigated") && text.contains("thread") || text.contains("conditional")
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

    /// What belongs to a whole process, as one of its tasks has answered.
    func processState(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ questions: ProcessQuestions, _ answers: [Int64],
        _ results: [UInt64]
    ) throws(EngineError) -> ProcessStateValue {
        var state = ProcessStateValue()
        if questions.masksAddresses(answers, results) {
            throw refuse(remote.task, "linear address masking", "its pointers carry tags, which are not carried")
        }
        if let keyring = questions.keyring(answers) {
            throw refuse(remote.task, "process keyring \(keyring)", "keys that the kernel keeps are not carried")
        }
        if questions.isSandboxed(answers) {
            throw refuse(remote.task, "sandbox (Landlock)", "what it must not do is not carried")
        }
        if questions.hasDescriptorTable(answers) {
            throw refuse(remote.task, "local descriptor table", "segments of modify_ldt(2) are not carried")
        }
        if let session = questions.sessionKeyring(answers) { try checkKeys(of: session, remote) }
        questions.complete(&state, answers, results)
        if let known = questions.membarriers(answers) {
            state.membarriers = known
        } else {
            state.membarriers = try membarriers(remote)
        }
        if let text = try? Files.text(of: "/proc/\(remote.task)/loginuid"), let user = UInt32(text.filter(\.isNumber)) {
            state.loginUser = user
        }
        // `/autogroup-5 nice 0`; it belongs to the session, and is told through whoever is in it.
        if process.stat.session == process.pid, let text = try? Files.text(of: "/proc/\(process.pid)/autogroup"),
            let niceness = text.split(whereSeparator: { $0 == " " || $0 == "\n" }).last.flatMap({ Int32($0) })
        {
            state.sessionNiceness = niceness
        }
        return state
    }

    /// Refuses keys in a session keyring that the restored process will not have.
    ///
    /// Without keys of its own it is as good as the one that the restore runs in. The user's keyrings, to which it mostly
    /// has a link, outlive the process.
    private func checkKeys(of keyring: UInt64, _ remote: RemoteTask) throws(EngineError) {
        let scratch = try remote.scratch()
        /// Type, owner, group, rights and name.
        func description(_ key: UInt64) throws(EngineError) -> String {
            let count = try remote.attempt(.keyctl, [6, key, scratch, 2048])  // KEYCTL_DESCRIBE
            guard (1...2048).contains(count) else { return "" }
            return String(decoding: try remote.read(at: scratch, count: Int(count)).prefix { $0 != 0 }, as: UTF8.self)
        }
        func isOfUser(_ key: UInt64) throws(EngineError) -> Bool {
            let words = try description(key).split(separator: ";")
            return words.first == "keyring" && words.last?.hasPrefix("_uid") == true
        }
        if try isOfUser(keyring) { return }
        let bytes = try remote.attempt(.keyctl, [11, keyring, scratch, 2048])  // KEYCTL_READ
        // Without the right to look into it, it has none either to use what is there.
        guard bytes > 0 else { return }
        let numbers = try remote.read(at: scratch, count: Int(min(bytes, 2048)) / 4 * 4)
        for place in stride(from: 0, to: numbers.count, by: 4) {
            let key = UInt64(numbers.half(at: place))
            if try isOfUser(key) { continue }
            throw refuse(
                remote.task, "session keyring \(keyring)",
                "it holds key \(key) (\(try description(key))); keys that the kernel keeps are not carried")
        }
    }

    /// The registrations of membarrier(2), as bits of MEMBARRIER_CMD_REGISTER_…, found by trying.
    private func membarriers(_ remote: RemoteTask) throws(EngineError) -> UInt32 {
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

/// The CPUs that this host has online.
enum OnlineCPUs {
    private static let numbers: [Int] = {
        guard let text = try? Files.text(of: "/sys/devices/system/cpu/online") else { return [] }
        var numbers: [Int] = []
        for range in text.split(whereSeparator: { $0 == "," || $0 == "\n" }) {
            let ends = range.split(separator: "-").compactMap { Int($0) }
            if let first = ends.first, let last = ends.last, first <= last { numbers += first...last }
        }
        return numbers
    }()

    /// Whether an affinity mask holds every one of them; false when they are not known.
    static func areAll(in mask: [UInt8]) -> Bool {
        !numbers.isEmpty && numbers.allSatisfy { $0 / 8 < mask.count && mask[$0 / 8] >> UInt8($0 % 8) & 1 != 0 }
    }
}

/// Labels of the security module that has `/proc/TID/attr/current`: SELinux, AppArmor, Smack.
enum SecurityLabel {
    /// The engine's own; `nil` without such a module.
    static let own = read("/proc/self/attr/current")

    static func read(_ path: String) -> String? { (try? Files.text(of: path))?.filter { $0 != "\n" && $0 != "\0" } }
}
