internal import LinuxKit

/// A child of the engine that brings to an end what cannot be left half done, should the engine be killed before it has
/// done so itself.
///
/// It sees the end of a pipe, which the kernel closes before it lets the engine's tracees go.
struct Keeper {
    /// Their numbers of bytes tell them apart.
    private static let commitment: [UInt8] = [0]
    private static let dismissal: [UInt8] = [0, 0]

    private let pid: Int32
    private let line: Int32

    /// - Parameters:
    ///   - kept: Descriptors that `act` needs. Nobody shall wait for the others to be closed.
    ///   - processes: Those that `act` may kill. Another engine may soon have made new ones with the same PIDs.
    ///   - act: What is done when the engine ends before it has dismissed the keeper, told whether it had committed, and
    ///     with a way to kill the processes.
    /// - Precondition: The engine has no other thread.
    init(
        keeping kept: [Int32] = [], processes: [Int32] = [], _ act: (_ isCommitted: Bool, _ kill: () -> Void) -> Void
    ) throws(LinuxError) {
        let pidfds = processes.compactMap { try? Pidfd.open($0) }
        defer { for pidfd in pidfds { Files.close(pidfd) } }
        let pipe = try Files.pipe()
        let start = try Files.pipe()
        let answer = Kernel.attempt(.fork)
        if answer == 0 {
            Self.keep(kept + pidfds, pipe.read) { isCommitted in
                act(isCommitted) { for pidfd in pidfds { try? Pidfd.send(pidfd, Signals.kill) } }
            }
        }
        Files.close(pipe.read)
        Files.close(start.write)
        defer { Files.close(start.read) }
        if let errno = Kernel.errno(of: answer) {
            Files.close(pipe.write)
            throw .call("fork", object: "a child that sees the engine's end", errno)
        }
        (pid, line) = (Int32(answer), pipe.write)
        // It has closed the other end: from now on it is quick. On a busy machine it might come later than the next engine.
        _ = try? Files.poll(start.read, events: 0, milliseconds: 1000)
    }

    private static func keep(_ kept: [Int32], _ line: Int32, _ act: (Bool) -> Void) -> Never {
        // Who kills the engine's process group shall not kill it. And it comes before the engine's tracees.
        _ = Kernel.attempt(.setsid)
        _ = Kernel.attempt(.setpriority, 0, 0, Kernel.number(-20))
        var first: Int32 = 0
        for fd in Set(kept + [line]).sorted() {
            if fd > first { _ = Kernel.attempt(.close_range, Kernel.number(first), Kernel.number(fd - 1), 0) }
            first = fd + 1
        }
        _ = Kernel.attempt(.close_range, Kernel.number(first), UInt64(UInt32.max), 0)
        // POLLHUP comes without being asked for.
        while (try? Files.poll(line, events: 0, milliseconds: 60_000)) ?? 0 == 0 {}
        // FIONREAD: how many bytes it was sent.
        let count = (try? SocketCalls.control(line, 0x541b)) ?? 0
        if count < Self.dismissal.count { act(count == Self.commitment.count) }
        while true { _ = Kernel.attempt(.exit_group, 0) }
    }

    /// From here on there is no way back.
    func commit() { try? Files.write(line, Self.commitment) }

    /// Ends it: the engine has done everything.
    func dismiss() {
        try? Files.write(line, Self.dismissal)
        Files.close(line)
        _ = Kernel.attempt(.wait4, Kernel.number(pid), 0, 0, 0)
    }
}
