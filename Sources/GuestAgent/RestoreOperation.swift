import CRModel
import CRRuntimes
import GuestWire
import LinuxKit

/// Unpacks an archive, restores its image with a runtime, and finds out whether the workload still works; dumps it again
/// where that is what comes next.
struct RestoreOperation {
    private let request: OperationRequest
    private let context: CellContext
    private let next: OperationRequest?

    /// - Parameter next: The dump that takes the place of the workload's last check; `nil` for none.
    init(_ request: OperationRequest, _ context: CellContext, next: OperationRequest? = nil) {
        self.request = request
        self.context = context
        self.next = next
    }

    private var deadline: Deadline { Deadline(seconds: Double(request.deadlineMilliseconds) / 1000) }

    func run() throws(AgentError) {
        guard let runtime = RuntimeFolder.cellCatalog().runtime(request.runtime) else {
            throw .runtimeUnknown(request.runtime.rawValue)
        }
        try unpack()
        if request.cutImage == true { try cutImage() }
        let manifest = try WorkloadFolder.manifest(name: request.workload.rawValue)
        let record = try CellRecord.read()

        let stage = StageLog(context.kernelLog)
        let command = runtime.restoreCommand(.cell(request.options))
        var workload = WorkloadRun(restored: manifest, root: record.root, reaper: context.reaper, stage: stage)
        var run = Command(command, outputFolder: CellRoot.logFolder, deadline: deadline)
        var bundle: ContainerBundle?
        if let runtime = runtime as? any ContainerRuntime {
            let made = try ContainerBundle(
                runtime, .cell(request.options), workload: manifest.command,
                environment: WorkloadRun.environment(manifest, seed: request.seed))
            run = made.command(command, deadline: deadline)
            bundle = made
        }
        let ended: RuntimeExit
        do throws(LinuxError) {
            ended = try run.run(reaper: context.reaper)
        } catch {
            throw .preparation("start the runtime", error)
        }
        let milliseconds = stage.milliseconds
        var outer = OuterTasks(descriptor: context.outerProc)
        outer.update()
        let maps = [TaskMaps.snapshot()]
        stage.collect()
        var resolver = FaultResolver(maps: maps, outer: outer, recorded: CellRecord.maps)
        let report = runtime.report(ended)
        if let bundle, report.ending == .done {
            let before = workload.progressBefore
            workload = try WorkloadRun(
                in: bundle, manifest, reaper: context.reaper, stage: stage, deadline: deadline)
            workload.markProgress(before)
        }
        let restored = StageEvidence(
            stage: .restore, ending: report.ending, command: command.arguments, exitStatus: ended.exitStatus,
            signal: ended.signal, log: report.log, refusal: report.refusal,
            workload: report.ending == .done ? workload.evidence() : nil,
            faults: report.ending == .done ? [] : stage.faults.map { resolver.evidence($0) },
            kernelLog: stage.messages, taints: stage.taints,
            tasks: report.ending == .done ? nil : TaskStates.lines(), milliseconds: milliseconds,
            imageBytes: ImageSize.bytes(of: CellRoot.imageFolder))
        guard report.ending == .done else {
            return try context.wire.reply(.stages(StagesReply(stages: [restored], archiveFollows: false)))
        }
        let verified = verify(workload, stage: stage, resolver: &resolver, runtime: bundle == nil ? nil : run)
        guard let next, verified.ending == .done else {
            return try context.wire.reply(.stages(StagesReply(stages: [restored, verified], archiveFollows: false)))
        }
        // What the image was made of must not lie among what the next one is made of.
        try AgentError.preparing("empty the image folder") { () throws(LinuxError) in
            for name in try Files.names(in: CellRoot.imageFolder) {
                try Files.unlink(CellRoot.imageFolder + "/" + name)
            }
        }
        try DumpOperation(next, context).finish(workload, with: runtime, after: [restored, verified])
    }

    /// Lets a restored workload go on, asks for its last check, and says what became of it.
    func verify(
        _ workload: WorkloadRun, stage: StageLog, resolver: inout FaultResolver, runtime: Command? = nil
    ) -> StageEvidence {
        let start = MonotonicClock.nanoseconds()
        var log = ""
        var sight = workload.waitProgress(deadline: deadline)
        if sight == .reached, let check = workload.manifest.check, !check.isEmpty {
            let ended = workload.check(check, seed: request.seed, deadline: deadline)
            if ended?.exitStatus != 0 {
                sight = ended?.timedOut == true ? .hung : .wrong
                log = "check: " + (ended?.errors ?? "it does not start")
            }
        }
        // The last check ends the workload.
        if sight == .reached, next == nil { sight = workload.verify(deadline: deadline) }
        stage.collect()
        // A runtime that goes on beside the workload says there what became of it.
        if sight != .reached, let runtime {
            log = BoundedText.joined([("check", log)] + runtime.logs.map { ("log", $0) })
        }
        return StageEvidence(
            stage: .verify, ending: sight.ending, log: log, workload: workload.evidence(),
            faults: stage.faults.map { resolver.evidence($0) }, kernelLog: stage.messages, taints: stage.taints,
            tasks: sight == .reached ? nil : TaskStates.lines(),
            milliseconds: Int((MonotonicClock.nanoseconds() - start) / 1_000_000))
    }

    /// The known fault that every runtime has to refuse.
    private func cutImage() throws(AgentError) {
        try AgentError.preparing("cut the image") { () throws(LinuxError) in
            for name in try Files.names(in: CellRoot.imageFolder) {
                let path = CellRoot.imageFolder + "/" + name
                let status = try Files.status(of: path, follow: false)
                if status.kind == .regular { try GuestSystem.cut(path, to: status.sizeBytes / 2) }
            }
        }
    }

    private func unpack() throws(AgentError) {
        var unpacker = ArchiveUnpacker(into: CellRoot.base)
        while let frame = try context.wire.receive() {
            switch frame.kind {
            case .chunk: try unpacker.append(frame.payload)
            case .end:
                guard unpacker.isComplete else { throw .archive("it is cut short") }
                return
            default: throw .channel("a frame of kind \(frame.kind) inside an archive")
            }
        }
        throw .archive("the stream ended before the archive did")
    }
}
