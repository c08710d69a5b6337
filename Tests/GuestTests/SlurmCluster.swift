import Foundation

/// A Slurm of its own on this machine: a controller and nodes that are daemons with ports of their own.
///
/// All of it carries the sandbox's mark, so that nothing outlives the sandbox.
struct SlurmCluster {
    private static let programs = ["slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "munged"]

    /// Why there can be no Slurm here; `nil` when there can.
    static let missing: String? = {
        let absent = programs.filter { path($0) == nil }
        guard absent.isEmpty else {
            return "Slurm is not installed (no \(absent.joined(separator: ", "))): run 'make test'"
        }
        return getuid() == 0 ? nil : "Slurm's daemons start jobs as their users, which only root can"
    }()

    private static func path(_ program: String) -> String? {
        ["/usr/sbin/", "/usr/bin/"].map { $0 + program }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    let sandbox: Sandbox
    private var folder: String { sandbox.path("slurm") }

    /// Starts everything and waits until the nodes are ready.
    init(_ sandbox: Sandbox, nodes: [String]) async throws {
        self.sandbox = sandbox
        for name in ["state"] + nodes.map({ "spool-\($0)" }) {
            try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
        }
        let key = (0..<1024).map { _ in UInt8.random(in: 0...255) }
        try Data(key).write(to: URL(filePath: folder + "/munge.key"))
        try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: folder + "/munge.key")
        // Not among the ports that the kernel gives to others.
        let port = 20_000 + Int.random(in: 0..<400) * 10
        try configuration(nodes, port: port).write(toFile: folder + "/slurm.conf", atomically: true, encoding: .utf8)
        let socket = folder + "/munge.socket"
        try start(
            "munged",
            [
                "--foreground", "--force", "--key-file=\(folder)/munge.key", "--socket=\(socket)",
                "--pid-file=\(folder)/munge.pid", "--seed-file=\(folder)/munge.seed",
            ])
        try await wait("munge's socket", seconds: 15) { FileManager.default.fileExists(atPath: socket) }
        try start("slurmctld", ["-D", "-c"])
        for node in nodes { try start("slurmd", ["-D", "-N", node], log: "slurmd-\(node)") }
        try await waitFor("nodes that are ready", seconds: 60) {
            let states = try await ask("sinfo", ["-h", "-N", "-o", "%T"])
            return states.split(separator: "\n").map(String.init) == nodes.map { _ in "idle" }
        }
    }

    private func configuration(_ nodes: [String], port: Int) -> String {
        // As the daemons see it; `ProcessInfo.hostName` asks a name server.
        let name = (try? String(contentsOfFile: "/proc/sys/kernel/hostname", encoding: .utf8)) ?? "localhost"
        let host = name.trimmingCharacters(in: .whitespacesAndNewlines).split(separator: ".").first ?? "localhost"
        let nodeLines = nodes.enumerated().map { index, node in
            "NodeName=\(node) NodeHostname=\(host) NodeAddr=127.0.0.1 Port=\(port + 1 + index) CPUs=1 State=UNKNOWN"
        }
        // cred_expire is also how long a requeued job waits; SlurmdTimeout how long a silent node counts as alive.
        return """
            ClusterName=crlab
            SlurmctldHost=\(host)(127.0.0.1)
            SlurmctldPort=\(port)
            AuthType=auth/munge
            AuthInfo=socket=\(folder)/munge.socket,cred_expire=5
            CredType=cred/munge
            SlurmUser=root
            SlurmdUser=root
            StateSaveLocation=\(folder)/state
            SlurmdSpoolDir=\(folder)/spool-%n
            SlurmctldPidFile=\(folder)/slurmctld.pid
            SlurmdPidFile=\(folder)/slurmd-%n.pid
            SlurmctldLogFile=\(folder)/slurmctld.log
            SlurmdLogFile=\(folder)/slurmd-%n.log
            ProctrackType=proctrack/linuxproc
            TaskPlugin=task/none
            SelectType=select/linear
            SwitchType=switch/none
            MpiDefault=none
            ReturnToService=2
            SlurmdTimeout=5
            KillWait=3
            SchedulerParameters=bf_interval=1
            \(nodeLines.joined(separator: "\n"))
            PartitionName=all Nodes=\(nodes.joined(separator: ",")) Default=YES MaxTime=INFINITE State=UP

            """
    }

    private func start(_ program: String, _ words: [String], log: String? = nil) throws {
        _ = try sandbox.start(
            program: Self.path(program) ?? program, words, environment: environment, log: log ?? program)
    }

    private var environment: [String: String] { ["SLURM_CONF": folder + "/slurm.conf"] }

    /// Runs one of Slurm's commands to its end.
    func ask(_ program: String, _ words: [String], environment more: [String: String] = [:]) async throws -> String {
        let answer = try await run(Self.path(program) ?? program, words, environment: more, seconds: 30)
        guard answer.status == 0 else { throw Failure("\(program): \(answer)") }
        return answer.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Runs a command to its end, which it writes down itself: beside daemons, Foundation does not hear of it.
    func run(
        _ program: String, _ words: [String], environment more: [String: String] = [:], seconds: Double
    ) async throws -> Answer {
        let name = "slurm-\(UUID().uuidString)"
        let ended = sandbox.path(name + ".status")
        _ = try sandbox.start(
            program: "/bin/sh",
            ["-c", "\"$@\"; echo $? > \(ended).new; mv \(ended).new \(ended)", "sh", program] + words,
            environment: environment.merging(more) { $1 }, log: name)
        try await wait("the end of \(program)", seconds: seconds) { FileManager.default.fileExists(atPath: ended) }
        func text(_ ending: String) -> String {
            (try? String(contentsOfFile: sandbox.path(name + ending), encoding: .utf8)) ?? ""
        }
        let status = Int32(text(".status").trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
        return Answer(status: status, output: text(".out"), errors: text(".err"))
    }

    /// What of an array is not at its end, as `task state node`.
    func queue() async throws -> [String] {
        try await ask("squeue", ["-h", "-r", "-o", "%K %T %N"]).split(separator: "\n").map(String.init)
    }

    /// A power cut: everything of the node is gone at once, and nobody tells the controller.
    func kill(node: String) {
        let marked = sandbox.census.processes
        let jobs = marked.filter { SlurmProcess.environment($0.pid).contains("SLURMD_NODENAME=\(node)") }
        // A step's own daemon writes its title over its environment, mark included; it is what started the job's script. It
        // goes before that, or it would tell the controller how the script ended.
        let steps = Set(jobs.compactMap { SlurmProcess.parent($0.pid) }).filter(SlurmProcess.isStep)
        let daemon = marked.filter { $0.words.contains(node) && $0.words.contains("-N") }
        for entry in daemon { sandbox.census.kill(entry) }
        for step in steps { _ = Foundation.kill(step, SIGKILL) }
        for entry in jobs { sandbox.census.kill(entry) }
    }

    /// Ends all of it.
    func stop() {
        for entry in sandbox.census.processes { sandbox.census.kill(entry) }
    }

    /// Asks again until `condition` holds.
    func waitFor(_ what: String, seconds: Double, until condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if (try? await condition()) == true { return }
            if ContinuousClock.now > deadline { throw Failure("\(what) did not come about in \(seconds) s") }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}

private enum SlurmProcess {
    static func environment(_ pid: Int32) -> [String] {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return [] }
        return data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    static func isStep(_ pid: Int32) -> Bool {
        let title = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
        return String(decoding: title, as: UTF8.self).hasPrefix("slurmstepd:")
    }

    static func parent(_ pid: Int32) -> Int32? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        return text.split(separator: ")").last?.split(separator: " ").dropFirst().first.flatMap { Int32($0) }
    }
}
