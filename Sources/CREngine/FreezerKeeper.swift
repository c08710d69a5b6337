internal import LinuxKit

/// A child of the engine that freezes a cgroup again, should the engine be killed before it has done so itself.
///
/// It sees the end of a pipe, which the kernel closes before it lets the engine's tracees go.
struct FreezerKeeper {
    private let pid: Int32
    private let line: Int32

    /// - Precondition: The engine has no other thread yet.
    init(_ freezer: Freezer) throws(LinuxError) {
        let pipe = try Files.pipe()
        let answer = Kernel.attempt(.fork)
        if answer == 0 { Self.keep(freezer, pipe) }
        Files.close(pipe.read)
        if let errno = Kernel.errno(of: answer) {
            Files.close(pipe.write)
            throw .call("fork", object: "a child that keeps a cgroup frozen", errno)
        }
        (pid, line) = (Int32(answer), pipe.write)
    }

    private static func keep(_ freezer: Freezer, _ pipe: (read: Int32, write: Int32)) -> Never {
        // Who kills the engine's process group shall not kill it; and nobody waits for a descriptor that it has.
        _ = Kernel.attempt(.setsid)
        if pipe.read > 0 { _ = Kernel.attempt(.close_range, 0, Kernel.number(pipe.read - 1), 0) }
        _ = Kernel.attempt(.close_range, Kernel.number(pipe.read + 1), UInt64(UInt32.max), 0)
        // POLLIN when it is told something; only POLLHUP when there is nobody any more.
        var events: Int16 = 0
        while events == 0 { events = (try? Files.poll(pipe.read, events: 1, milliseconds: 60_000)) ?? 0 }
        if events & 1 == 0 { try? freezer.freeze() }
        while true { _ = Kernel.attempt(.exit_group, 0) }
    }

    /// Ends it: the cgroup is as it was.
    func dismiss() {
        try? Files.write(line, [1])
        Files.close(line)
        _ = Kernel.attempt(.wait4, Kernel.number(pid), 0, 0, 0)
    }
}
