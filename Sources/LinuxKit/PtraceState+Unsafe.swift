/// Rarer ptrace(2) requests: seccomp filters, user dispatch of system calls, debug registers.
extension Ptrace {
    /// PR_SET_SYSCALL_USER_DISPATCH of one task.
    public struct UserDispatch: Sendable, Hashable {
        /// 0 off, 1 on.
        public var mode: UInt64
        public var selector: UInt64
        public var offset: UInt64
        public var length: UInt64

        public init(mode: UInt64 = 0, selector: UInt64 = 0, offset: UInt64 = 0, length: UInt64 = 0) {
            self.mode = mode
            self.selector = selector
            self.offset = offset
            self.length = length
        }
    }

    private static let seccompFilterRequest: UInt64 = 0x420c
    private static let seccompMetadataRequest: UInt64 = 0x420d
    private static let setUserDispatchRequest: UInt64 = 0x4210
    private static let getUserDispatchRequest: UInt64 = 0x4211
    private static let peekUserRequest: UInt64 = 3

    /// One seccomp filter of a task as classic BPF, 8 bytes for each instruction.
    ///
    /// - Parameter index: 0 is the filter that was installed first.
    /// - Returns: `nil` when there is no filter `index`.
    /// - Throws: `LinuxError.call` with `EACCES` without CAP_SYS_ADMIN or when the engine itself is under seccomp.
    /// - Source: `get_nth_filter()` in `kernel/seccomp.c` counts from the oldest, whatever ptrace(2) says.
    public static func seccompFilter(_ task: Int32, index: UInt64) throws(LinuxError) -> [UInt8]? {
        guard let count = try seccompFilterLength(task, index: index) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count * 8)
        // SAFETY: the kernel writes as many instructions as it has just said; filters never change.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(
                .ptrace, seccompFilterRequest, Kernel.number(task), index, Kernel.number($0.baseAddress))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(seccompFilter)", object: "task \(task)", errno)
        }
        return bytes
    }

    /// Whether filter `index` asks for its actions to be logged (SECCOMP_FILTER_FLAG_LOG).
    ///
    /// Kernels before 4.16 cannot tell; the answer is false then.
    public static func isSeccompFilterLogged(_ task: Int32, index: UInt64) -> Bool {
        var data: (UInt64, UInt64) = (index, 0)
        // SAFETY: struct seccomp_metadata is two words, whose size we pass.
        let answer = withUnsafeMutablePointer(to: &data) {
            Kernel.attempt(
                .ptrace, seccompMetadataRequest, Kernel.number(task), 16, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil && data.1 & 2 != 0
    }

    /// How a task's system calls are dispatched; `nil` when the kernel cannot tell (before 6.4).
    public static func userDispatch(_ task: Int32) -> UserDispatch? {
        var data: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        // SAFETY: struct ptrace_sud_config is four words, whose size we pass.
        let answer = withUnsafeMutablePointer(to: &data) {
            Kernel.attempt(
                .ptrace, getUserDispatchRequest, Kernel.number(task), 32, Kernel.number(UnsafeRawPointer($0)))
        }
        if Kernel.errno(of: answer) != nil { return nil }
        return UserDispatch(mode: data.0, selector: data.1, offset: data.2, length: data.3)
    }

    /// Whether this kernel can dispatch a task's calls to the task itself (since 5.11); asked by turning off what the caller
    /// does not have.
    public static let canDispatch = Kernel.errno(of: Kernel.attempt(.prctl, 59, 0, 0, 0, 0)) == nil

    /// Whether a SIGSYS at whose delivery the task stands says that a call was dispatched to it (SYS_USER_DISPATCH).
    public static func isDispatch(_ task: Int32) -> Bool {
        (try? siginfo(task))?[8..<12].elementsEqual([2, 0, 0, 0]) == true
    }

    /// Sets how a stopped task's system calls are dispatched.
    public static func setUserDispatch(_ task: Int32, _ dispatch: UserDispatch) throws(LinuxError) {
        var data = (dispatch.mode, dispatch.selector, dispatch.offset, dispatch.length)
        // SAFETY: struct ptrace_sud_config is four words, whose size we pass; the kernel only reads it.
        let answer = withUnsafeMutablePointer(to: &data) {
            Kernel.attempt(
                .ptrace, setUserDispatchRequest, Kernel.number(task), 32, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(setUserDispatch)", object: "task \(task)", errno)
        }
    }

    /// DR7, the control register of hardware breakpoints; 0 when none was ever set.
    public static func debugControl(_ task: Int32) -> UInt64 {
        var value: UInt64 = 0
        // SAFETY: the kernel writes one word. 904 is offsetof(struct user, u_debugreg[7]).
        let answer = withUnsafeMutablePointer(to: &value) {
            Kernel.attempt(.ptrace, peekUserRequest, Kernel.number(task), 904, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil ? value : 0
    }
}

extension Limits {
    /// Binds a task to the CPUs of the mask; those that the host does not have are left out by the kernel.
    public static func setAffinity(of task: Int32, _ mask: [UInt8]) throws(LinuxError) {
        // SAFETY: the kernel reads the mask's bytes, whose number we pass.
        let answer = mask.withUnsafeBytes {
            Kernel.attempt(
                .sched_setaffinity, Kernel.number(task), UInt64($0.count), Kernel.number($0.baseAddress))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("sched_setaffinity", object: "task \(task)", errno) }
    }

    private static let hasCoreScheduling: Bool = {
        var cookie: UInt64 = 0
        // SAFETY: as in `coreCookie(of:)`; 0 is the engine itself.
        let answer = withUnsafeMutablePointer(to: &cookie) {
            Kernel.attempt(.prctl, 62, 0, 0, 0, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil
    }()

    /// The core scheduling cookie of a task: tasks with the same one may share a core. 0 for none, or without the kernel's
    /// CONFIG_SCHED_CORE.
    public static func coreCookie(of task: Int32) -> UInt64 {
        guard hasCoreScheduling else { return 0 }
        var cookie: UInt64 = 0
        // SAFETY: PR_SCHED_CORE (62), PR_SCHED_CORE_GET (0), one thread (0): the kernel writes one word.
        let answer = withUnsafeMutablePointer(to: &cookie) {
            Kernel.attempt(.prctl, 62, 0, Kernel.number(task), 0, Kernel.number(UnsafeRawPointer($0)))
        }
        return Kernel.errno(of: answer) == nil ? cookie : 0
    }

    /// ioprio_get(2) of one task; 0 when it was never set or cannot be read.
    public static func inputOutputPriority(of task: Int32) -> UInt32 {
        let answer = Kernel.attempt(.ioprio_get, 1, Kernel.number(task))
        return Kernel.errno(of: answer) == nil ? chosen(inputOutputPriority: UInt32(truncatingIfNeeded: answer)) : 0
    }

    /// What of an I/O priority a task can have chosen: nothing in the class "none", where kernels before 5.15 say level 4
    /// for a task that was never asked, and since 6.0 level 0, and none lets a level be set.
    public static func chosen(inputOutputPriority priority: UInt32) -> UInt32 { priority >> 13 == 0 ? 0 : priority }

    /// get_mempolicy(2) of the calling thread: mode and nodes; empty for the default, and where there are no policies.
    public static func ownMemoryPolicy() -> [UInt64] {
        var words: [UInt64] = [0, 0]
        // SAFETY: the kernel writes a 32-bit mode and 64 bits of nodes, which `words` holds for the length of the call.
        let answer = words.withUnsafeMutableBytes {
            Kernel.attempt(
                .get_mempolicy, Kernel.number($0.baseAddress), Kernel.number($0.baseAddress.map { $0 + 8 }), 64, 0, 0)
        }
        return Kernel.errno(of: answer) == nil && words[0] != 0 ? words : []
    }

    /// ioprio_set(2) of one task.
    public static func setInputOutputPriority(of task: Int32, _ priority: UInt32) throws(LinuxError) {
        let answer = Kernel.attempt(.ioprio_set, 1, Kernel.number(task), UInt64(priority))
        if let errno = Kernel.errno(of: answer) { throw .call("ioprio_set", object: "task \(task)", errno) }
    }
}
