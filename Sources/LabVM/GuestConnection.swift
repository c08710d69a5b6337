import CRModel
import GuestWire
import Synchronization

/// What the `async` world and a guest's thread share: requests in, answers out.
///
/// All descriptors belong to the thread (``GuestLoop``); this side only puts work into the state and wakes it.
final class GuestConnection: Sendable {
    /// The end of a request.
    struct Response: Sendable {
        var reply: GuestReply
        /// Bytes of the bulk stream from the guest.
        var receivedBytes: UInt64
    }

    typealias Answer = CheckedContinuation<Result<Response, VMError>, Never>

    /// Where a request's bulk stream to the guest comes from.
    struct Upload: Sendable {
        var fd: Int32
        /// A terminal: its bytes go as they come, and its end does not end the request.
        var isLive: Bool
        var sent: UInt64 = 0
        var confirmed: UInt64 = 0
        var ended = false
    }

    /// Where a request's bulk stream from the guest goes to.
    struct Download: Sendable {
        var fd: Int32
        var isLive: Bool
        var received: UInt64 = 0
        var ended = false
    }

    struct Pending: Sendable {
        var name: String
        var answer: Answer
        var deadline: Double?
        var seconds: Double
        var upload: Upload?
        var download: Download?
        var reply: GuestReply?
    }

    struct State: Sendable {
        var outgoing: [UInt8] = []
        var outgoingStart = 0
        var pending: [UInt32: Pending] = [:]
        var nextRequest: UInt32 = 1
        var ready: Ready?
        var readyWaiters: [CheckedContinuation<Result<Ready, VMError>, Never>] = []
        var console = ConsoleRing()
        var taints: [String] = []
        var kernelMessages: [String] = []
        /// The file that gets the frozen guest's state, and who waits for that.
        var freeze: (path: String, answer: CheckedContinuation<Result<Void, VMError>, Never>)?
        /// Why nothing more comes from the guest; set once.
        var failure: VMError?
        var stopRequested = false
        var isOver = false
        var overWaiters: [CheckedContinuation<Void, Never>] = []

        mutating func send(_ frame: Frame) { outgoing += frame.bytes }
        var outgoingBytes: Int { outgoing.count - outgoingStart }
    }

    let host: HostName
    let state = Mutex(State())
    private let wakeWrite: Int32

    init(host: HostName, wakeWrite: Int32) {
        self.host = host
        self.wakeWrite = wakeWrite
    }

    deinit { Descriptor.close(wakeWrite) }

    /// Makes the thread look at the state. A full pipe has woken it already.
    func wake() { _ = Descriptor.write(wakeWrite, [1][...], socket: true) }

    var consoleTail: String { state.withLock { $0.console.tail } }

    /// Waits for the guest to take requests.
    func ready() async -> Result<Ready, VMError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now: Result<Ready, VMError>? = state.withLock { state in
                    if let failure = state.failure { return .failure(failure) }
                    if let ready = state.ready { return .success(ready) }
                    state.readyWaiters.append(continuation)
                    return nil
                }
                if let now { continuation.resume(returning: now) }
            }
        } onCancel: {
            fail(.cancelled(host: host))
        }
    }

    /// Stops the guest for good and writes all of its state but its memory to a file.
    func freeze(to path: String) async -> Result<Void, VMError> {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let failure = state.withLock { state in
                    if state.failure == nil { state.freeze = (path, continuation) }
                    return state.failure
                }
                if let failure { continuation.resume(returning: .failure(failure)) } else { wake() }
            }
        } onCancel: {
            fail(.cancelled(host: host))
        }
    }

    /// Sends a request and waits for its end.
    ///
    /// - Parameter seconds: Backstop on the lab's side; the agent has nearer deadlines. `nil` for a shell.
    func request(
        _ request: GuestRequest, seconds: Double?, upload: Upload? = nil, download: Download? = nil
    ) async -> Result<Response, VMError> {
        let number = state.withLock { state in
            defer { state.nextRequest += 1 }
            return state.nextRequest
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                start(request, number, seconds: seconds, upload: upload, download: download, continuation)
            }
        } onCancel: {
            let answer = state.withLock { state -> Answer? in
                state.send(Frame(.cancel, request: number))
                return state.pending.removeValue(forKey: number)?.answer
            }
            wake()
            answer?.resume(returning: .failure(.cancelled(host: host)))
        }
    }

    private func start(
        _ request: GuestRequest, _ number: UInt32, seconds: Double?, upload: Upload?, download: Download?,
        _ answer: Answer
    ) {
        let frame: Frame
        do throws(WireError) {
            frame = try Frame(.request, request: number, message: request)
        } catch {
            answer.resume(
                returning: .failure(.garbled(host: host, why: error.explanation.line, console: consoleTail)))
            return
        }
        let failure = state.withLock { state -> VMError? in
            if let failure = state.failure { return failure }
            if Task.isCancelled { return .cancelled(host: host) }
            state.send(frame)
            state.pending[number] = Pending(
                name: request.name, answer: answer, deadline: seconds.map { Descriptor.seconds() + $0 },
                seconds: seconds ?? 0, upload: upload, download: download)
            return nil
        }
        if let failure { answer.resume(returning: .failure(failure)) } else { wake() }
    }

    /// Ends everything that waits, with the first failure.
    func fail(_ error: VMError) {
        let (failure, answers, waiters, freezer) = state.withLock { state in
            let failure = state.failure ?? error
            state.failure = failure
            defer {
                state.pending = [:]
                state.readyWaiters = []
                state.freeze = nil
            }
            return (failure, state.pending.values.map(\.answer), state.readyWaiters, state.freeze?.answer)
        }
        freezer?.resume(returning: .failure(failure))
        for answer in answers { answer.resume(returning: .failure(failure)) }
        for waiter in waiters { waiter.resume(returning: .failure(failure)) }
        wake()
    }

    /// Ends QEMU and waits until it is gone. Not affected by cancellation.
    func stop() async {
        state.withLock { $0.stopRequested = true }
        wake()
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.isOver { state.overWaiters.append(continuation) }
                return state.isOver
            }
            if isOver { continuation.resume() }
        }
    }

    /// The thread's last word: QEMU is gone.
    func over() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.overWaiters = [] }
            return state.overWaiters
        }
        for waiter in waiters { waiter.resume() }
    }
}
