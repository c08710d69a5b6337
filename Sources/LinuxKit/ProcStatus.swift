/// What `/proc/TID/status` says, as far as the engine needs it.
public struct TaskStatus: Sendable, Hashable {
    public var name: String
    public var umask: UInt32
    /// `R`, `S`, `D`, `T` (group-stopped), `t` (traced), `Z`, `X`, `I`.
    public var state: Character
    public var process: Int32
    public var parent: Int32
    /// 0 when nobody traces it.
    public var tracer: Int32
    /// Real, effective, saved, file-system.
    public var uids: [UInt32]
    public var gids: [UInt32]
    public var groups: [UInt32]
    /// The TID in each nested PID namespace, outermost first.
    public var namespaceTids: [Int32]
    public var namespaceProcesses: [Int32]
    public var namespaceGroups: [Int32]
    public var namespaceSessions: [Int32]
    public var pendingSignals: UInt64
    public var sharedPendingSignals: UInt64
    public var blockedSignals: UInt64
    public var ignoredSignals: UInt64
    public var caughtSignals: UInt64
    public var capabilitiesInheritable: UInt64
    public var capabilitiesPermitted: UInt64
    public var capabilitiesEffective: UInt64
    public var capabilitiesBounding: UInt64
    public var capabilitiesAmbient: UInt64
    public var noNewPrivileges: Bool
    /// 0 none, 1 strict, 2 filter.
    public var seccomp: Int
    /// `Speculation_Store_Bypass` and `SpeculationIndirectBranch`, as text; empty when the kernel has no such lines.
    public var speculation: String
    public var threads: Int
    /// Memory that the process has locked (VmLck), in KiB.
    public var lockedKibibytes: UInt64 = 0
}

extension ProcParser {
    /// Parses `/proc/TID/status`.
    public static func status(_ text: String, file: String = "status") throws(LinuxError) -> TaskStatus {
        try status(Array(text.utf8), file: file)
    }

    /// Parses `/proc/TID/status`.
    public static func status(_ bytes: [UInt8], file: String = "status") throws(LinuxError) -> TaskStatus {
        var fields: [(key: ProcText, value: ProcText)] = []
        fields.reserveCapacity(64)
        ProcText.lines(of: bytes) { line in
            if let (key, value) = line.cut(at: UInt8(ascii: ":")) { fields.append((key, value.trimmed)) }
        }
        // The kernel prints the fields in the order in which they are asked for here, nearly.
        var next = 0
        func find(_ key: String) -> ProcText? {
            for step in 0..<fields.count {
                let index = (next + step) % fields.count
                if fields[index].key == key {
                    next = index + 1
                    return fields[index].value
                }
            }
            return nil
        }
        func line(_ key: String) throws(LinuxError) -> ProcText {
            guard let value = find(key) else { throw .malformed(file, why: "no line '\(key)'") }
            return value
        }
        func numbers<Number: FixedWidthInteger>(_ key: String, _ type: Number.Type) throws(LinuxError) -> [Number] {
            var numbers: [Number] = []
            for word in try line(key).words {
                guard let number = word.number(type) else {
                    throw .malformed(file, why: "line '\(key)' holds no numbers")
                }
                numbers.append(number)
            }
            return numbers
        }
        func number<Number: FixedWidthInteger>(_ key: String, _ type: Number.Type) throws(LinuxError) -> Number {
            guard let number = try numbers(key, type).first else {
                throw .malformed(file, why: "line '\(key)' is empty")
            }
            return number
        }
        func mask(_ key: String) throws(LinuxError) -> UInt64 {
            guard let mask = try line(key).unsigned(radix: 16) else {
                throw .malformed(file, why: "line '\(key)' holds no mask")
            }
            return mask
        }
        let name = find("Name")?.string ?? ""
        // A zombie has no memory and no fs_struct left, so it prints no umask.
        let umask = find("Umask").flatMap { $0.number(UInt32.self, radix: 8) } ?? 0
        guard let state = try line("State").bytes.first else { throw .malformed(file, why: "no state") }
        let uids = try numbers("Uid", UInt32.self)
        let gids = try numbers("Gid", UInt32.self)
        guard uids.count == 4, gids.count == 4 else { throw .malformed(file, why: "not four IDs") }
        return TaskStatus(
            name: unescape(name, only: nil), umask: umask, state: Character(UnicodeScalar(state)),
            process: try number("Tgid", Int32.self), parent: try number("PPid", Int32.self),
            tracer: try number("TracerPid", Int32.self), uids: uids, gids: gids,
            groups: try numbers("Groups", UInt32.self), namespaceTids: try numbers("NSpid", Int32.self),
            namespaceProcesses: try numbers("NStgid", Int32.self), namespaceGroups: try numbers("NSpgid", Int32.self),
            namespaceSessions: try numbers("NSsid", Int32.self), pendingSignals: try mask("SigPnd"),
            sharedPendingSignals: try mask("ShdPnd"), blockedSignals: try mask("SigBlk"),
            ignoredSignals: try mask("SigIgn"), caughtSignals: try mask("SigCgt"),
            capabilitiesInheritable: try mask("CapInh"), capabilitiesPermitted: try mask("CapPrm"),
            capabilitiesEffective: try mask("CapEff"), capabilitiesBounding: try mask("CapBnd"),
            capabilitiesAmbient: try mask("CapAmb"), noNewPrivileges: try number("NoNewPrivs", Int.self) != 0,
            seccomp: find("Seccomp").flatMap { $0.number(Int.self) } ?? 0,
            speculation: (find("Speculation_Store_Bypass")?.string ?? "") + " / "
                + (find("SpeculationIndirectBranch")?.string ?? ""),
            threads: try number("Threads", Int.self),
            lockedKibibytes: find("VmLck").flatMap { $0.words.first?.unsigned() } ?? 0)
    }

}

/// What `/proc/TID/stat` says. The numbers of proc_pid_stat(5), one less as index.
public struct TaskStat: Sendable, Hashable {
    /// Exactly as in the kernel, at most 15 bytes.
    public var comm: [UInt8]
    public var state: Character
    public var parent: Int32
    public var processGroup: Int32
    public var session: Int32
    public var terminal: Int32
    public var foregroundGroup: Int32
    /// PF_… of `include/linux/sched.h`.
    public var flags: UInt32
    public var nice: Int
    /// Clock ticks after boot at which it started; with the TID an identity.
    public var startTicks: UInt64
    public var startCode: UInt64
    public var endCode: UInt64
    public var startStack: UInt64
    /// Signal to the parent at the end.
    public var exitSignal: Int32
    public var startData: UInt64
    public var endData: UInt64
    public var startHeap: UInt64
    public var argumentsStart: UInt64
    public var argumentsEnd: UInt64
    public var environmentStart: UInt64
    public var environmentEnd: UInt64
    /// In the form of wait4(2); meaningful for a zombie.
    public var exitCode: Int32
}

extension ProcParser {
    /// Parses `/proc/TID/stat`.
    public static func stat(_ bytes: [UInt8], file: String = "stat") throws(LinuxError) -> TaskStat {
        // The name may hold spaces and parentheses; the last closing one ends it.
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")),
            open < close
        else { throw .malformed(file, why: "no name in parentheses") }
        let end = bytes.lastIndex { $0 != UInt8(ascii: "\n") } ?? close
        let fields = ProcText(bytes[(close + 1)...max(end, close + 1 < bytes.count ? close + 1 : close)]).words
        // fields[0] is field 3 of the manual, the state.
        guard fields.count >= 50, let state = fields[0].bytes.first else {
            throw .malformed(file, why: "\(fields.count + 2) fields instead of 52")
        }
        func field<Number: FixedWidthInteger>(_ number: Int, _ type: Number.Type) throws(LinuxError) -> Number {
            guard let value = fields[number - 3].number(type) else {
                throw .malformed(file, why: "field \(number) is '\(fields[number - 3].string)'")
            }
            return value
        }
        return TaskStat(
            comm: Array(bytes[(open + 1)..<close]), state: Character(UnicodeScalar(state)),
            parent: try field(4, Int32.self),
            processGroup: try field(5, Int32.self), session: try field(6, Int32.self),
            terminal: try field(7, Int32.self), foregroundGroup: try field(8, Int32.self),
            flags: try field(9, UInt32.self), nice: try field(19, Int.self),
            startTicks: try field(22, UInt64.self), startCode: try field(26, UInt64.self),
            endCode: try field(27, UInt64.self), startStack: try field(28, UInt64.self),
            exitSignal: try field(38, Int32.self), startData: try field(45, UInt64.self),
            endData: try field(46, UInt64.self), startHeap: try field(47, UInt64.self),
            argumentsStart: try field(48, UInt64.self), argumentsEnd: try field(49, UInt64.self),
            environmentStart: try field(50, UInt64.self), environmentEnd: try field(51, UInt64.self),
            exitCode: try field(52, Int32.self))
    }
}
