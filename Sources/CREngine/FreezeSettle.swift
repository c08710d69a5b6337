internal import LinuxKit

/// Puts a task that has just been stopped into a state from which it can go on as if nothing had happened, here or on
/// another host.
///
/// All of it is what the kernel does by itself sooner or later, or undoes what the stop did; so it is right too when the
/// dump is refused or the engine dies.
struct FreezeSettle {
    /// The area of rseq(2) on kernels that do not tell, relative to the thread pointer; by process.
    private var rseqOffsets: [Int32: Int64?] = [:]
    private var vdsos: [Int32: Range<UInt64>] = [:]
    private var configurations: [Int32: Ptrace.RseqConfiguration?] = [:]
    private let vdsoBytes = UInt64(max(Host.vdso().count, 4096))

    /// Calls that end with EINTR when a task is stopped, though no handler ran: signal(7), "interruption by stop signals".
    /// epoll_wait, semop, semtimedop, rt_sigtimedwait, io_getevents, epoll_pwait, epoll_pwait2; with a receive timeout
    /// accept, recvfrom, recvmsg, accept4, recvmmsg; with a send timeout sendto, sendmsg, sendmmsg.
    private static let interruptible: Set<UInt64> = [
        232, 65, 220, 128, 208, 281, 441, 43, 45, 47, 288, 299, 44, 46, 307,
    ]

    /// Those that wait with a mask of their own, which the kernel does not show.
    private static let masking: Set<UInt64> = [281, 441]

    /// Whether the task stands in the vDSO. Its code reads clock data in several steps, and another kernel's has other
    /// addresses: the task must go on until it is out.
    mutating func isInVdso(_ registers: Registers, of process: Int32) -> Bool {
        let range: Range<UInt64>
        if let known = vdsos[process] {
            range = known
        } else {
            // AT_SYSINFO_EHDR
            let start = (try? Procfs.auxiliaryVector(process))?[33] ?? 0
            range = start..<(start + (start == 0 ? 0 : vdsoBytes))
            vdsos[process] = range
        }
        return range.contains(registers.rip)
    }

    /// Rewinds a call that ended for our stop alone, and aborts a restartable sequence.
    ///
    /// - Returns: The task's registers as they are now.
    mutating func settle(
        _ task: Int32, of process: Int32, _ registers: Registers
    ) throws(LinuxError) -> Registers {
        var settled = registers
        if registers.rax == UInt64(bitPattern: -4), Self.interruptible.contains(registers.origRax),
            try !Self.isSignalDue(task, anySignal: Self.masking.contains(registers.origRax))
        {
            settled.rax = registers.origRax
            settled.rip -= 2
            settled.origRax = .max
        }
        // Whoever is in a system call is in no sequence.
        let isOutside = Int64(bitPattern: registers.origRax) >= 0
        let abort = isOutside ? nil : try abortAddress(task, of: process, registers.rip)
        if let abort { settled.rip = abort.address }
        if settled != registers { try Ptrace.setRegisters(task, settled) }
        if let abort { try? RemoteMemory.write(task, at: abort.place, [UInt8](repeating: 0, count: 8)) }
        return settled
    }

    private static func isSignalDue(_ task: Int32, anySignal: Bool) throws(LinuxError) -> Bool {
        let blocked = anySignal ? 0 : try Ptrace.signalMask(task)
        for shared in [false, true] {
            for siginfo in try Ptrace.pendingSiginfo(task, shared: shared) {
                let signal = siginfo.half(at: 0)
                if signal >= 1, signal <= 64, blocked >> UInt64(signal - 1) & 1 == 0 { return true }
            }
        }
        return false
    }

    // MARK: rseq

    /// What the kernel says of a stopped task's registration; `nil` when it cannot tell.
    mutating func rseq(of task: Int32) throws(EngineError) -> Ptrace.RseqConfiguration? {
        do throws(LinuxError) {
            return try configuration(of: task)
        } catch {
            throw .system(error, task: task, doing: "read the rseq registration")
        }
    }

    private mutating func configuration(of task: Int32) throws(LinuxError) -> Ptrace.RseqConfiguration? {
        if let known = configurations[task] { return known }
        let found = try Ptrace.rseqConfiguration(task)
        configurations[task] = .some(found)
        return found
    }

    /// Where the tasks of a process have their area on kernels that do not tell, relative to the thread pointer.
    mutating func rseqOffset(of process: Int32) -> Int64? {
        if let known = rseqOffsets[process] { return known }
        let offset = RseqGuess.offset(process)
        rseqOffsets[process] = .some(offset)
        return offset
    }

    /// Remembers an offset that was found by searching.
    mutating func learn(_ offset: Int64, of process: Int32) { rseqOffsets[process] = .some(offset) }

    /// Where the kernel sends a task that was preempted inside a restartable sequence.
    ///
    /// The stop has preempted it, but the kernel looks only when the task returns to its own code, with the registers of
    /// a remote call by then.
    private mutating func abortAddress(
        _ task: Int32, of process: Int32, _ address: UInt64
    ) throws(LinuxError) -> (address: UInt64, place: UInt64)? {
        let area: UInt64
        if let known = try configuration(of: task) {
            area = known.address
        } else {
            guard let offset = rseqOffset(of: process) else { return nil }
            area = try Ptrace.registers(task).fsBase &+ UInt64(bitPattern: offset)
        }
        guard area != 0, area < 1 << 56, let pointer = try? RemoteMemory.read(task, at: area + 8, count: 8) else {
            return nil
        }
        let descriptor = pointer.word(at: 0)
        guard descriptor != 0, let bytes = try? RemoteMemory.read(task, at: descriptor, count: 32) else { return nil }
        return Self.abortAddress(descriptor: bytes, address).map { ($0, area + 8) }
    }

    /// `abort_ip` of a `struct rseq_cs` when `address` lies in its sequence.
    static func abortAddress(descriptor: [UInt8], _ address: UInt64) -> UInt64? {
        let start = descriptor.word(at: 8)
        let length = descriptor.word(at: 16)
        return address &- start < length ? descriptor.word(at: 24) : nil
    }
}
