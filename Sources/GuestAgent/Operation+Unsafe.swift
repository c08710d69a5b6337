import CRModel
import GuestWire
import LinuxKit

/// One request that runs in a cell: starts the cell, carries its bytes both ways, and cleans up after it.
///
/// The cell's first process is PID 1 of a PID namespace of its own, so its end is the end of everything in it.
final class Operation {
    /// How much longer than all its waits a cell may take before it counts as wedged.
    private static let graceNanoseconds: UInt64 = 20_000_000_000

    let request: UInt32
    private(set) var taints: [String] = []
    private(set) var isFinished = false

    private let name: String
    private let channel: Channel
    private let cell: SpawnedProcess
    private let cgroup: String?
    /// To the cell's standard input; -1 once closed.
    private var input: Int32
    /// From the cell's standard output; -1 at its end.
    private var output: Int32
    private var decoder = FrameDecoder()
    /// Bytes for the cell that its pipe has not taken yet, and how many of them the lab gets credit for.
    private var queue: [UInt8] = []
    private var queueStart = 0
    private var creditOwed: [(end: Int, bytes: UInt64)] = []
    private var queuedTotal = 0
    private var writtenTotal = 0
    private var inputEnded = false
    /// Bulk bytes sent to the lab and not yet confirmed.
    private var underWay: UInt64 = 0
    private var replied = false
    private var held: Frame?
    private var cancelled = false
    private var failure: AgentError?
    private let deadline: UInt64?

    init(
        _ request: GuestRequest, number: UInt32, channel: Channel, root: String, cgroup: String?
    ) throws(AgentError) {
        self.request = number
        self.channel = channel
        name = request.name
        deadline = Self.budget(request).map { MonotonicClock.nanoseconds() + $0 + Self.graceNanoseconds }

        var folder: Int32?
        if let cgroup, (try? Files.makeFolder(cgroup)) != nil {
            folder = try? Files.open(cgroup, [.readOnly, .directory])
            self.cgroup = cgroup
        } else {
            self.cgroup = nil
        }
        defer { if let folder { Files.close(folder) } }

        let toCell = try AgentError.preparing("make a pipe") { () throws(LinuxError) in try Files.pipe() }
        let fromCell = try AgentError.preparing("make a pipe") { () throws(LinuxError) in try Files.pipe() }
        // A whole chunk and more: the fewer turns between agent and cell, the faster an image is carried.
        GuestSystem.setPipeBytes(toCell.write, 1 << 20)
        GuestSystem.setPipeBytes(fromCell.write, 1 << 20)
        var spawn = SpawnRequest(executable: "", arguments: [], environment: [])
        spawn.namespaces = [.mount, .pid, .network, .ipc, .uts]
        spawn.cgroup = folder
        spawn.parentDeathSignal = Signals.kill
        spawn.newSession = true
        spawn.privateMounts = true
        spawn.stdin = toCell.read
        spawn.stdout = fromCell.write
        defer {
            Files.close(toCell.read)
            Files.close(fromCell.write)
        }
        do throws(LinuxError) {
            // Not a program of its own: under emulation starting one, and its runtime's first use of every type, would
            // take as long as building the cell.
            guard let process = try Spawn.fork(spawn) else { Cell.run(root: root) }
            cell = process
            try GuestSystem.setNonBlocking(toCell.write)
            try GuestSystem.setNonBlocking(fromCell.read)
        } catch {
            Files.close(toCell.write)
            Files.close(fromCell.read)
            throw .preparation("start a cell", error)
        }
        input = toCell.write
        output = fromCell.read
        do throws(WireError) {
            enqueue(try Frame(.request, request: number, message: request))
        } catch {
            throw .channel(error.explanation.line)
        }
    }

    /// The sum of all waits that the request allows; `nil` for one without end.
    private static func budget(_ request: GuestRequest) -> UInt64? {
        switch request {
        case .dump(let value), .restore(let value), .verify(let value):
            UInt64(clamping: value.deadlineMilliseconds) * 6_000_000
        case .relay(let value):
            UInt64(clamping: value.restore.deadlineMilliseconds + value.dump.deadlineMilliseconds) * 6_000_000
        case .exec(let value): UInt64(clamping: value.deadlineMilliseconds) * 1_000_000
        default: nil
        }
    }

    // MARK: The lab's side

    /// Takes a frame from the lab.
    func receive(_ frame: Frame) throws(AgentError) {
        switch frame.kind {
        case .chunk:
            enqueue(frame)
            creditOwed.append((queuedTotal, UInt64(frame.payload.count)))
        case .end:
            enqueue(frame)
            inputEnded = true
        case .credit:
            do throws(WireError) {
                underWay -= min(underWay, try frame.number())
            } catch {
                throw .channel(error.explanation.line)
            }
        case .cancel:
            cancelled = true
            end()
        default: break
        }
    }

    private func enqueue(_ frame: Frame) {
        let bytes = frame.bytes
        queue.append(contentsOf: bytes)
        queuedTotal += bytes.count
    }

    // MARK: The loop's side

    func pollRequests() -> [PollRequest] {
        var requests = [PollRequest(cell.pidfd, output < 0 ? PollRequest.input : 0)]
        // Without credit the cell's pipe stays unread, so the cell waits: that is the back-pressure.
        if output >= 0, underWay < UInt64(Frame.windowBytes) {
            requests.append(PollRequest(output, PollRequest.input))
        }
        if input >= 0, queueStart < queue.count { requests.append(PollRequest(input, PollRequest.output)) }
        return requests
    }

    func handle(_ requests: [PollRequest]) throws(AgentError) {
        for request in requests where request.found != 0 {
            if request.fd == input, request.isWritable {
                try feed()
            } else if request.fd == output, request.isReadable {
                try drain()
            }
        }
        if output < 0 { try reap() }
    }

    /// Ends a cell that has outlived all its deadlines.
    func checkDeadline(now: UInt64) {
        guard let deadline, now > deadline, !isFinished else { return }
        failure = failure ?? .channel("the cell outlived its deadlines")
        end()
    }

    private func end() { try? Pidfd.send(cell.pidfd, Signals.kill) }

    private func feed() throws(AgentError) {
        do throws(LinuxError) {
            let count = try GuestSystem.writeSome(input, queue[queueStart...])
            queueStart += count
            writtenTotal += count
        } catch {
            // The cell stopped reading; its reply says why. The lab still gets its credit, or it would wait for ever.
            writtenTotal = queuedTotal
            queueStart = queue.count
            Files.close(input)
            input = -1
        }
        if queueStart == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueStart = 0
            if inputEnded, input >= 0 {
                Files.close(input)
                input = -1
            }
        }
        var bytes: UInt64 = 0
        while let first = creditOwed.first, first.end <= writtenTotal {
            bytes += first.bytes
            creditOwed.removeFirst()
        }
        if bytes > 0 { try channel.send(Frame(.credit, request: request, number: bytes)) }
    }

    private func drain() throws(AgentError) {
        do throws(LinuxError) {
            guard let bytes = try GuestSystem.readSome(output, limit: Frame.chunkBytes) else { return }
            if bytes.isEmpty {
                closeOutput()
                return
            }
            decoder.append(bytes)
        } catch {
            closeOutput()
            return
        }
        var frames: [Frame] = []
        do throws(WireError) {
            while let frame = try decoder.next() { frames.append(frame) }
        } catch {
            failure = .channel("from the cell: " + error.explanation.line)
            end()
            closeOutput()
        }
        for frame in frames {
            if frame.kind == .reply { replied = true }
            if frame.kind == .chunk { underWay += UInt64(frame.payload.count) }
            try releaseHeld()
            // What ends the operation for the lab waits for the cell's own end: taints are known only then, and the
            // next request must find the cell gone.
            if frame.kind == .reply || frame.kind == .end { held = frame } else { try channel.send(frame) }
        }
    }

    private func releaseHeld() throws(AgentError) {
        guard let frame = held else { return }
        held = nil
        try channel.send(frame)
    }

    private func closeOutput() {
        if output >= 0 { Files.close(output) }
        output = -1
    }

    private func reap() throws(AgentError) {
        guard let ended = try? Wait.poll(cell.pid) else { return }
        if !replied, failure == nil { failure = .channel("the cell ended early: \(ended.status)") }
        if input >= 0 { Files.close(input) }
        input = -1
        Files.close(cell.pidfd)
        removeCgroup()
        isFinished = true
    }

    /// The end of the cell's PID 1 has ended all its tasks; whatever is left in the cgroup is stuck in the kernel.
    private func removeCgroup() {
        guard let cgroup else { return }
        let deadline = Deadline(seconds: 2)
        while let text = try? Files.text(of: cgroup + "/cgroup.procs"), !text.isEmpty {
            if deadline.remainingNanoseconds == 0 {
                taints.append("leaked-tasks")
                return
            }
            var none: [PollRequest] = []
            _ = try? PollRequest.wait(&none, milliseconds: 5)
        }
        _ = cgroup.withCString { Kernel.attempt(.rmdir, UInt64(UInt(bitPattern: $0))) }
    }

    /// Sends the lab what the cell could not say itself.
    func tellEnd() throws(AgentError) {
        guard !replied else { return try releaseHeld() }
        let error = failure ?? .channel("the cell said nothing")
        let failure = AgentFailure(
            reason: cancelled ? .harnessDeadline : .harnessAgent,
            message: cancelled ? "cancelled" : "\(name): \(error.explanation.line)", taints: taints)
        try channel.send(.reply, request: request, GuestReply.failed(failure))
    }
}
