import CRModel
import Glibc
import GuestWire

/// A guest's own thread: starts QEMU, carries every byte, notices every way to fail, and ends QEMU.
///
/// It ends only after QEMU has: QEMU dies with the thread that started it.
final class GuestLoop {
    struct Settings: Sendable {
        var words: [String]
        var start = Start.boot
        var consoleFile: String?
        /// To "ready".
        var bootSeconds: Double
        /// Without any frame from the agent, once it was ready.
        var silenceSeconds: Double
        var diskIdentity: String
        var tscKilohertz: Int
        /// Settings that the guest must have before it counts as ready.
        var sysctl: [String: String]?

        /// Whether a wait has come to nothing: its time is over, and QEMU was given enough of it (a boot takes 4 to 7 s of
        /// processor time). On a lab machine that does much else it was not; then it gets up to four times as long.
        static func isOver(_ limit: Double, waited: Double, given: Double?) -> Bool {
            waited > limit && ((given ?? .infinity) > limit / 6 || waited > 4 * limit)
        }
    }

    /// How a guest comes to life.
    enum Start: Sendable {
        case boot
        /// From a template's state file; `ready` is what its guest said of itself.
        case clone(state: String, ready: Ready)
    }

    let connection: GuestConnection
    let settings: Settings
    private let wakeRead: Int32
    private var agent: Int32 = -1
    var monitor: Int32 = -1
    var monitorLines = MonitorLines()
    var freezing = false
    private var console: Int32 = -1
    private var errors: Int32 = -1
    private var consoleFile: Int32 = -1
    private var child: ChildProcess?
    private var decoder = FrameDecoder()
    private var errorText: [UInt8] = []
    private var startedAt = 0.0
    private var lastHeard = 0.0
    /// Processor time that QEMU had been given when the guest fell silent.
    private var givenBefore: Double?
    private var panicSeenAt: Double?
    private var ended: String?

    init(_ connection: GuestConnection, _ settings: Settings, wakeRead: Int32) {
        self.connection = connection
        self.settings = settings
        self.wakeRead = wakeRead
    }

    var host: HostName { connection.host }

    func run() {
        do throws(VMError) {
            try launch()
            try serve()
        } catch {
            // A bit more of the console is often on its way when the failure is noticed.
            readConsole()
            connection.fail(error)
        }
        child?.kill()
        if ended == nil { child?.wait() }
        readConsole()
        for fd in [agent, monitor, console, errors, consoleFile, wakeRead] { Descriptor.close(fd) }
        connection.fail(.agentDied(host: host, why: "the guest was stopped", console: connection.consoleTail))
        connection.over()
    }

    private func launch() throws(VMError) {
        startedAt = Descriptor.seconds()
        if let path = settings.consoleFile {
            consoleFile = try Descriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC)
        }
        let agentPair = try Descriptor.socketPair()
        agent = agentPair.ours
        let monitorPair = try Descriptor.socketPair()
        monitor = monitorPair.ours
        let consolePair = try Descriptor.socketPair()
        console = consolePair.ours
        let errorPipe = try Descriptor.pipe()
        errors = errorPipe.read
        let null = try Descriptor.open("/dev/null", O_RDWR)
        defer {
            for fd in [agentPair.theirs, monitorPair.theirs, consolePair.theirs, errorPipe.write, null] {
                Descriptor.close(fd)
            }
        }
        child = try ChildProcess.start(
            settings.words,
            inherited: [
                (null, 0), (errorPipe.write, 1), (errorPipe.write, 2),
                (agentPair.theirs, QEMUArguments.Inherited.agent),
                (monitorPair.theirs, QEMUArguments.Inherited.monitor),
                (consolePair.theirs, QEMUArguments.Inherited.console),
            ])
        for fd in [agent, monitor, console, errors] { Descriptor.setNonBlocking(fd) }
        greetMonitor()
    }

    private func serve() throws(VMError) {
        while true {
            let (stop, wantsWrite, liveInput) = try prepare()
            if stop { return }
            startFreezing()
            var polled = [
                pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0),
                pollfd(fd: agent, events: Int16(POLLIN | (wantsWrite ? POLLOUT : 0)), revents: 0),
                pollfd(fd: console, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
                pollfd(fd: monitor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: liveInput, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&polled, nfds_t(polled.count), 100)
            if polled[0].revents != 0 { _ = Descriptor.read(wakeRead, limit: 4096) }
            if polled[2].revents != 0 { readConsole() }
            if polled[3].revents != 0 { readErrors() }
            if polled[4].revents != 0 { try readMonitor() }
            if polled[1].revents & Int16(POLLOUT) != 0 { try writeAgent() }
            if polled[1].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { try readAgent() }
            if polled[5].revents != 0 { sendLive(liveInput) }
            try check()
        }
    }

    /// Fills the outgoing bytes from uploads, and says what to wait for.
    private func prepare() throws(VMError) -> (stop: Bool, wantsWrite: Bool, liveInput: Int32) {
        var liveInput: Int32 = -1
        let answer = connection.state.withLock { state -> (Bool, Bool) in
            if state.stopRequested || state.failure != nil { return (true, false) }
            for (number, var pending) in state.pending {
                guard var upload = pending.upload, !upload.ended else { continue }
                if upload.isLive {
                    liveInput = upload.fd
                    continue
                }
                // One chunk per turn keeps the lock short; the loop turns as fast as the guest takes bytes.
                if upload.sent - upload.confirmed < UInt64(Frame.windowBytes), state.outgoingBytes < Frame.chunkBytes {
                    let bytes = Descriptor.read(upload.fd, limit: Frame.chunkBytes) ?? []
                    if bytes.isEmpty {
                        state.send(Frame(.end, request: number, number: upload.sent))
                        upload.ended = true
                    } else {
                        state.send(Frame(.chunk, request: number, payload: bytes))
                        upload.sent += UInt64(bytes.count)
                    }
                }
                pending.upload = upload
                state.pending[number] = pending
            }
            return (false, state.outgoingBytes > 0)
        }
        return (answer.0, answer.1, liveInput)
    }

    private func sendLive(_ fd: Int32) {
        let bytes = Descriptor.read(fd, limit: 4096) ?? []
        connection.state.withLock { state in
            for (number, pending) in state.pending where pending.upload?.isLive == true {
                if bytes.isEmpty {
                    state.pending[number]?.upload?.ended = true
                    state.send(Frame(.end, request: number, number: pending.upload?.sent ?? 0))
                } else {
                    state.pending[number]?.upload?.sent += UInt64(bytes.count)
                    state.send(Frame(.chunk, request: number, payload: bytes))
                }
            }
        }
    }

    private func writeAgent() throws(VMError) {
        let isOpen = connection.state.withLock { state in
            let count = Descriptor.write(agent, state.outgoing[state.outgoingStart...], socket: true)
            if count < 0 { return false }
            state.outgoingStart += count
            if state.outgoingStart == state.outgoing.count {
                state.outgoing.removeAll(keepingCapacity: true)
                state.outgoingStart = 0
            }
            return true
        }
        if !isOpen { try lost("the channel was closed") }
    }

    private func readAgent() throws(VMError) {
        guard let bytes = Descriptor.read(agent, limit: 1 << 20) else { return }
        if bytes.isEmpty { return try lost("the channel was closed") }
        lastHeard = Descriptor.seconds()
        decoder.append(bytes)
        do {
            while let frame = try decoder.next() { try handle(frame) }
            // Storing what came may have taken long; the guest was not silent meanwhile.
            lastHeard = Descriptor.seconds()
        } catch let error as WireError {
            throw .garbled(host: host, why: error.explanation.line, console: connection.consoleTail)
        } catch let error as VMError {
            throw error
        } catch {
            throw .garbled(host: host, why: "\(error)", console: connection.consoleTail)
        }
    }

    private func handle(_ frame: Frame) throws {
        switch frame.kind {
        case .hello:
            let hello = try frame.message(Hello.self)
            guard hello.protocolVersion == GuestProtocol.version else {
                throw VMError.versionMismatch(
                    host: host, theirs: hello.protocolVersion, ours: GuestProtocol.version)
            }
            let welcome = try Frame(
                .welcome,
                message: Welcome.now(
                    diskIdentity: settings.diskIdentity, tsc: settings.tscKilohertz, sysctl: settings.sysctl))
            connection.state.withLock { $0.send(welcome) }
        case .ready:
            let ready = try frame.message(Ready.self)
            try checkSettings(ready)
            becomeReady(ready)
        case .event: note(try frame.message(GuestEvent.self))
        case .reply, .chunk, .end, .credit: try answer(frame)
        case .welcome, .request, .cancel:
            throw WireError.malformed(kind: frame.kind, why: "an agent does not send it")
        }
    }

    private func becomeReady(_ ready: Ready) {
        let waiters = connection.state.withLock { state in
            state.ready = ready
            defer { state.readyWaiters = [] }
            return state.readyWaiters
        }
        for waiter in waiters { waiter.resume(returning: .success(ready)) }
    }

    private func note(_ event: GuestEvent) {
        connection.state.withLock { state in
            switch event {
            case .taint(let taint, let message):
                if !state.taints.contains(taint) { state.taints.append(taint) }
                state.kernelMessages.append(message)
            case .kernel(let message), .log(let message): state.kernelMessages.append(message)
            case .heartbeat: break
            }
            if state.kernelMessages.count > 400 { state.kernelMessages.removeFirst(200) }
        }
    }

    private func answer(_ frame: Frame) throws {
        let reply = frame.kind == .reply ? try frame.message(GuestReply.self) : nil
        if frame.request == Self.reseedRequest, let reply, case .clone(_, let ready) = settings.start {
            guard case .done = reply else {
                throw VMError.cloneFailed(host: host, why: "it could not be given new randomness: \(reply)")
            }
            return becomeReady(ready)
        }
        let number = frame.kind == .chunk || frame.kind == .reply ? 0 : try frame.number()
        var finished: (answer: GuestConnection.Answer, result: Result<GuestConnection.Response, VMError>)?
        connection.state.withLock { state in
            // What comes for a cancelled request was under way.
            guard var pending = state.pending[frame.request] else { return }
            switch frame.kind {
            case .reply: pending.reply = reply
            case .credit:
                // No more than was sent: the number is the guest's word.
                if let upload = pending.upload {
                    pending.upload?.confirmed += min(number, upload.sent - upload.confirmed)
                }
            case .end:
                if let download = pending.download, !download.isLive, download.received != number {
                    finished = (
                        pending.answer,
                        .failure(
                            .garbled(host: host, why: "the archive is cut", console: state.console.tail))
                    )
                }
                pending.download?.ended = true
            default:
                if let download = pending.download, !download.isLive, download.received > Self.maximumArchiveBytes {
                    let why = "it has more than \(Self.maximumArchiveBytes >> 30) GiB"
                    finished = (
                        pending.answer, .failure(.fileFailed(path: pending.name, action: "store the archive", why: why))
                    )
                } else if let fd = pending.download?.fd, let why = Self.writeAll(fd, frame.payload) {
                    finished = (
                        pending.answer, .failure(.fileFailed(path: pending.name, action: "store the archive", why: why))
                    )
                }
                pending.download?.received += UInt64(frame.payload.count)
                if pending.download?.isLive != true {
                    state.send(Frame(.credit, request: frame.request, number: UInt64(frame.payload.count)))
                }
            }
            if finished == nil, let reply = pending.reply {
                var waits = false
                if case .stages(let stages) = reply { waits = stages.archiveFollows && pending.download?.ended != true }
                if !waits {
                    finished = (
                        pending.answer,
                        .success(
                            GuestConnection.Response(reply: reply, receivedBytes: pending.download?.received ?? 0))
                    )
                }
            }
            state.pending[frame.request] = finished == nil ? pending : nil
        }
        finished.map { $0.answer.resume(returning: $0.result) }
    }

    private static func writeAll(_ fd: Int32, _ bytes: [UInt8]) -> String? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Descriptor.write(fd, rest, socket: false)
            if count < 0 { return Descriptor.errorText() }
            rest = rest.dropFirst(count)
        }
        return nil
    }

    /// More than any workload here has; keeps a guest from filling the lab machine's disk.
    private static let maximumArchiveBytes: UInt64 = 8 << 30

    /// A bounded part of what is there: a guest that never stops printing must not keep the deadlines from being looked at.
    private func readConsole() {
        for _ in 0..<16 {
            guard console >= 0, let bytes = Descriptor.read(console, limit: 65536) else { return }
            if bytes.isEmpty {
                Descriptor.close(console)
                console = -1
                return
            }
            let (room, panic) = connection.state.withLock { state in
                (state.console.append(bytes), state.console.panic)
            }
            if room > 0, consoleFile >= 0 { _ = Self.writeAll(consoleFile, Array(bytes.prefix(room))) }
            if panic != nil, panicSeenAt == nil { panicSeenAt = Descriptor.seconds() }
        }
    }

    private func readErrors() {
        guard let bytes = Descriptor.read(errors, limit: 16384) else { return }
        if bytes.isEmpty {
            Descriptor.close(errors)
            errors = -1
        }
        if errorText.count < 16384 { errorText += bytes }
    }

    // MARK: Ways to fail

    /// An agent that knows no settings would leave them as they are without a word.
    private func checkSettings(_ ready: Ready) throws(VMError) {
        let made = ready.fingerprint.kernel.sysctl ?? [:]
        let refused = (settings.sysctl ?? [:]).keys.sorted().compactMap { name in
            ready.refusedSettings?[name].map { "\(name): \($0)" }
                ?? (made[name] == nil ? "\(name): the agent does not know of settings" : nil)
        }
        guard refused.isEmpty else { throw .settingsRefused(host: host, why: refused.joined(separator: "; ")) }
    }

    private func check() throws(VMError) {
        let now = Descriptor.seconds()
        if let child, let status = child.ended() {
            ended = status
            try lost("QEMU \(status)")
        }
        if let panicSeenAt, now - panicSeenAt > 1 { try lost("the kernel panicked") }
        let (isReady, tail, total) = connection.state.withLock {
            ($0.ready != nil, $0.console.tail, $0.console.total)
        }
        if !isReady {
            let waited = now - startedAt
            guard Settings.isOver(settings.bootSeconds, waited: waited, given: child?.processorSeconds()) else {
                return
            }
            if total == 0 { throw .silent(host: host, seconds: waited) }
            throw .bootTimedOut(host: host, seconds: waited, console: tail)
        }
        let silent = now - lastHeard
        if silent < 1 { givenBefore = nil } else if givenBefore == nil { givenBefore = child?.processorSeconds() }
        if silent > settings.silenceSeconds {
            let given =
                child?.isStopped == true ? nil : child?.processorSeconds().map { $0 - (givenBefore ?? 0) }
            if Settings.isOver(settings.silenceSeconds, waited: silent, given: given) {
                throw .hung(host: host, seconds: silent, console: tail)
            }
        }
        let late = connection.state.withLock { state in
            state.pending.values.first { ($0.deadline ?? .infinity) < now }.map { ($0.name, $0.seconds) }
        }
        if let late { throw .deadline(host: host, request: late.0, seconds: late.1, console: tail) }
    }

    /// Names why the guest is gone, after waiting shortly for QEMU's end, which says the most.
    private func lost(_ why: String) throws(VMError) {
        let deadline = Descriptor.seconds() + 2
        while ended == nil, Descriptor.seconds() < deadline {
            ended = child?.ended()
            if ended == nil {
                var none = pollfd(fd: -1, events: 0, revents: 0)
                _ = poll(&none, 1, 20)
            }
        }
        readConsole()
        if errors >= 0 { readErrors() }
        let (tail, panic, booted) = connection.state.withLock {
            ($0.console.tail, $0.console.panic, $0.ready != nil)
        }
        if let panic {
            if panic.contains("Attempted to kill init") {
                throw .agentDied(host: host, why: panic, console: tail)
            }
            throw .panicked(host: host, message: panic, booted: booted, console: tail)
        }
        if let ended {
            let text = String(decoding: errorText.suffix(2000), as: UTF8.self)
            throw .exitedEarly(
                host: host, status: "it " + ended, errors: text.split(separator: "\n").joined(separator: "; "),
                booted: booted, console: tail)
        }
        throw .agentDied(host: host, why: why, console: tail)
    }
}

extension Welcome {
    /// What a guest is told now.
    static func now(diskIdentity: String, tsc: Int, sysctl: [String: String]? = nil) -> Welcome {
        let clock = Descriptor.wallClock()
        var generator = SystemRandomNumberGenerator()
        let words = (0..<4).map { _ in String(generator.next(), radix: 16) }
        return Welcome(
            protocolVersion: GuestProtocol.version, wallClockSeconds: clock.seconds,
            wallClockNanoseconds: clock.nanoseconds, randomness: words.joined(), diskIdentity: diskIdentity,
            tscKilohertz: tsc, sysctl: sysctl)
    }
}
