import CRModel
import CRRuntimes
import GuestWire
import LinuxKit

/// Serves the lab: one thread, one loop over everything that can happen, so that a heartbeat never waits for work.
///
/// Whatever can take long runs in a cell, a process of its own.
final class AgentServer {
    static let heartbeatNanoseconds: UInt64 = 1_000_000_000

    private let channel: Channel
    private let boot: Boot
    private let kernelLog: KernelLog?
    private var welcome: Welcome?
    private var operation: Operation?
    private var operationCount = 0
    private var nextHeartbeat: UInt64 = 0
    /// As it was before the first operation since it got its time.
    private var health: GuestHealth?
    /// As each runtime said; they do not change while the guest lives.
    private var runtimeVersions: [String: String]?

    init(channel: Channel, boot: Boot) throws(AgentError) {
        self.channel = channel
        self.boot = boot
        kernelLog = try? KernelLog(fromNow: false)
        do throws(LinuxError) {
            _ = try Signals.block([Signals.child, Signals.pipe])
        } catch {
            throw .preparation("block signals", error)
        }
    }

    /// Serves until the lab asks for the end.
    ///
    /// - Throws: ``AgentError/channel(_:)`` when the lab is gone.
    func run() throws(AgentError) {
        while true {
            try beat()
            var requests = [PollRequest(channel.fd, PollRequest.input)]
            if let kernelLog { requests.append(PollRequest(kernelLog.fd, PollRequest.input)) }
            let own = requests.count
            requests += operation?.pollRequests() ?? []
            let now = MonotonicClock.nanoseconds()
            let wait = nextHeartbeat > now ? Int((nextHeartbeat - now) / 1_000_000) + 1 : 0
            do throws(LinuxError) {
                _ = try PollRequest.wait(&requests, milliseconds: wait)
            } catch {
                throw .preparation("wait for work", error)
            }
            // Kernel messages first: a taint must be known before the reply of the operation that caused it.
            if requests.count > 1, own > 1, requests[1].isReadable { try tellKernelMessages() }
            if let operation {
                try operation.handle(Array(requests[own...]))
                try finishIfEnded(operation)
            }
            if requests[0].isReadable {
                for frame in try channel.receive() {
                    if try handle(frame) == false { return }
                }
            }
        }
    }

    private func finishIfEnded(_ operation: Operation) throws(AgentError) {
        guard operation.isFinished else { return }
        self.operation = nil
        reapOrphans()
        try tellKernelMessages()
        for taint in operation.taints {
            try channel.send(.event, GuestEvent.taint(taint, message: "after operation \(operation.request)"))
        }
        for taint in harm() { try channel.send(.event, GuestEvent.taint(taint.word, message: taint.message)) }
        try operation.tellEnd()
    }

    /// What the operations have left behind in the guest as a whole.
    ///
    /// - Precondition: None is running.
    private func harm() -> [GuestHealth.Taint] {
        guard let health else { return [] }
        var now = GuestHealth.now()
        // The kernel gives back a cell's file systems a little after the cell's end.
        let deadline = Deadline(seconds: 1)
        while health.lacksMemory(now), deadline.remainingNanoseconds > 0 {
            var none: [PollRequest] = []
            _ = try? PollRequest.wait(&none, milliseconds: 20)
            now = .now()
        }
        return health.taints(of: now)
    }

    private func beat() throws(AgentError) {
        let now = MonotonicClock.nanoseconds()
        guard now >= nextHeartbeat else { return }
        nextHeartbeat = now + Self.heartbeatNanoseconds
        // Before the welcome there is nobody who could use it.
        guard welcome != nil else { return }
        let load = (try? Files.text(of: "/proc/loadavg"))?.split(separator: " ").first.flatMap { Double($0) } ?? 0
        try channel.send(.event, GuestEvent.heartbeat(uptimeSeconds: Agent.uptimeSeconds(), load: load))
        operation?.checkDeadline(now: now)
    }

    private func tellKernelMessages() throws(AgentError) {
        for message in kernelLog?.take() ?? [] {
            if let taint = message.taint {
                try channel.send(.event, GuestEvent.taint(taint, message: message.text))
            } else if message.level <= 4 {
                try channel.send(.event, GuestEvent.kernel(message.text))
            }
        }
    }

    /// - Returns: `false` when the lab asked for the end.
    private func handle(_ frame: Frame) throws(AgentError) -> Bool {
        switch frame.kind {
        case .welcome:
            try greet(try decoded(frame, Welcome.self))
        case .request:
            return try start(try decoded(frame, GuestRequest.self), number: frame.request)
        case .chunk, .end, .credit, .cancel:
            // A frame for an operation that has ended was under way when it did.
            guard let operation, operation.request == frame.request else { break }
            try operation.receive(frame)
        case .hello, .ready, .reply, .event:
            throw .channel("the lab sent a frame of kind \(frame.kind)")
        }
        return true
    }

    private func decoded<Message: Decodable>(
        _ frame: Frame, _ type: Message.Type
    ) throws(AgentError) -> Message {
        do throws(WireError) { return try frame.message(type) } catch { throw .channel(error.explanation.line) }
    }

    private func greet(_ welcome: Welcome) throws(AgentError) {
        guard welcome.protocolVersion == GuestProtocol.version else {
            throw .channel(
                WireError.version(theirs: welcome.protocolVersion, ours: GuestProtocol.version).explanation.line)
        }
        self.welcome = welcome
        let warnings = boot.warnings + reseed(welcome)
        let refused = Settings.make(welcome.sysctl ?? [:])
        Cell.rehearse(root: cellRoot)
        // The best of three: another guest may take the CPU away in the middle of one.
        let calibration = (0..<3).map { _ in
            let start = MonotonicClock.nanoseconds()
            let work = Calibration.work()
            return work == 0 ? UInt64.max : MonotonicClock.nanoseconds() - start
        }.min()
        try channel.send(
            .ready,
            Ready(
                fingerprint: fingerprint(), calibrationNanoseconds: calibration ?? 0, warnings: warnings,
                refusedSettings: refused.isEmpty ? nil : refused))
    }

    private func reseed(_ welcome: Welcome) -> [String] {
        var warnings: [String] = []
        do throws(LinuxError) {
            try GuestSystem.setClock(seconds: welcome.wallClockSeconds, nanoseconds: welcome.wallClockNanoseconds)
            health = nil
            try GuestSystem.addEntropy(Array(welcome.randomness.utf8))
        } catch {
            warnings.append(error.explanation.line)
        }
        return warnings
    }

    private func fingerprint() -> HostFingerprint {
        let runtimes = runtimeVersions ?? Self.askVersions()
        runtimeVersions = runtimes
        var fingerprint = Host.fingerprint(runtimes: runtimes, diskImage: welcome?.diskIdentity ?? "")
        if boot.hasDisk {
            fingerprint.userland = UserlandProbe.fingerprint(
                root: Boot.diskFolder, diskImage: welcome?.diskIdentity ?? "")
        }
        fingerprint.kernel.sysctl = welcome?.sysctl.map { wanted in
            Dictionary(uniqueKeysWithValues: wanted.keys.map { ($0, Sysctl.value($0) ?? "") })
        }
        if fingerprint.cpu.tscKilohertz == 0 { fingerprint.cpu.tscKilohertz = welcome?.tscKilohertz ?? 0 }
        return fingerprint
    }

    /// Asks every runtime for its version; one that does not say is left out.
    private static func askVersions() -> [String: String] {
        let engine = "/bin/crengine"
        let catalog = RuntimeFolder.catalog(engine: engine, folder: Boot.runtimesFolder)
        var versions: [String: String] = [:]
        for name in ((try? Files.status(of: engine)) != nil ? [.native] : []) + catalog.names {
            guard let runtime = catalog.runtime(name) else { continue }
            let command = Command(runtime.versionCommand(), outputFolder: "/run", deadline: Deadline(seconds: 10))
            guard let ended = try? command.run(), ended.exitStatus == 0 else { continue }
            versions[name.rawValue] = runtime.version(in: ended.output) ?? "unknown"
        }
        return versions
    }

    private func start(_ request: GuestRequest, number: UInt32) throws(AgentError) -> Bool {
        switch request {
        case .shutdown:
            try channel.send(.reply, request: number, GuestReply.done)
            return false
        case .reseed(let welcome):
            // A clone without randomness of its own must not be used.
            let warnings = reseed(welcome)
            let failure = AgentFailure(reason: .harnessAgent, message: warnings.joined(separator: "; "))
            try channel.send(.reply, request: number, warnings.isEmpty ? GuestReply.done : .failed(failure))
        case .probe:
            try channel.send(.reply, request: number, GuestReply.fingerprint(fingerprint()))
        case .listWorkloads:
            try channel.send(.reply, request: number, GuestReply.workloads(WorkloadFolder.all(below: cellRoot)))
        case .dump, .restore, .relay, .verify, .exec, .shell:
            guard operation == nil else {
                let failure = AgentFailure(reason: .harnessAgent, message: "another operation is running")
                try channel.send(.reply, request: number, GuestReply.failed(failure))
                break
            }
            operationCount += 1
            if health == nil { health = .now() }
            do throws(AgentError) {
                operation = try Operation(
                    request, number: number, channel: channel, root: cellRoot,
                    cgroup: boot.hasCgroups ? "\(Boot.cgroupFolder)/cell-\(operationCount)" : nil)
            } catch {
                let failure = AgentFailure(reason: error.reason, message: error.explanation.line)
                try channel.send(.reply, request: number, GuestReply.failed(failure))
            }
        }
        return true
    }

    private var cellRoot: String { boot.hasDisk ? Boot.diskFolder : "/" }

    /// PID 1 inherits what other processes leave behind.
    private func reapOrphans() {
        Reaper().step(nanoseconds: 0)
    }
}
