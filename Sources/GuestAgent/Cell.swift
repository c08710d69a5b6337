import CRModel
import CRRuntimes
import GuestWire
import LinuxKit

/// PID 1 of a cell: takes one request, does it in fresh namespaces, replies, and ends with everything it started.
enum Cell {
    /// Serves and ends this process.
    static func run(root: String) -> Never {
        let status = main(root: root)
        while true { _ = Kernel.attempt(.exit_group, UInt64(UInt32(bitPattern: status))) }
    }

    /// Uses once what every cell uses, so that a cell, which is a fork of the agent, finds it ready.
    static func rehearse(root: String) {
        _ = WorkloadFolder.all(below: root)
        let record = CellRecord(root: 1, progress: 0)
        if let text = try? JSONCoder.text(of: record) { _ = try? JSONCoder.decode(CellRecord.self, from: text) }
        let evidence = StageEvidence(
            stage: .restore, ending: .done, command: [""], workload: WorkloadEvidence(status: ""), kernelLog: [""])
        _ = try? Frame(.reply, message: GuestReply.stages(StagesReply(stages: [evidence], archiveFollows: false)))
        if let header = try? Archive.header(of: ArchiveEntry(kind: .directory, path: "image", mode: 0o755)) {
            var decoder = ArchiveDecoder()
            decoder.append(Archive.magic + header)
            while let _ = try? decoder.next() {}
        }
    }

    private static func main(root: String) -> Int32 {
        let wire = CellWire(input: 0, output: 1)
        do throws(AgentError) {
            let request = try wire.receiveRequest()
            do throws(AgentError) {
                try serve(request, root: root, wire: wire)
            } catch {
                try wire.reply(.failed(AgentFailure(reason: error.reason, message: error.explanation.line)))
            }
            return 0
        } catch {
            try? Files.write(2, Array("crlab-agent cell: \(error.explanation.line)\n".utf8))
            return 70
        }
    }

    private static func serve(_ request: GuestRequest, root: String, wire: CellWire) throws(AgentError) {
        let context = try CellContext(root: root, wire: wire)
        switch request {
        case .dump(let request): try DumpOperation(request, context).run()
        case .restore(let request): try RestoreOperation(request, context).run()
        case .relay(let request): try RestoreOperation(request.restore, context, next: request.dump).run()
        case .verify(let request): try VerifyOperation(request, context).run()
        case .exec(let request): try exec(request, context)
        case .shell(let request): try Terminal.serve(request, context)
        default: throw .channel("\(request.name) is no request for a cell")
        }
    }

    private static func exec(_ request: ExecRequest, _ context: CellContext) throws(AgentError) {
        var command = Command(
            arguments: request.arguments, environment: ["HOME=/tmp"], workingDirectory: CellRoot.workFolder,
            outputFolder: CellRoot.logFolder,
            deadline: Deadline(seconds: Double(request.deadlineMilliseconds) / 1000))
        command.limitBytes = 256 << 10
        let ended: RuntimeExit
        do throws(LinuxError) {
            ended = try command.run(reaper: context.reaper)
        } catch {
            // What a shell says for a command that cannot be started.
            let outcome = ExecOutcome(exitStatus: 127, signal: nil, output: "", errors: error.explanation.line)
            return try context.wire.reply(.exec(outcome))
        }
        if ended.timedOut {
            let failure = AgentFailure(reason: .harnessDeadline, message: "the command did not end in time")
            return try context.wire.reply(.failed(failure))
        }
        try context.wire.reply(
            .exec(
                ExecOutcome(
                    exitStatus: ended.exitStatus, signal: ended.signal, output: ended.output, errors: ended.errors)))
    }
}

/// What every operation of a cell works with.
struct CellContext {
    let wire: CellWire
    let reaper = Reaper()
    let kernelLog: KernelLog?
    /// The guest's own `/proc`, where the cell's tasks have the PIDs that the kernel log names.
    let outerProc: Int32

    init(root: String, wire: CellWire) throws(AgentError) {
        self.wire = wire
        kernelLog = try? KernelLog(fromNow: true)
        outerProc = try AgentError.preparing("open /proc") { () throws(LinuxError) in
            try Files.open("/proc", [.pathOnly, .directory])
        }
        try AgentError.preparing("block signals") { () throws(LinuxError) in
            _ = try Signals.block([Signals.child, Signals.pipe])
        }
        try Settings.repeatInCell()
        try CellRoot.enter(root: root)
    }
}
