/// One process of the tree. Object numbers refer to the records of that number; 0 means none, as for zombies.
public struct ProcessRecord: ImageValue {
    public var pid: Int32 = 0
    /// PID of the parent; 0 for the root process, whose parent is whoever restores.
    public var parent: Int32 = 0
    public var processGroup: Int32 = 0
    public var session: Int32 = 0
    /// Whether the session has members outside of the tree and its founder is none of the tree: a restore leaves the
    /// process in the session of whoever restores.
    public var sessionIsOutside = false
    /// Signal to the parent at its end.
    public var exitSignal: Int32 = 17
    /// Whether it has ended and waits for its parent's wait4(2).
    public var isZombie = false
    /// Whether its first task has ended while others run; that task's record says whose it was and nothing else.
    public var leaderHasEnded = false
    /// Of a zombie or a first task that has ended, in the form of wait4(2)'s status word.
    public var exitStatus: Int32 = 0
    /// Of a zombie: whom it belongs to, for its parent's waitid(2).
    public var zombieUser: UInt32 = 0
    /// The job-control signal that stopped it; 0 when it runs.
    public var stopSignal: Int32 = 0
    /// Whether its parent has already been told of that stop by wait4(2).
    public var stopIsReported = false
    /// Number of the ``TerminalRecord`` that controls it; 0 for none.
    public var terminal: UInt32 = 0
    /// Number of an ``OpenFileRecord`` of the virtual terminal that controls it; 0 for none.
    public var consoleFile: UInt32 = 0
    /// The process group in the foreground of that virtual terminal.
    public var consoleForeground: Int32 = 0
    /// Number of its ``AddressSpaceRecord``.
    public var addressSpace: UInt32 = 0
    /// Number of its ``FileTableRecord``.
    public var fileTable: UInt32 = 0
    /// Number of its ``FileSystemRecord``.
    public var fileSystem: UInt32 = 0
    /// Number of its ``SignalTableRecord``.
    public var signalTable: UInt32 = 0
    /// Name of a zombie, which has no task record; empty for a live process.
    public var comm: [UInt8] = []
    /// RLIMIT_CPU … RLIMIT_RTTIME.
    public var limits: [LimitValue] = []
    /// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.
    public var intervalTimers: [IntervalTimerValue] = []
    public var timers: [PosixTimerValue] = []
    /// siginfo of the signals that are pending for the whole process, 128 bytes each, oldest first.
    public var pendingSignals: [[UInt8]] = []
    /// PR_SET_CHILD_SUBREAPER.
    public var isSubreaper = false
    /// `/proc/PID/oom_score_adj`.
    public var oomScoreAdjustment: Int32 = 0
    public var state = ProcessStateValue()
    /// Numbers of the ``NamespaceRecord`` that it is in, at most one of each kind; the engine's own have none.
    public var namespaces: [UInt32] = []
    /// Numbers of the namespaces that its children will be in where they differ: PID, time.
    public var childNamespaces: [UInt32] = []
    /// Its PIDs in the PID namespaces below the root process's, outermost first.
    public var innerPids: [Int32] = []
    /// Numbers of the ``CgroupRecord`` that it is in, one for each hierarchy.
    public var cgroups: [UInt32] = []

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("pid", &pid)
        try fields.number("parent", &parent)
        try fields.number("processGroup", &processGroup)
        try fields.number("session", &session)
        try fields.flag("sessionIsOutside", &sessionIsOutside)
        try fields.number("exitSignal", &exitSignal)
        try fields.flag("isZombie", &isZombie)
        try fields.flag("leaderHasEnded", &leaderHasEnded)
        try fields.number("exitStatus", &exitStatus)
        try fields.number("zombieUser", &zombieUser)
        try fields.number("stopSignal", &stopSignal)
        try fields.flag("stopIsReported", &stopIsReported)
        try fields.number("terminal", &terminal)
        try fields.number("consoleFile", &consoleFile)
        try fields.number("consoleForeground", &consoleForeground)
        try fields.number("addressSpace", &addressSpace)
        try fields.number("fileTable", &fileTable)
        try fields.number("fileSystem", &fileSystem)
        try fields.number("signalTable", &signalTable)
        try fields.bytes("comm", &comm)
        try fields.list("limits", &limits)
        try fields.list("intervalTimers", &intervalTimers)
        try fields.list("timers", &timers)
        try fields.list(ofBytes: "pendingSignals", &pendingSignals)
        try fields.flag("isSubreaper", &isSubreaper)
        try fields.number("oomScoreAdjustment", &oomScoreAdjustment)
        try state.transfer(&fields)
        try fields.numbers("namespaces", &namespaces)
        try fields.numbers("childNamespaces", &childNamespaces)
        try fields.numbers("innerPids", &innerPids)
        try fields.numbers("cgroups", &cgroups)
    }
}

/// One resource limit; `UInt64.max` is RLIM_INFINITY.
public struct LimitValue: ImageValue {
    public var soft: UInt64 = 0
    public var hard: UInt64 = 0

    public init() {}

    public init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("soft", &soft)
        try fields.number("hard", &hard)
    }
}

/// One of setitimer(2)'s timers.
public struct IntervalTimerValue: ImageValue {
    /// Time to the next expiry; 0 when disarmed.
    public var valueMicroseconds: UInt64 = 0
    public var intervalMicroseconds: UInt64 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("valueMicroseconds", &valueMicroseconds)
        try fields.number("intervalMicroseconds", &intervalMicroseconds)
    }
}

/// One timer of timer_create(2).
public struct PosixTimerValue: ImageValue {
    public var id: Int32 = 0
    /// CLOCK_… number.
    public var clock: Int32 = 0
    public var signal: Int32 = 0
    /// `sigev_value`.
    public var value: UInt64 = 0
    /// SIGEV_SIGNAL 0, SIGEV_NONE 1, SIGEV_THREAD 2, with SIGEV_THREAD_ID 4.
    public var notify: Int32 = 0
    /// TID to signal with SIGEV_THREAD_ID, in the workload's PID namespace.
    public var notifyTask: Int32 = 0
    /// The task whose CPU time it counts when `clock` means the caller's own; 0 when any task may create it.
    public var creator: Int32 = 0
    /// Time to the next expiry; 0 when disarmed.
    public var valueNanoseconds: UInt64 = 0
    public var intervalNanoseconds: UInt64 = 0

    public init() {}

    public mutating func transfer(_ fields: inout some RecordFields) throws(ImageError) {
        try fields.number("id", &id)
        try fields.number("clock", &clock)
        try fields.number("signal", &signal)
        try fields.hex("value", &value)
        try fields.number("notify", &notify)
        try fields.number("notifyTask", &notifyTask)
        try fields.number("creator", &creator)
        try fields.number("valueNanoseconds", &valueNanoseconds)
        try fields.number("intervalNanoseconds", &intervalNanoseconds)
    }
}
