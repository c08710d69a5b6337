internal import LinuxKit

/// Keeps newcomers away from listening sockets while the workload takes in those that wait already: no kernel gives a
/// waiting connection back to a new socket, so a dump must find none. Nor can events of inotify be put back: the workload
/// gets the same time to read them.
///
/// It outlives the attempts of one dump.
final class ConnectionGate {
    /// How long a workload may take to accept what waits.
    private static let patienceSeconds = 2.0

    /// Set by the attempt that found somebody waiting: the ports to close.
    var waiting: [PacketLock.Listener] = []
    /// Set by the attempt that found events which nobody has read.
    var isUnread = false
    /// A task in their network namespace.
    var root: Int32 = 0
    private var owner: NetlinkSocket?
    private var deadline: Deadline?
    private var pauseMilliseconds = 2

    /// Whether another attempt is worth it, after a pause with the ports closed.
    ///
    /// - Parameter wakeups: Blocked signals that end the dump.
    /// - Precondition: The tree runs.
    func mayRetry(_ wakeups: UInt64) -> Bool {
        guard !waiting.isEmpty || isUnread else { return false }
        isUnread = false
        let end = deadline ?? Deadline(seconds: Self.patienceSeconds)
        deadline = end
        if end.remainingNanoseconds == 0 { return false }
        if owner == nil, !waiting.isEmpty, let visit = try? Namespaces.Visit(root, Namespaces.Flag.network) {
            defer { visit.end() }
            let name = PacketLock.name(
                pid: Int32(Kernel.attempt(.getpid)), nanoseconds: MonotonicClock.nanoseconds(of: 0))
            // One that would outlive this process is not worth it.
            owner = try? PacketLock.install(name + "-gate", [], waiting, owned: true)
            if owner == nil { _ = try? PacketLock.remove(name + "-gate") }
        }
        waiting = []
        _ = Signals.take(0, timeoutNanoseconds: UInt64(pauseMilliseconds) * 1_000_000)
        pauseMilliseconds = min(100, pauseMilliseconds * 2)
        return Signals.pending() & wakeups == 0
    }

    /// Lets newcomers in again.
    func open() {
        owner?.close()
        owner = nil
    }
}
