import CRModel
import CRRuntimes
import GuestWire
import LinuxKit

/// Starts a workload, dumps it with a runtime, and sends evidence and archive.
struct DumpOperation {
    /// PIDs of the workload start above this, so that the same ones are free where a restore's helpers have low ones.
    static let lastPid = 1000

    private let request: OperationRequest
    private let context: CellContext
    private let stage: StageLog

    init(_ request: OperationRequest, _ context: CellContext) {
        self.request = request
        self.context = context
        stage = StageLog(context.kernelLog)
    }

    private var deadline: Deadline { Deadline(seconds: Double(request.deadlineMilliseconds) / 1000) }

    func run() throws(AgentError) {
        guard let runtime = RuntimeFolder.cellCatalog().runtime(request.runtime) else {
            throw .runtimeUnknown(request.runtime.rawValue)
        }
        let manifest = try WorkloadFolder.manifest(name: request.workload.rawValue)
        try AgentError.preparing("choose the first PID") { () throws(LinuxError) in
            try Files.write(Array("\(Self.lastPid)".utf8), to: "/proc/sys/kernel/ns_last_pid")
        }
        let workload: WorkloadRun
        if let runtime = runtime as? any ContainerRuntime {
            guard let started = try startContainer(manifest, runtime) else { return }
            workload = started
        } else {
            workload = try WorkloadRun(start: manifest, seed: request.seed, reaper: context.reaper, stage: stage)
        }
        let ready = workload.waitReady(deadline: deadline)
        guard ready == .reached else {
            let evidence = self.evidence(ready.ending, workload: workload, maps: .snapshot())
            return try context.wire.reply(.stages(StagesReply(stages: [evidence], archiveFollows: false)))
        }
        try finish(workload, with: runtime, after: [])
    }

    /// Dumps a workload that works; replies with the evidence of what came before and of the dump, and sends the archive.
    func finish(
        _ workload: WorkloadRun, with runtime: any Runtime, after earlier: [StageEvidence]
    ) throws(AgentError) {
        workload.markProgress(workload.progress)
        let maps = TaskMaps.snapshot()
        try CellRecord(root: workload.root, progress: workload.progressBefore).write(maps: maps)
        let evidence = try dump(workload, with: runtime, maps: maps)
        let done = evidence.ending == .done
        try context.wire.reply(.stages(StagesReply(stages: earlier + [evidence], archiveFollows: done)))
        if done {
            var writer = ChunkWriter(context.wire)
            try ArchiveFiles.write(["image", "meta", "work"], of: CellRoot.base, to: &writer)
            try writer.finish()
        }
    }

    /// Lets the runtime start the workload.
    ///
    /// - Returns: `nil` when it could not, which is the reply then.
    private func startContainer(
        _ manifest: WorkloadManifest, _ runtime: any ContainerRuntime
    ) throws(AgentError) -> WorkloadRun? {
        let bundle = try ContainerBundle(
            runtime, .cell(request.options), workload: manifest.command,
            environment: WorkloadRun.environment(manifest, seed: request.seed))
        let command = runtime.startCommand(bundle.request)
        let ended: RuntimeExit
        do throws(LinuxError) {
            ended = try bundle.command(command, deadline: deadline).run(reaper: context.reaper)
        } catch {
            throw .preparation("start the runtime", error)
        }
        let report = runtime.report(ended)
        if report.ending == .done {
            return try WorkloadRun(
                in: bundle, manifest, reaper: context.reaper, stage: stage, deadline: deadline)
        }
        stage.collect()
        let evidence = StageEvidence(
            stage: .dump, ending: report.ending, command: command.arguments, exitStatus: ended.exitStatus,
            signal: ended.signal, log: report.log, kernelLog: stage.messages, taints: stage.taints,
            tasks: TaskStates.lines(), milliseconds: stage.milliseconds)
        try context.wire.reply(.stages(StagesReply(stages: [evidence], archiveFollows: false)))
        return nil
    }

    private func dump(
        _ workload: WorkloadRun, with runtime: any Runtime, maps: TaskMaps
    ) throws(AgentError) -> StageEvidence {
        let command = runtime.dumpCommand(.cell(request.options, process: workload.root))
        let start = MonotonicClock.nanoseconds()
        let ended: RuntimeExit
        do throws(LinuxError) {
            ended = try Command(command, outputFolder: CellRoot.logFolder, deadline: deadline)
                .run(reaper: context.reaper)
        } catch {
            throw .preparation("start the runtime", error)
        }
        let milliseconds = Int((MonotonicClock.nanoseconds() - start) / 1_000_000)
        var report = runtime.report(ended)
        switch report.ending {
        case .done:
            // The runtime says that the tree is gone; tasks that live on would change files under the archive.
            if let left = waitForTasksToEnd() {
                report.ending = .failed
                report.log += "\n[agent] tasks still alive after the dump: \(left)"
            }
        case .refused:
            // Refusing must not harm: the workload has to go on by itself.
            let sight = workload.waitProgress(deadline: deadline)
            if sight != .reached { report.log += "\n[agent] after the refusal the workload did not go on: \(sight)" }
        default: break
        }
        var evidence = self.evidence(report.ending, workload: workload, maps: maps)
        evidence.command = command.arguments
        evidence.exitStatus = ended.exitStatus
        evidence.signal = ended.signal
        evidence.refusal = report.refusal
        evidence.log = report.log
        evidence.milliseconds = milliseconds
        evidence.tasks = report.ending == .done ? nil : TaskStates.lines()
        evidence.imageBytes = ImageSize.bytes(of: CellRoot.imageFolder)
        return evidence
    }

    /// - Returns: The PIDs that are still there; `nil` when all are gone.
    private func waitForTasksToEnd() -> [Int32]? {
        // A sandbox of several processes takes longer to end than a tree does, and longer still on a busy lab machine,
        // of which the request's deadline knows.
        let deadline = Deadline(seconds: max(15, Double(request.deadlineMilliseconds) / 4000))
        while true {
            context.reaper.step(nanoseconds: 5_000_000)
            let left = TaskMaps.processes().filter { $0 != 1 }
            if left.isEmpty { return nil }
            if deadline.remainingNanoseconds == 0 { return left }
        }
    }

    private func evidence(
        _ ending: StageEvidence.Ending, workload: WorkloadRun, maps: TaskMaps
    ) -> StageEvidence {
        stage.collect()
        var outer = OuterTasks(descriptor: context.outerProc)
        outer.update()
        var resolver = FaultResolver(maps: [maps], outer: outer)
        return StageEvidence(
            stage: .dump, ending: ending, workload: workload.evidence(),
            faults: stage.faults.map { resolver.evidence($0) }, kernelLog: stage.messages, taints: stage.taints,
            milliseconds: stage.milliseconds)
    }
}

/// The size of an image, whatever files it is made of.
enum ImageSize {
    static func bytes(of folder: String) -> UInt64 {
        ((try? Files.names(in: folder)) ?? []).reduce(0) { sum, name in
            sum + ((try? Files.status(of: folder + "/" + name, follow: false))?.sizeBytes ?? 0)
        }
    }
}
