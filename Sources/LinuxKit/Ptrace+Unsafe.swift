/// ptrace(2), typed. All of it must run on the thread that seized the task.
public enum Ptrace {
    /// What PTRACE_SEIZE may ask for.
    public struct Options: OptionSet, Sendable {
        public let rawValue: UInt64
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        /// System-call stops carry SIGTRAP|0x80, so that no real SIGTRAP looks like one.
        public static let markSystemCallStops = Options(rawValue: 1)
        public static let traceFork = Options(rawValue: 2)
        public static let traceVfork = Options(rawValue: 4)
        public static let traceClone = Options(rawValue: 8)
        public static let traceExec = Options(rawValue: 16)
        public static let traceExit = Options(rawValue: 64)
        /// The tasks die with the tracer.
        public static let killOnExit = Options(rawValue: 1 << 20)
        public static let suspendSeccomp = Options(rawValue: 1 << 21)
    }

    /// Register sets by their ELF note number.
    public enum Note: UInt64, Sendable {
        case general = 1  // NT_PRSTATUS
        case floatingPoint = 2  // NT_PRFPREG
        case extendedState = 0x202  // NT_X86_XSTATE
    }

    /// Where rseq(2) is registered.
    public struct RseqConfiguration: Sendable, Hashable {
        /// 0 when the task has none.
        public var address: UInt64
        public var sizeBytes: UInt32
        public var signature: UInt32
        public var flags: UInt32

        public init(address: UInt64, sizeBytes: UInt32, signature: UInt32, flags: UInt32) {
            self.address = address
            self.sizeBytes = sizeBytes
            self.signature = signature
            self.flags = flags
        }
    }

    enum Request: UInt64 {
        case cont = 7
        case kill = 8
        case singleStep = 9
        case detach = 17
        case systemCall = 24
        case setOptions = 0x4200
        case eventMessage = 0x4201
        case getSiginfo = 0x4202
        case setSiginfo = 0x4203
        case getRegset = 0x4204
        case setRegset = 0x4205
        case seize = 0x4206
        case interrupt = 0x4207
        case listen = 0x4208
        case peekSiginfo = 0x4209
        case getSigmask = 0x420a
        case setSigmask = 0x420b
        case seccompFilter = 0x420c
        case rseqConfiguration = 0x420f
    }

    @discardableResult
    private static func request(
        _ request: Request, _ task: Int32, _ address: UInt64 = 0, _ data: UInt64 = 0
    ) throws(LinuxError) -> UInt64 {
        let answer = Kernel.attempt(
            .ptrace, request.rawValue, Kernel.number(task), address, data)
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(\(request))", object: "task \(task)", errno)
        }
        return UInt64(bitPattern: answer)
    }

    /// Becomes the task's tracer without stopping it.
    public static func seize(_ task: Int32, _ options: Options) throws(LinuxError) {
        try request(.seize, task, 0, options.rawValue)
    }

    /// Makes a seized task stop; ``wait(for:deadline:)`` then reports `PTRACE_EVENT_STOP`.
    public static func interrupt(_ task: Int32) throws(LinuxError) { try request(.interrupt, task) }

    /// Lets a stopped task run on, delivering `signal` if not 0.
    public static func resume(_ task: Int32, signal: Int32 = 0) throws(LinuxError) {
        try request(.cont, task, 0, Kernel.number(signal))
    }

    /// Lets a stopped task run to the next entry to or exit from a system call.
    public static func resumeToSystemCall(_ task: Int32, signal: Int32 = 0) throws(LinuxError) {
        try request(.systemCall, task, 0, Kernel.number(signal))
    }

    /// Lets a stopped task execute one instruction.
    public static func step(_ task: Int32) throws(LinuxError) { try request(.singleStep, task) }

    /// Leaves a group-stopped task stopped but able to notice SIGCONT.
    public static func listen(_ task: Int32) throws(LinuxError) { try request(.listen, task) }

    /// Stops tracing; the task runs on, or stays stopped when its process is group-stopped.
    public static func detach(_ task: Int32, signal: Int32 = 0) throws(LinuxError) {
        try request(.detach, task, 0, Kernel.number(signal))
    }

    public static func setOptions(_ task: Int32, _ options: Options) throws(LinuxError) {
        try request(.setOptions, task, 0, options.rawValue)
    }

    /// What belongs to the last ptrace event: the new task's TID, or the exit status.
    public static func eventMessage(_ task: Int32) throws(LinuxError) -> UInt64 {
        var message: UInt64 = 0
        // SAFETY: the kernel writes one word into `message`, which outlives the call.
        let answer = withUnsafeMutablePointer(to: &message) {
            Kernel.attempt(
                .ptrace, Request.eventMessage.rawValue, Kernel.number(task), 0, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(eventMessage)", object: "task \(task)", errno)
        }
        return message
    }

    /// One register set of a stopped task, exactly as many bytes as the kernel has.
    ///
    /// - Throws: `LinuxError.call` with `ENODEV` when the CPU has no such set (no XSAVE: take `.floatingPoint`).
    public static func registerSet(_ task: Int32, _ note: Note) throws(LinuxError) -> [UInt8] {
        // AMX's tile data is 8 KiB and the area grows with each CPU; ask with more room until the answer is shorter.
        var capacity = 16384
        while true {
            var answer: Int64 = 0
            // SAFETY: the iovec points into the array's room, which lives and does not move in the closure; the kernel
            // writes at most `capacity` bytes there and their number into the iovec.
            let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                var vector: (UInt64, UInt64) = (Kernel.number(UnsafeRawPointer(buffer.baseAddress)), UInt64(capacity))
                answer = withUnsafeMutablePointer(to: &vector) { pointer in
                    let answer = Kernel.attempt(
                        .ptrace, Request.getRegset.rawValue, Kernel.number(task), note.rawValue,
                        Kernel.number(UnsafeRawPointer(pointer)))
                    count = Kernel.errno(of: answer) == nil ? Int(pointer.pointee.1) : 0
                    return answer
                }
            }
            if let errno = Kernel.errno(of: answer) {
                throw .call("ptrace(getRegset \(note))", object: "task \(task)", errno)
            }
            if bytes.count < capacity { return Array(bytes[...]) }
            capacity *= 4
        }
    }

    /// Sets one register set of a stopped task.
    public static func setRegisterSet(_ task: Int32, _ note: Note, _ bytes: [UInt8]) throws(LinuxError) {
        // SAFETY: the kernel only reads `bytes`, through an iovec that lives as long.
        let answer = bytes.withUnsafeBytes { buffer in
            var vector: (UInt64, UInt64) = (Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            return withUnsafeMutablePointer(to: &vector) { pointer in
                Kernel.attempt(
                    .ptrace, Request.setRegset.rawValue, Kernel.number(task), note.rawValue,
                    Kernel.number(UnsafeRawPointer(pointer)))
            }
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(setRegset \(note))", object: "task \(task)", errno)
        }
    }

    /// The general registers of a stopped task.
    public static func registers(_ task: Int32) throws(LinuxError) -> Registers {
        var words = [UInt64](repeating: 0, count: Registers.wordCount)
        // SAFETY: the kernel writes at most 27 words into `words`, which lives and does not move in the closure.
        let answer = words.withUnsafeMutableBytes { buffer in
            var vector: (UInt64, UInt64) = (Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            return withUnsafeMutablePointer(to: &vector) { pointer in
                Kernel.attempt(
                    .ptrace, Request.getRegset.rawValue, Kernel.number(task), Note.general.rawValue,
                    Kernel.number(UnsafeRawPointer(pointer)))
            }
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(getRegset general)", object: "task \(task)", errno)
        }
        guard let registers = Registers(words: words) else {
            throw .malformed("registers of task \(task)", why: "not \(Registers.wordCount) words")
        }
        return registers
    }

    /// Sets the general registers of a stopped task.
    public static func setRegisters(_ task: Int32, _ registers: Registers) throws(LinuxError) {
        let words = registers.words
        // SAFETY: the kernel only reads the 27 words, through an iovec that lives as long.
        let answer = words.withUnsafeBytes { buffer in
            var vector: (UInt64, UInt64) = (Kernel.number(buffer.baseAddress), UInt64(buffer.count))
            return withUnsafeMutablePointer(to: &vector) { pointer in
                Kernel.attempt(
                    .ptrace, Request.setRegset.rawValue, Kernel.number(task), Note.general.rawValue,
                    Kernel.number(UnsafeRawPointer(pointer)))
            }
        }
        if let errno = Kernel.errno(of: answer) {
            throw .call("ptrace(setRegset general)", object: "task \(task)", errno)
        }
    }

    /// The siginfo of every pending signal of one queue, 128 bytes each, oldest first; nothing is taken out.
    ///
    /// - Parameter shared: The process's queue rather than the task's own.
    public static func pendingSiginfo(_ task: Int32, shared: Bool) throws(LinuxError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        let batch = 32
        while true {
            var arguments: (UInt64, UInt32, Int32) = (UInt64(found.count), shared ? 1 : 0, Int32(batch))
            // SAFETY: `arguments` is struct ptrace_peeksiginfo_args; the kernel writes at most `batch` siginfos of 128
            // bytes into `buffer` and says how many. Both live and stay in place in the closures.
            let answer = withUnsafeTemporaryAllocation(byteCount: batch * 128, alignment: 8) { buffer in
                let answer = withUnsafeMutablePointer(to: &arguments) { pointer in
                    Kernel.attempt(
                        .ptrace, Request.peekSiginfo.rawValue, Kernel.number(task),
                        Kernel.number(UnsafeRawPointer(pointer)), Kernel.number(buffer.baseAddress))
                }
                for index in 0..<max(0, min(batch, Int(answer))) {
                    found.append(Array(buffer[(index * 128)..<((index + 1) * 128)]))
                }
                return answer
            }
            if let errno = Kernel.errno(of: answer) {
                throw .call("ptrace(peekSiginfo)", object: "task \(task)", errno)
            }
            if Int(answer) < batch { return found }
        }
    }

    /// The blocked signals, bit N-1 for signal N; inside `sigsuspend` the mask to which it will return.
    public static func signalMask(_ task: Int32) throws(LinuxError) -> UInt64 {
        var mask: UInt64 = 0
        // SAFETY: the kernel writes 8 bytes, the size we pass, into `mask`.
        let answer = withUnsafeMutablePointer(to: &mask) {
            Kernel.attempt(
                .ptrace, Request.getSigmask.rawValue, Kernel.number(task), 8, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ptrace(getSigmask)", object: "task \(task)", errno) }
        return mask
    }

    /// Sets the blocked signals.
    public static func setSignalMask(_ task: Int32, _ mask: UInt64) throws(LinuxError) {
        var mask = mask
        // SAFETY: the kernel reads 8 bytes, the size we pass.
        let answer = withUnsafeMutablePointer(to: &mask) {
            Kernel.attempt(
                .ptrace, Request.setSigmask.rawValue, Kernel.number(task), 8, Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ptrace(setSigmask)", object: "task \(task)", errno) }
    }

    /// The siginfo of the stop that the task is in; throws `EINVAL` in a group stop.
    public static func siginfo(_ task: Int32) throws(LinuxError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 128)
        // SAFETY: the kernel writes one siginfo_t, 128 bytes.
        let answer = bytes.withUnsafeMutableBytes {
            Kernel.attempt(.ptrace, Request.getSiginfo.rawValue, Kernel.number(task), 0, Kernel.number($0.baseAddress))
        }
        if let errno = Kernel.errno(of: answer) { throw .call("ptrace(getSiginfo)", object: "task \(task)", errno) }
        return bytes
    }

    /// Where the task registered rseq.
    ///
    /// - Returns: `nil` when the kernel is older than 5.13 and cannot tell; address 0 when nothing is registered.
    public static func rseqConfiguration(_ task: Int32) throws(LinuxError) -> RseqConfiguration? {
        var raw: (UInt64, UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0, 0)
        // SAFETY: `raw` is struct ptrace_rseq_configuration, 24 bytes, whose size we pass.
        let answer = withUnsafeMutablePointer(to: &raw) {
            Kernel.attempt(
                .ptrace, Request.rseqConfiguration.rawValue, Kernel.number(task), 24,
                Kernel.number(UnsafeRawPointer($0)))
        }
        if let errno = Kernel.errno(of: answer) {
            if errno == .inputOutput || errno == .invalid { return nil }
            throw .call("ptrace(rseqConfiguration)", object: "task \(task)", errno)
        }
        return RseqConfiguration(address: raw.0, sizeBytes: raw.1, signature: raw.2, flags: raw.3)
    }

    /// The number of instructions of a seccomp filter; `nil` when there is no filter `index`.
    public static func seccompFilterLength(_ task: Int32, index: UInt64) throws(LinuxError) -> Int? {
        do {
            return Int(try request(.seccompFilter, task, index, 0))
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }
}
