public import CRModel
import Glibc
public import GuestWire

/// A booted guest that takes requests, inside ``Lab/withGuest(_:_:consoleFile:bootSeconds:body:)``.
///
/// One operation at a time: a second one while one runs is refused by the agent.
public final class Guest: Sendable {
    public let spec: HostSpec
    /// The CPU that QEMU was told to build.
    public let cpu: CPUChoice
    /// What the guest itself says it is.
    public let fingerprint: HostFingerprint
    /// From the start of QEMU to "ready".
    public let bootMilliseconds: Int
    /// How it came to life.
    public let origin: Origin
    /// How much slower the guest computes than the lab machine; at least 1.
    public let slowdown: Double
    /// What the agent could not prepare and did not need.
    public let warnings: [String]
    let connection: GuestConnection

    init(
        spec: HostSpec, cpu: CPUChoice, ready: Ready, bootMilliseconds: Int, origin: Origin, slowdown: Double,
        connection: GuestConnection
    ) {
        self.spec = spec
        self.cpu = cpu
        fingerprint = ready.fingerprint
        warnings = ready.warnings
        self.bootMilliseconds = bootMilliseconds
        self.origin = origin
        self.slowdown = slowdown
        self.connection = connection
    }

    /// How a guest came to life.
    public enum Origin: Sendable, Equatable {
        /// Booted because that was asked for, or because this lab does not clone.
        case boot
        /// Booted because there is no clone to be had, and why.
        case bootInstead(why: String)
        /// A copy-on-write clone of a template.
        ///
        /// - Parameter templateMilliseconds: How long the template took to boot when this guest was the first to need
        ///   it; `nil` when it was there.
        case clone(templateMilliseconds: Int?)
    }

    /// The end of what the guest printed.
    public var consoleTail: String { connection.consoleTail }

    /// Why the guest must not be used again; empty for a clean one.
    public var taints: [String] { connection.state.withLock { $0.taints } }

    /// Kernel messages at warning level and above, the newest last, at most 400.
    public var kernelMessages: [String] { connection.state.withLock { $0.kernelMessages } }

    /// A duration of the lab machine, as long as this guest needs for the same work.
    public func scaled(_ duration: Duration) -> Duration { duration * slowdown }

    /// The userland's workloads, by name.
    public func workloads() async throws(VMError) -> [WorkloadManifest] {
        guard case .workloads(let list) = try await ask(.listWorkloads, seconds: 20) else {
            throw unexpected("list-workloads")
        }
        return list
    }

    /// Fingerprints the host again.
    public func probe() async throws(VMError) -> HostFingerprint {
        guard case .fingerprint(let value) = try await ask(.probe, seconds: 60) else { throw unexpected("probe") }
        return value
    }

    /// Gives the guest new randomness and the current time.
    public func reseed() async throws(VMError) {
        let welcome = Welcome.now(
            diskIdentity: fingerprint.userland.diskImage, tsc: fingerprint.cpu.tscKilohertz)
        guard case .done = try await ask(.reseed(welcome), seconds: 20) else { throw unexpected("reseed") }
    }

    /// Starts a workload in a fresh cell, waits until it works, and dumps it.
    ///
    /// - Parameter deadline: For the runtime, and for each wait on the workload; see ``scaled(_:)``.
    /// - Parameter archive: Where image and files go. The file exists exactly when the evidence ends with `done`.
    public func dump(
        runtime: RuntimeName, workload: WorkloadName, seed: UInt64 = 1, deadline: Duration,
        options: RuntimeOptions = RuntimeOptions(), to archive: String
    ) async throws(VMError) -> StageEvidence {
        let partial = archive + ".partial"
        let fd = try Descriptor.open(partial, O_WRONLY | O_CREAT | O_TRUNC)
        let result = await connection.request(
            .dump(operation(runtime, workload, seed, deadline, options)), seconds: Self.backstop(deadline),
            download: GuestConnection.Download(fd: fd, isLive: false))
        Descriptor.close(fd)
        do throws(VMError) {
            guard case .stages(let reply) = try Self.reply(result, "dump", host: spec.name), reply.stages.count == 1,
                reply.archiveFollows == (reply.stages[0].ending == .done)
            else { throw unexpected("dump") }
            if reply.archiveFollows {
                guard rename(partial, archive) == 0 else {
                    throw VMError.fileFailed(path: archive, action: "store the archive", why: Descriptor.errorText())
                }
            } else {
                unlink(partial)
            }
            return Self.bounded(reply.stages[0])
        } catch {
            unlink(partial)
            throw error
        }
    }

    /// Restores an archive in a fresh cell and verifies the workload.
    ///
    /// - Parameter cutImage: Cut the image in half first: a fault that has to be refused.
    /// - Returns: Evidence of both stages; `verify` is `nil` when the restore did not end with `done`.
    public func restore(
        runtime: RuntimeName, workload: WorkloadName, seed: UInt64 = 1, deadline: Duration,
        options: RuntimeOptions = RuntimeOptions(), from archive: String, cutImage: Bool = false
    ) async throws(VMError) -> (restore: StageEvidence, verify: StageEvidence?) {
        let fd = try Descriptor.open(archive, O_RDONLY)
        var request = operation(runtime, workload, seed, deadline, options)
        if cutImage { request.cutImage = true }
        let result = await connection.request(
            .restore(request), seconds: Self.backstop(deadline),
            upload: GuestConnection.Upload(fd: fd, isLive: false))
        Descriptor.close(fd)
        guard case .stages(let reply) = try Self.reply(result, "restore", host: spec.name),
            let restore = reply.stages.first
        else { throw unexpected("restore") }
        return (Self.bounded(restore), reply.stages.dropFirst().first.map(Self.bounded))
    }

    /// Starts a workload in a fresh cell and verifies it there, with neither dump nor restore.
    public func verify(
        workload: WorkloadName, seed: UInt64 = 1, deadline: Duration
    ) async throws(VMError) -> StageEvidence {
        let result = await connection.request(
            .verify(operation(.native, workload, seed, deadline, RuntimeOptions())), seconds: Self.backstop(deadline))
        guard case .stages(let reply) = try Self.reply(result, "verify", host: spec.name), reply.stages.count == 1
        else { throw unexpected("verify") }
        return Self.bounded(reply.stages[0])
    }

    /// Numbers are the guest's word, and sums are made of them later.
    static func bounded(_ stage: StageEvidence) -> StageEvidence {
        var stage = stage
        stage.milliseconds = min(max(0, stage.milliseconds), 1_000_000_000)
        return stage
    }

    /// Runs a command in a fresh cell.
    public func exec(_ arguments: [String], deadline: Duration = .seconds(60)) async throws(VMError) -> ExecOutcome {
        let request = ExecRequest(arguments: arguments, deadlineMilliseconds: Self.milliseconds(deadline))
        guard
            case .exec(let outcome) = try await ask(
                .exec(request), seconds: Double(Self.milliseconds(deadline)) / 1000 + 30)
        else { throw unexpected("exec") }
        return outcome
    }

    /// Serves a login shell in a fresh cell on two descriptors until it ends.
    ///
    /// - Precondition: A terminal behind `input` is in raw mode; that is the caller's job.
    /// - Returns: The shell's exit status; 128 + signal when it was killed.
    public func shell(
        input: Int32, output: Int32, terminal: String, rows: Int, columns: Int, command: [String] = []
    ) async throws(VMError) -> Int {
        let result = await connection.request(
            .shell(ShellRequest(arguments: command, terminal: terminal, rows: rows, columns: columns)), seconds: nil,
            upload: GuestConnection.Upload(fd: input, isLive: true),
            download: GuestConnection.Download(fd: output, isLive: true))
        guard case .exec(let outcome) = try Self.reply(result, "shell", host: spec.name) else {
            throw unexpected("shell")
        }
        return outcome.exitStatus ?? 128 + (outcome.signal ?? 0)
    }

    // MARK: -

    private func ask(_ request: GuestRequest, seconds: Double) async throws(VMError) -> GuestReply {
        try Self.reply(
            await connection.request(request, seconds: seconds * max(1, slowdown / 4)), request.name, host: spec.name)
    }

    static func reply(
        _ result: Result<GuestConnection.Response, VMError>, _ name: String, host: HostName
    ) throws(VMError) -> GuestReply {
        let reply = try result.get().reply
        if case .failed(let failure) = reply {
            throw .refusedByAgent(
                host: host, request: name,
                failure: VMError.AgentReason(reason: failure.reason, message: failure.message))
        }
        return reply
    }

    func unexpected(_ request: String) -> VMError {
        .garbled(host: spec.name, why: "an answer to '\(request)' of another kind", console: consoleTail)
    }

    func operation(
        _ runtime: RuntimeName, _ workload: WorkloadName, _ seed: UInt64, _ deadline: Duration,
        _ options: RuntimeOptions
    ) -> OperationRequest {
        OperationRequest(
            runtime: runtime, workload: workload, seed: seed, deadlineMilliseconds: Self.milliseconds(deadline),
            options: options)
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return Int(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }

    /// The agent gives up after the sum of its own deadlines; this is for an agent that does not.
    static func backstop(_ deadline: Duration) -> Double { Double(milliseconds(deadline)) / 1000 * 6 + 60 }
}
