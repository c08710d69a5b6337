import CRModel
import CRRuntimes
import LinuxKit

/// What a runtime that starts workloads itself needs in a cell: the OCI bundle, and the waiting for the workload's end.
struct ContainerBundle {
    let runtime: any ContainerRuntime
    let request: RuntimeRequest
    let environment: [String]

    static let waitOutput = CellRoot.logFolder + "/wait"

    /// Writes the bundle.
    ///
    /// The root is the userland's disk once more, with a place for the work directory: the runtime mounts that into
    /// the folder itself, which is read-only but there.
    init(
        _ runtime: any ContainerRuntime, _ request: RuntimeRequest, workload: [String], environment: [String]
    ) throws(AgentError) {
        self.runtime = runtime
        self.request = request
        self.environment = environment
        let spec = runtime.bundle(request, running: Self.program(workload, environment))
        try AgentError.preparing("make the bundle of a container") { () throws(LinuxError) in
            let root = CellRoot.bundleFolder + "/rootfs"
            for folder in [CellRoot.bundleFolder, root, Self.waitOutput] { try Files.makeFolder(folder) }
            try GuestSystem.mount("/", on: root, type: "", flags: .bind)
            try GuestSystem.mount("tmpfs", on: root + "/run", type: "tmpfs", data: "mode=755")
            try Files.makeFolder(root + CellRoot.base)
            try Files.makeFolder(root + CellRoot.workFolder)
            try Files.write(Array(spec.utf8), to: CellRoot.bundleFolder + "/config.json")
        }
    }

    private static func program(_ arguments: [String], _ environment: [String]) -> RuntimeWorkload {
        RuntimeWorkload(
            arguments: arguments, environment: environment, workingDirectory: CellRoot.workFolder)
    }

    /// A command whose standard streams become those of the container's program.
    func command(_ command: RuntimeCommand, deadline: Deadline) -> Command {
        var command = Command(command, outputFolder: CellRoot.logFolder, deadline: deadline)
        command.streams = (CellRoot.workFolder + "/stdout.log", CellRoot.workFolder + "/stderr.log")
        return command
    }

    /// Starts to wait for the workload's end, and returns when the wait has begun: of a workload that ends before, the
    /// runtime cannot tell how.
    ///
    /// - Returns: The PID of what waits.
    func startWaiting(_ reaper: Reaper, deadline: Deadline) throws(AgentError) -> Int32 {
        let command = Command(
            runtime.waitCommand(request), outputFolder: Self.waitOutput, deadline: Deadline(seconds: 0))
        let pid = try AgentError.preparing("wait for the workload") { () throws(LinuxError) in
            let process = try command.start()
            Files.close(process.pidfd)
            return process.pid
        }
        // What waits has a socket exactly when it talks to the sandbox.
        while reaper.ended[pid] == nil, !hasSocket(pid), deadline.remainingNanoseconds > 0 {
            reaper.step(nanoseconds: 5_000_000)
        }
        return pid
    }

    private func hasSocket(_ pid: Int32) -> Bool {
        let folder = "/proc/\(pid)/fd"
        return ((try? Files.names(in: folder)) ?? []).contains { name in
            (try? Files.link("\(folder)/\(name)"))?.hasPrefix("socket:") == true
        }
    }

    /// How the workload ended, once the wait is over; `nil` when nobody can tell any more.
    func end() -> WaitStatus? {
        let output = (try? Files.text(of: Self.waitOutput + "/stdout")) ?? ""
        guard let status = runtime.exitStatus(in: output) else { return nil }
        return status > 128 ? .killed(signal: Int32(status - 128), core: false) : .exited(code: Int32(status))
    }

    /// Runs a program beside the workload.
    func check(_ arguments: [String], deadline: Deadline) -> Command {
        Command(
            runtime.executeCommand(request, Self.program(arguments, environment)), outputFolder: CellRoot.logFolder,
            deadline: deadline)
    }
}
