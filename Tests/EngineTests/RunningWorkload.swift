import CRModel
import Foundation
import LinuxKit

/// A workload that was started, wherever its processes come from by now: spawned or restored.
///
/// The test process is a child subreaper, so a restored root becomes its child again and can be waited for.
final class RunningWorkload {
    let workload: Workload
    /// Work directory; the image lies beside it.
    let directory: String
    let image: String
    private(set) var pid: Int32
    private let environment: [String]
    private var witness: Int32?
    /// Every process this one was ever seen to have, so that none outlives the test.
    private var everSeen: Set<Int32> = []

    /// Starts it and waits until it is ready.
    init(_ workload: Workload) throws {
        self.workload = workload
        let base = EngineLab.temporary("engine")
        directory = base + "/work"
        image = base + "/image"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        environment =
            [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CRLAB_SEED=11",
                "CRLAB_REDIS_PORT=16479", "CRLAB_WORKLOAD=\(EngineLab.workloadFolder)/\(workload.name)",
            ] + workload.environment
        pid = 0
        try Subreaper.begin()
        pid = try Command.spawn(
            workload.command, environment: environment, directory: directory,
            stdout: directory + "/stdout.log", stderr: directory + "/stderr.log", newSession: true)
        do {
            try wait("\(workload.name): ready", seconds: workload.readySeconds) { !events.isEmpty || ended }
        } catch {
            finish()
            throw error
        }
    }

    /// The lines of `status`.
    var events: [String] {
        let text = (try? String(contentsOfFile: directory + "/status", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    var progress: UInt64 {
        let text = (try? String(contentsOfFile: directory + "/progress", encoding: .utf8)) ?? ""
        return UInt64(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    }

    private var ended: Bool { !ProcessTree.exists(pid) }

    /// PIDs of the tree, root first.
    func processes() -> [Int32] {
        let found = ProcessTree.descendants(of: pid)
        everSeen.formUnion(found)
        return found
    }

    /// Waits for `steps` more checked steps.
    func advance(_ steps: UInt64 = 1, seconds: Double = 15) throws {
        let before = progress
        try wait("\(workload.name): progress beyond \(before)", seconds: seconds) {
            if let failed = events.first(where: { $0.hasPrefix("failed:") }) { throw Failure(failed + diagnosis) }
            try requireAlive()
            return progress >= before + steps
        }
    }

    /// Throws with how it ended, when it did.
    func requireAlive() throws {
        guard ended else { return }
        let how = ProcessTree.end(of: pid) ?? "nobody saw how"
        throw Failure("\(workload.name), \(pid), has gone (\(how)); it said \(events)" + diagnosis)
    }

    /// Runs its own check from outside, if it has one.
    func checkFromOutside() throws {
        guard let check = workload.check else { return }
        let answer = try Command.run(check, environment: environment, directory: directory, seconds: 30)
        if answer.code != 0 { throw Failure("check: \(answer.stderr.suffix(300))") }
    }

    /// Starts its client outside the tree, and waits until it has had answers.
    func startWitness() throws {
        guard let command = workload.witness else { return }
        witness = try Command.spawn(
            command, environment: environment, directory: directory, stdout: directory + "/witness.out",
            stderr: directory + "/witness.err")
        try advanceWitness()
    }

    private var witnessProgress: Int {
        let text = (try? String(contentsOfFile: directory + "/witness-progress", encoding: .utf8)) ?? ""
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    }

    /// Waits until it has had more answers over its connections.
    func advanceWitness() throws {
        let before = witnessProgress
        try wait("\(workload.name): answers to the witness", seconds: 20) {
            if let witness, !ProcessTree.exists(witness) { throw Failure("the witness has ended" + witnessWords) }
            return witnessProgress > before + 4
        }
    }

    private var witnessWords: String {
        ": " + ((try? String(contentsOfFile: directory + "/witness.err", encoding: .utf8)) ?? "").suffix(300)
    }

    /// Ends it; throws when anything that was acknowledged to it is lost, or a connection.
    func endWitness() throws {
        guard let witness else { return }
        try Data().write(to: URL(filePath: directory + "/witness-stop"))
        // A peer whose segments got no answer for some seconds waits as long again.
        let code = Command.end(of: witness, seconds: 40)
        self.witness = nil
        if code != 0 { throw Failure("the witness ended with \(code.map(String.init) ?? "nothing")" + witnessWords) }
    }

    /// Asks for the final verification, which must succeed, and waits for the end of the tree.
    func verify() throws {
        try checkFromOutside()
        let before = processes()
        try Data().write(to: URL(filePath: directory + "/verify"))
        try wait("\(workload.name): end after verify; it said \(events)", seconds: 20) { ended }
        if events.last != "verified" { throw Failure("\(workload.name) said \(events)" + diagnosis) }
        // Reparented ones have a moment to go.
        try wait("\(workload.name): end of its whole tree", seconds: 5) {
            before.allSatisfy { !ProcessTree.exists($0) }
        }
    }

    /// What a failure message should not be without.
    var diagnosis: String {
        let errors = (try? String(contentsOfFile: directory + "/stderr.log", encoding: .utf8)) ?? ""
        var text = errors.isEmpty ? "" : "; stderr: \(errors.suffix(300))"
        for pid in ProcessTree.descendants(of: pid).prefix(6) {
            let state = ProcessTree.states(pid).map { "\($0.task) \($0.state) \($0.wait)" }.prefix(4)
            text += "; process \(pid): \(state.joined(separator: ", "))"
        }
        return text
    }

    /// Ends whatever is left and removes its folder; for every way out of a test.
    func finish() {
        if let witness { try? Signals.send(Signals.kill, to: witness) }
        let left = everSeen.union(pid > 0 ? ProcessTree.descendants(of: pid) : [])
        for process in left where process > 1 && ProcessTree.belongs(process, to: directory) {
            try? Signals.send(Signals.kill, to: process)
        }
        for process in left { _ = ProcessTree.exists(process) }
        try? FileManager.default.removeItem(
            at: URL(filePath: directory).deletingLastPathComponent())
    }
}
