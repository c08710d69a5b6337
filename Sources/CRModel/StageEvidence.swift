/// Everything that one execution of a cell left behind; the input of classification, and what the store keeps.
public struct AttemptEvidence: Codable, Hashable, Sendable {
    public var cell: Cell
    /// `nil` when the stage was not reached.
    public var dump: StageEvidence?
    public var restore: StageEvidence?
    public var verify: StageEvidence?
    /// `nil` when the host never answered.
    public var sourceHost: HostFingerprint?
    public var destinationHost: HostFingerprint?
    /// Why the lab could not finish the attempt; `nil` when it did. Makes the attempt a `miss`.
    public var labFailure: LabFailure?
    /// The shorter chain at whose end this one stopped, which the evidence is about; `nil` when it came to its last stage.
    public var stoppedAs: Cell?
    /// What the workload did on the destination host with neither dump nor restore; `nil` where nothing failed there.
    public var workloadAlone: StageEvidence?

    public init(
        cell: Cell, dump: StageEvidence? = nil, restore: StageEvidence? = nil, verify: StageEvidence? = nil,
        sourceHost: HostFingerprint? = nil, destinationHost: HostFingerprint? = nil, labFailure: LabFailure? = nil
    ) {
        self.cell = cell
        self.dump = dump
        self.restore = restore
        self.verify = verify
        self.sourceHost = sourceHost
        self.destinationHost = destinationHost
        self.labFailure = labFailure
    }
}

/// The lab's own failure, in place of an outcome.
public struct LabFailure: Codable, Hashable, Sendable {
    /// `harness.boot`, `harness.channel`, `harness.deadline`, `harness.image`, `harness.space`, `harness.emulation`,
    /// `harness.agent`, `harness.workload`.
    public var reason: Reason
    public var summary: String
    public var consoleTail: String

    public init(reason: Reason, summary: String, consoleTail: String = "") {
        self.reason = reason
        self.summary = summary
        self.consoleTail = consoleTail
    }
}

/// What one stage of an attempt left behind, collected in the guest without interpretation.
public struct StageEvidence: Codable, Hashable, Sendable {
    /// How the stage ended, as a fact and not as a judgement.
    public enum Ending: String, Codable, Sendable {
        /// The stage did what it should.
        case done
        /// The runtime exited in its documented way of saying no; `refusal` or its log says why.
        case refused
        /// The runtime exited with another status or signal.
        case failed
        /// The runtime did not end before its deadline.
        case hung
        /// The workload's task died, of `workload.signal` or with `workload.exitStatus`.
        case workloadDied
        /// The workload lives and makes no progress.
        case workloadHung
        /// The workload says that an invariant does not hold, or its check says so.
        case workloadWrong
    }

    public var stage: Stage
    public var ending: Ending
    /// The runtime's command line; empty for `verify`.
    public var command: [String]
    public var exitStatus: Int?
    public var signal: Int?
    /// The runtime's log and standard error; at most its first and last 32 KiB.
    public var log: String
    /// What the runtime itself says machine-readably; only `native` does today.
    public var refusal: Refusal?
    public var workload: WorkloadEvidence?
    public var faults: [FaultEvidence]
    /// Kernel messages that appeared during the stage, without time stamps, at most 200.
    public var kernelLog: [String]
    /// Why the guest must not be used again; empty for a clean guest. From kernel messages `oops`, `lockup`, `hung-task`,
    /// `out-of-memory`, `disk`, `warning`; from what the guest is afterwards `leaked-tasks`, `memory`, `mounts`, `clock`.
    public var taints: [String]
    /// The cell's tasks when the stage failed, one line each: PID, TID, name, state, where it waits; at most 200. `nil`
    /// when it did not fail.
    public var tasks: [String]?
    public var milliseconds: Int
    /// Size of the image, in bytes; 0 when there is none.
    public var imageBytes: UInt64

    public init(
        stage: Stage, ending: Ending, command: [String] = [], exitStatus: Int? = nil, signal: Int? = nil,
        log: String = "", refusal: Refusal? = nil, workload: WorkloadEvidence? = nil, faults: [FaultEvidence] = [],
        kernelLog: [String] = [], taints: [String] = [], tasks: [String]? = nil, milliseconds: Int = 0,
        imageBytes: UInt64 = 0
    ) {
        self.stage = stage
        self.ending = ending
        self.command = command
        self.exitStatus = exitStatus
        self.signal = signal
        self.log = log
        self.refusal = refusal
        self.workload = workload
        self.faults = faults
        self.kernelLog = kernelLog
        self.taints = taints
        self.tasks = tasks
        self.milliseconds = milliseconds
        self.imageBytes = imageBytes
    }

    /// Whether the workload came to its end, or to a failure, before the runtime had anything to do with it.
    public var endedBeforeDump: Bool {
        stage == .dump && command.isEmpty && [.workloadDied, .workloadWrong].contains(ending)
    }
}

/// A refusal that the runtime itself explains.
public struct Refusal: Codable, Hashable, Sendable {
    /// A reason of the taxonomy, as the runtime names it.
    public var reason: String
    /// The TID concerned, in the workload's PID namespace; `nil` when none is.
    public var task: Int?
    /// The kernel object: `fd 5: socket:[123]`, `vma 7f…-7f… [uprobes]`; empty when none is.
    public var object: String
    public var message: String
    /// What differs, one item each: feature names, file names, fields.
    public var differences: [String]

    public init(reason: String, task: Int? = nil, object: String = "", message: String, differences: [String] = []) {
        self.reason = reason
        self.task = task
        self.object = object
        self.message = message
        self.differences = differences
    }
}

/// What the workload showed.
public struct WorkloadEvidence: Codable, Hashable, Sendable {
    /// Last line of its `status` file; empty when it wrote none.
    public var status: String
    /// Its progress counter at dump, after restore, and at the end of the stage; `nil` when unreadable.
    public var progressBefore: UInt64?
    public var progressAfter: UInt64?
    public var exitStatus: Int?
    public var signal: Int?
    /// Tail of its output, at most 8 KiB each.
    public var stdoutTail: String
    public var stderrTail: String

    public init(
        status: String = "", progressBefore: UInt64? = nil, progressAfter: UInt64? = nil, exitStatus: Int? = nil,
        signal: Int? = nil, stdoutTail: String = "", stderrTail: String = ""
    ) {
        self.status = status
        self.progressBefore = progressBefore
        self.progressAfter = progressAfter
        self.exitStatus = exitStatus
        self.signal = signal
        self.stdoutTail = stdoutTail
        self.stderrTail = stderrTail
    }
}

/// A task that died of a fault: where, and the bytes that it was executing.
public struct FaultEvidence: Codable, Hashable, Sendable {
    public var task: Int
    public var comm: String
    public var signal: Int
    public var instructionPointer: UInt64
    /// Bytes at the instruction pointer, hexadecimal without spaces; at least one instruction's worth (15) where they
    /// could be read, empty otherwise.
    public var bytes: String
    /// The mapped file; empty for anonymous memory (JIT pages), `[vdso]`, `[heap]`… as the kernel names them.
    public var mapping: String
    /// Offset of the instruction in the mapped file.
    public var fileOffset: UInt64?
    public var buildID: String
    /// Nearest preceding symbol of the mapped file; empty when it has none.
    public var symbol: String
    public var symbolOffset: UInt64?
    /// Size of that symbol as the file says; an offset beyond it lies in another function, whose name the file does
    /// not have. `nil` or 0 when the file does not say.
    public var symbolBytes: UInt64?

    public init(
        task: Int, comm: String, signal: Int, instructionPointer: UInt64, bytes: String, mapping: String = "",
        fileOffset: UInt64? = nil, buildID: String = "", symbol: String = "", symbolOffset: UInt64? = nil,
        symbolBytes: UInt64? = nil
    ) {
        self.task = task
        self.comm = comm
        self.signal = signal
        self.instructionPointer = instructionPointer
        self.bytes = bytes
        self.mapping = mapping
        self.fileOffset = fileOffset
        self.buildID = buildID
        self.symbol = symbol
        self.symbolOffset = symbolOffset
        self.symbolBytes = symbolBytes
    }
}
