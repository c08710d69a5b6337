import Glibc

/// A program that cannot outlive this process, however that ends.
///
/// `setpriv --pdeathsig KILL` makes the kernel kill it when the *thread* that started it ends, so it is started from a
/// thread that lives as long. If this process ends before setpriv gets there, the shell between sees another parent and
/// does not start the program at all.
struct ChildProcess: Sendable {
    static let helper = "/usr/bin/setpriv"
    private static let guardScript = #"[ "$PPID" = "$0" ] || exit 64; exec "$@""#

    let pid: pid_t

    /// Starts a program.
    ///
    /// - Parameter inherited: Descriptors of this process to the numbers that the program sees; all others are closed.
    /// - Precondition: On a thread that ends after the program has.
    static func start(_ arguments: [String], inherited: [(ours: Int32, theirs: Int32)]) throws(VMError) -> ChildProcess
    {
        guard access(helper, X_OK) == 0 else {
            throw .launchFailed(path: helper, why: "it is not installed (package util-linux)")
        }
        let words =
            [helper, "--pdeathsig", "KILL", "--no-new-privs", "--", "/bin/sh", "-c", guardScript, "\(getpid())"]
            + arguments
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        // Descriptors are lifted first: a number wanted by the program may be taken here by another one.
        var lifted: [Int32] = []
        defer { lifted.forEach(Descriptor.close) }
        for (ours, theirs) in inherited {
            let high = fcntl(ours, F_DUPFD_CLOEXEC, 256)
            guard high >= 0 else { throw .launchFailed(path: arguments[0], why: Descriptor.errorText()) }
            lifted.append(high)
            posix_spawn_file_actions_adddup2(&actions, high, theirs)
        }
        for fd in Descriptor.inheritable() where fd > 2 && !inherited.contains(where: { $0.theirs == fd }) {
            posix_spawn_file_actions_addclose(&actions, fd)
        }
        // Ctrl-C at the terminal is for crlab, which then ends its guests in order.
        posix_spawnattr_setpgroup(&attributes, 0)
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var pid: pid_t = 0
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        pointers.append(nil)
        // SAFETY: `pointers` holds NUL-terminated copies that are freed only after the call.
        let answer = posix_spawn(&pid, helper, &actions, &attributes, pointers, environ)
        guard answer == 0 else {
            throw .launchFailed(path: arguments[0], why: String(cString: strerror(answer)))
        }
        return ChildProcess(pid: pid)
    }

    func kill() { _ = Glibc.kill(pid, SIGKILL) }

    /// How it ended, without waiting: `exited with 1`, `killed by signal 9`; `nil` while it runs.
    func ended() -> String? {
        var status: Int32 = 0
        let answer = waitpid(pid, &status, WNOHANG)
        if answer == 0 { return nil }
        return answer == pid ? Self.text(status) : "gone"
    }

    /// Seconds of processor time that it was given so far; `nil` when the kernel does not tell.
    func processorSeconds() -> Double? {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Whether someone has stopped it (SIGSTOP): then no time will be enough.
    var isStopped: Bool {
        guard let fd = try? Descriptor.open("/proc/\(pid)/stat", O_RDONLY) else { return false }
        defer { Descriptor.close(fd) }
        let text = String(decoding: Descriptor.read(fd, limit: 512) ?? [], as: UTF8.self)
        return text.split(separator: ")").last?.hasPrefix(" T") ?? false
    }

    /// Waits for its end.
    func wait() {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    private static func text(_ status: Int32) -> String {
        status & 0x7f == 0 ? "exited with \((status >> 8) & 0xff)" : "killed by signal \(status & 0x7f)"
    }
}
