import CRModel
import CRRuntimes
import GuestWire
import LinuxKit

/// A workload in this cell, watched from outside by its files and by its root task's end.
final class WorkloadRun {
    /// How a wait on the workload ended.
    enum Sight: Equatable {
        case reached
        case died
        case wrong
        case hung

        /// As a stage's ending, `done` for `reached`.
        var ending: StageEvidence.Ending {
            switch self {
            case .reached: .done
            case .died: .workloadDied
            case .wrong: .workloadWrong
            case .hung: .workloadHung
            }
        }
    }

    /// Steps of progress that count as "it works".
    static let steps: UInt64 = 3

    let manifest: WorkloadManifest
    /// Its root task, or what waits for that one's end.
    let root: Int32
    private let container: ContainerBundle?
    private let reaper: Reaper
    private let stage: StageLog
    private(set) var progressBefore: UInt64?

    /// Starts it.
    init(start manifest: WorkloadManifest, seed: UInt64, reaper: Reaper, stage: StageLog) throws(AgentError) {
        self.manifest = manifest
        self.reaper = reaper
        self.stage = stage
        container = nil
        let folder = CellRoot.workFolder
        do throws(LinuxError) {
            let null = try Files.open("/dev/null", .readOnly)
            defer { Files.close(null) }
            let out = try Files.open(folder + "/stdout.log", [.writeOnly, .create, .append], mode: 0o644)
            defer { Files.close(out) }
            let errors = try Files.open(folder + "/stderr.log", [.writeOnly, .create, .append], mode: 0o644)
            defer { Files.close(errors) }
            var request = SpawnRequest(
                executable: manifest.command[0], arguments: manifest.command,
                environment: Self.environment(manifest, seed: seed))
            request.newSession = true
            request.workingDirectory = folder
            request.stdin = null
            request.stdout = out
            request.stderr = errors
            let process = try Spawn.start(request)
            // The reaper names processes by PID, and only PID 1 frees them, so the number stays ours.
            Files.close(process.pidfd)
            root = process.pid
        } catch {
            throw .workloadUnreadable(manifest.name, why: "it does not start: \(error.explanation.line)")
        }
    }

    /// One that lives in a container.
    init(
        in container: ContainerBundle, _ manifest: WorkloadManifest, reaper: Reaper, stage: StageLog,
        deadline: Deadline
    ) throws(AgentError) {
        self.manifest = manifest
        self.reaper = reaper
        self.stage = stage
        self.container = container
        root = try container.startWaiting(reaper, deadline: deadline)
    }

    /// One that a runtime has restored.
    init(restored manifest: WorkloadManifest, root: Int32, reaper: Reaper, stage: StageLog) {
        self.manifest = manifest
        self.root = root
        self.reaper = reaper
        self.stage = stage
        container = nil
        progressBefore = progress
    }

    static func environment(_ manifest: WorkloadManifest, seed: UInt64) -> [String] {
        [
            Command.path, "CRLAB_SEED=\(seed)", "CRLAB_WORKLOAD=\(WorkloadFolder.path)/\(manifest.name)",
            "SWIFT_DETERMINISTIC_HASHING=1",
        ]
    }

    /// The counter in the file `progress`; `nil` when unreadable.
    var progress: UInt64? {
        guard let bytes = try? Files.contents(of: CellRoot.workFolder + "/progress") else { return nil }
        return UInt64(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }

    /// The lines of the file `status`.
    var statusLines: [String] {
        ((try? Files.text(of: CellRoot.workFolder + "/status")) ?? "").split(separator: "\n").map(String.init)
    }

    /// Waits until it is set up and has made some checked steps.
    func waitReady(deadline: Deadline) -> Sight {
        let ready = wait(deadline) { self.statusLines.contains("ready") }
        guard ready == .reached else { return ready }
        let first = progress ?? 0
        return wait(deadline) { (self.progress ?? 0) >= first + Self.steps }
    }

    private var hasEnded: Bool { reaper.ended[root] != nil }

    /// How its root task ended; `nil` while it lives, and when nobody can tell.
    private var end: WaitStatus? {
        guard let status = reaper.ended[root] else { return nil }
        guard let container else { return status }
        return container.end()
    }

    /// Remembers the counter, which a restored run has to pass.
    func markProgress(_ progress: UInt64?) { progressBefore = progress }

    /// Waits until it has made some more steps than ``progressBefore``.
    func waitProgress(deadline: Deadline) -> Sight {
        let first = progressBefore ?? progress ?? 0
        return wait(deadline) { (self.progress ?? 0) >= first + Self.steps }
    }

    /// Asks for the last check and waits for its end.
    func verify(deadline: Deadline) -> Sight {
        try? Files.write([], to: CellRoot.workFolder + "/verify")
        while true {
            reaper.step(nanoseconds: 10_000_000)
            stage.collect()
            if hasEnded {
                if statusLines.contains(where: { $0.hasPrefix("failed:") }) { return .wrong }
                // A sandbox that is gone before the question tells nobody how it ended; the workload's own word is its
                // last before exit 0.
                let isClean = end == .exited(code: 0) || container != nil && end == nil
                return isClean && statusLines.last == "verified" ? .reached : .died
            }
            if deadline.remainingNanoseconds == 0 { return .hung }
        }
    }

    private func wait(_ deadline: Deadline, until condition: () -> Bool) -> Sight {
        var faultDeadline: Deadline?
        while true {
            let ended = hasEnded
            stage.collect()
            // The status file first: a workload that finds a violation says so and then exits.
            if statusLines.contains(where: { $0.hasPrefix("failed:") }) { return .wrong }
            if ended { return .died }
            if condition() { return .reached }
            if deadline.remainingNanoseconds == 0 { return .hung }
            // A task other than the root has died of a fault: nothing more is to be expected than the workload's own
            // reaction to it.
            if faultDeadline == nil, stage.hasFault {
                faultDeadline = Deadline(seconds: min(deadline.seconds, 8))
            }
            if let faultDeadline, faultDeadline.remainingNanoseconds == 0 { return .hung }
            reaper.step(nanoseconds: 5_000_000)
        }
    }

    /// What it shows now.
    func evidence() -> WorkloadEvidence {
        var evidence = WorkloadEvidence(
            status: statusLines.last ?? "", progressBefore: progressBefore, progressAfter: progress,
            stdoutTail: tail("stdout.log"), stderrTail: tail("stderr.log"))
        switch end {
        case .exited(let code): evidence.exitStatus = Int(code)
        case .killed(let signal, _): evidence.signal = Int(signal)
        default: break
        }
        return evidence
    }

    /// Runs the manifest's check beside it.
    func check(_ arguments: [String], seed: UInt64, deadline: Deadline) -> RuntimeExit? {
        let command =
            container?.check(arguments, deadline: deadline)
            ?? Command(
                arguments: arguments, environment: Self.environment(manifest, seed: seed),
                workingDirectory: CellRoot.workFolder, outputFolder: CellRoot.logFolder, deadline: deadline)
        return try? command.run(reaper: reaper)
    }

    private func tail(_ name: String) -> String {
        BoundedText.tail(of: (try? Files.contents(of: CellRoot.workFolder + "/" + name)) ?? [], bytes: 8 << 10)
    }
}
