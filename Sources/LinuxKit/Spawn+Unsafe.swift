internal import CLinux

/// A program to start, and in what surroundings.
public struct SpawnRequest: Sendable {
    /// CLONE_NEW* flags of clone3(2).
    public struct Namespaces: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        public static let mount = Namespaces(rawValue: 0x0002_0000)
        public static let cgroup = Namespaces(rawValue: 0x0200_0000)
        public static let uts = Namespaces(rawValue: 0x0400_0000)
        public static let ipc = Namespaces(rawValue: 0x0800_0000)
        public static let user = Namespaces(rawValue: 0x1000_0000)
        public static let pid = Namespaces(rawValue: 0x2000_0000)
        public static let network = Namespaces(rawValue: 0x4000_0000)
    }

    /// The program, seen from ``root``, and its arguments, the first of which is its own name.
    public var executable: String
    public var arguments: [String]
    /// `NAME=value` entries.
    public var environment: [String]
    public var namespaces: Namespaces = []
    /// PIDs to take, innermost namespace first; empty lets the kernel choose.
    public var pids: [Int32] = []
    /// Descriptor of a cgroup's folder to be born in; `nil` for the caller's.
    public var cgroup: Int32?
    /// Sent when the spawning *thread* ends; `nil` for nothing.
    public var parentDeathSignal: Int32?
    public var newSession = false
    /// In a new mount namespace: keep mounts from propagating out.
    public var privateMounts = false
    /// chroot(2) target; `nil` keeps the root.
    public var root: String?
    /// Mounts a fresh `/proc`, for new mount and PID namespaces.
    public var mountProc = false
    public var workingDirectory: String?
    /// Descriptors to become 0, 1, 2; `nil` keeps the caller's. All others are closed.
    public var stdin: Int32?
    public var stdout: Int32?
    public var stderr: Int32?
    public var resetSignals = true

    public init(executable: String, arguments: [String], environment: [String]) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
    }
}

/// A started program.
public struct SpawnedProcess: Sendable, Hashable {
    public var pid: Int32
    /// Close-on-exec; whoever spawned closes it.
    public var pidfd: Int32
}

/// Starts programs.
public enum Spawn {
    private static let steps = [
        "clone3", "clone3", "setsid", "mount", "chroot", "mount of /proc", "chdir", "dup2", "execve",
    ]

    /// Starts a program; returns once it has been executed.
    ///
    /// - Throws: `LinuxError.call` naming the step that failed; no process is left then.
    public static func start(_ request: SpawnRequest) throws(LinuxError) -> SpawnedProcess {
        try start(request, executable: request.executable)
    }

    /// Forks: goes on in a child, in the surroundings that the request asks for; its program is not used.
    ///
    /// - Precondition: The caller has one thread.
    /// - Returns: `nil` in the child.
    /// - Throws: `LinuxError.call` naming the step that failed; no process is left then.
    public static func fork(_ request: SpawnRequest) throws(LinuxError) -> SpawnedProcess? {
        let process = try start(request, executable: nil)
        return process.pid == 0 ? nil : process
    }

    private static func start(
        _ request: SpawnRequest, executable: String?
    ) throws(LinuxError) -> SpawnedProcess {
        var pidfd: Int32 = -1
        var step: Int32 = 0
        let pids = request.pids
        let pid = withCStrings(request.arguments) { arguments in
            withCStrings(request.environment) { environment in
                withOptionalCString(executable) { executable in
                    withOptionalCString(request.root) { root in
                        withOptionalCString(request.workingDirectory) { directory in
                            pids.withUnsafeBufferPointer { pids in
                                var raw = crl_spawn_request(
                                    namespaces: request.namespaces.rawValue,
                                    set_tid: pids.isEmpty ? nil : pids.baseAddress, set_tid_size: pids.count,
                                    cgroup: request.cgroup ?? -1, parent_death_signal: request.parentDeathSignal ?? 0,
                                    new_session: request.newSession, private_mounts: request.privateMounts,
                                    root: root, mount_proc: request.mountProc, working_directory: directory,
                                    stdio: (request.stdin ?? -1, request.stdout ?? -1, request.stderr ?? -1),
                                    reset_signals: request.resetSignals, executable: executable, arguments: arguments,
                                    environment: environment)
                                // SAFETY: every pointer in `raw` belongs to an enclosing closure's value; the child has
                                // its own copy of them all, and the parent returns only after execve.
                                return crl_spawn(&raw, &pidfd, &step)
                            }
                        }
                    }
                }
            }
        }
        if pid < 0 {
            let name = steps.indices.contains(Int(step)) ? steps[Int(step)] : "spawn"
            throw .call(name, object: request.executable, Errno(rawValue: -pid))
        }
        return SpawnedProcess(pid: pid, pidfd: pidfd)
    }

    /// Forks a task that waits for ever, for the engine to take over; it dies with the calling thread.
    ///
    /// - Parameters:
    ///   - pids: PIDs to take, innermost namespace first; empty lets the kernel choose.
    ///   - sharesFiles: Whether it has the caller's descriptor table instead of a copy.
    /// - Throws: `LinuxError.call`: `EEXIST` when a PID is in use.
    public static func pausedTask(
        namespaces: SpawnRequest.Namespaces = [], pids: [Int32] = [], exitSignal: Int32 = Signals.child,
        sharesFiles: Bool = false
    ) throws(LinuxError) -> SpawnedProcess {
        var pidfd: Int32 = -1
        // SAFETY: `pids` lives through the call; the child makes no use of any memory of Swift.
        let pid = pids.withUnsafeBufferPointer {
            crl_clone_paused(
                // CLONE_FILES
                namespaces.rawValue | (sharesFiles ? 0x400 : 0), exitSignal, $0.isEmpty ? nil : $0.baseAddress,
                $0.count, &pidfd)
        }
        if pid < 0 { throw .call("clone3", object: "PIDs \(pids)", Errno(rawValue: -pid)) }
        return SpawnedProcess(pid: pid, pidfd: pidfd)
    }

    private static func withOptionalCString<Result>(
        _ text: String?, _ body: (UnsafePointer<CChar>?) -> Result
    ) -> Result {
        if let text { text.withCString(body) } else { body(nil) }
    }

    /// A NULL-terminated array of C strings; all in one block of bytes that lives through `body`.
    private static func withCStrings<Result>(
        _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var bytes: [CChar] = []
        var offsets: [Int] = []
        for text in texts {
            offsets.append(bytes.count)
            bytes.append(contentsOf: text.utf8CString)
        }
        bytes.append(0)
        return bytes.withUnsafeMutableBufferPointer { buffer in
            // SAFETY: each offset is inside `buffer`, which does not move while `body` runs.
            var pointers = offsets.map { offset in buffer.baseAddress.map { $0 + offset } }
            pointers.append(nil)
            return pointers.withUnsafeMutableBufferPointer { array in
                // `pointers` has at least the terminating nil, so the array has an address.
                body(UnsafePointer(array.baseAddress.unsafelyUnwrapped))
            }
        }
    }
}
