import CRModel
import GuestWire
import LinuxKit

/// Starts a workload and verifies it where it is, with neither dump nor restore: what does not work so says nothing
/// about a restore.
struct VerifyOperation {
    private let request: OperationRequest
    private let context: CellContext

    init(_ request: OperationRequest, _ context: CellContext) {
        self.request = request
        self.context = context
    }

    func run() throws(AgentError) {
        let manifest = try WorkloadFolder.manifest(name: request.workload.rawValue)
        let stage = StageLog(context.kernelLog)
        let workload = try WorkloadRun(start: manifest, seed: request.seed, reaper: context.reaper, stage: stage)
        let ready = workload.waitReady(deadline: Deadline(seconds: Double(request.deadlineMilliseconds) / 1000))
        workload.markProgress(workload.progress)
        var outer = OuterTasks(descriptor: context.outerProc)
        outer.update()
        var resolver = FaultResolver(maps: [.snapshot()], outer: outer)
        var evidence: StageEvidence
        if ready == .reached {
            evidence = RestoreOperation(request, context).verify(workload, stage: stage, resolver: &resolver)
        } else {
            stage.collect()
            evidence = StageEvidence(
                stage: .verify, ending: ready.ending, workload: workload.evidence(),
                faults: stage.faults.map { resolver.evidence($0) }, kernelLog: stage.messages, taints: stage.taints,
                tasks: TaskStates.lines())
        }
        evidence.milliseconds = stage.milliseconds
        try context.wire.reply(.stages(StagesReply(stages: [evidence], archiveFollows: false)))
    }
}
