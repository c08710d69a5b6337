internal import LinuxKit

/// Makes the registers of a task that was taken out of a system call fit for another kernel.
///
/// The kernel that interrupted the call would start it again; the kernel that restores knows nothing of it. So the image
/// holds registers that are ready to run the `syscall` instruction once more, with the arguments that still stand in the
/// registers. A relative timeout starts again from its beginning.
enum InterruptedCall {
    /// The calls for which the kernel uses ERESTART_RESTARTBLOCK: poll, nanosleep, futex, clock_nanosleep.
    private static let resumable: Set<UInt64> = [7, 35, 202, 230]
    private static let restartSystemCall: UInt64 = 219

    /// - Parameters:
    ///   - isSignalDue: A signal is pending that the task does not block. Then the kernel that restores sees the signal
    ///     and the restart code together and does what it would have done here: restart, or EINTR.
    ///   - codeBefore: Gives the 64 bytes before an address.
    static func settle(
        _ registers: Registers, isSignalDue: Bool, codeBefore: (UInt64) -> [UInt8]?,
        memory: (UInt64) -> [UInt8]? = { _ in nil }
    ) -> Registers {
        guard registers.interruptedCall != nil, let code = RestartCode(rawValue: Int64(bitPattern: registers.rax))
        else {
            return registers
        }
        var settled = registers
        var call = registers.origRax
        if call == restartSystemCall {
            // Interrupted for the second time: the number of the call itself is gone from the registers.
            guard let number = number(registers, codeBefore, memory) else {
                settled.rax = UInt64(bitPattern: -4)  // EINTR
                settled.origRax = UInt64.max
                return settled
            }
            call = number
        }
        if isSignalDue {
            settled.origRax = call
            // restart_block stays behind in the source's kernel; without a handler the call is made again.
            if code == .restartBlock { settled.rax = UInt64(bitPattern: RestartCode.restartUnlessHandled.rawValue) }
            return settled
        }
        settled.rax = call
        settled.rip -= 2
        settled.origRax = UInt64.max
        return settled
    }

    /// A sleep whose remaining time the kernel has written where the task asked for it: nanosleep and a relative
    /// clock_nanosleep with a place for it. An absolute one starts again as it was.
    ///
    /// - Returns: Registers that keep the restart code, with the number of the call itself, and the time that is left.
    static func sleep(
        _ registers: Registers, _ codeBefore: (UInt64) -> [UInt8]?, memory: (UInt64) -> [UInt8]?
    ) -> (registers: Registers, nanoseconds: UInt64)? {
        guard let kept = kept(registers, codeBefore, memory) else { return nil }
        let place: UInt64
        switch kept.origRax {
        case 35: place = registers.rsi
        case 230 where registers.rsi & 1 == 0: place = registers.r10
        default: return nil
        }
        guard place != 0, let bytes = memory(place) else { return nil }
        let (seconds, nanoseconds) = (bytes.word(at: 0), bytes.word(at: 8))
        guard seconds < 1 << 32, nanoseconds < 1_000_000_000, seconds + nanoseconds > 0 else { return nil }
        return (kept, seconds * 1_000_000_000 + nanoseconds)
    }

    /// The registers of a call that has a restart block, with its own number; `nil` for another one.
    static func kept(
        _ registers: Registers, _ codeBefore: (UInt64) -> [UInt8]?, _ memory: (UInt64) -> [UInt8]?
    ) -> Registers? {
        guard registers.interruptedCall != nil,
            RestartCode(rawValue: Int64(bitPattern: registers.rax)) == .restartBlock
        else { return nil }
        var kept = registers
        if kept.origRax == restartSystemCall {
            guard let number = number(registers, codeBefore, memory) else { return nil }
            kept.origRax = number
        }
        return kept
    }

    /// Looks for `mov $number, %eax` before the `syscall` instruction, and checks that the arguments fit.
    ///
    /// - Parameter memory: Gives 16 bytes of the task, for code that takes the number out of a register: libc's syscall(2).
    private static func number(
        _ registers: Registers, _ codeBefore: (UInt64) -> [UInt8]?, _ memory: (UInt64) -> [UInt8]?
    ) -> UInt64? {
        if let code = codeBefore(registers.rip - 2) {
            var index = code.count - 5
            while index >= 0 {
                if code[index] == 0xb8, code[index + 2] == 0, code[index + 3] == 0, code[index + 4] == 0,
                    resumable.contains(UInt64(code[index + 1]))
                {
                    return UInt64(code[index + 1])
                }
                index -= 1
            }
        }
        // clock_nanosleep has a small clock number where nanosleep has an address.
        if registers.rdi < 16, registers.rdx > 4096 { return 230 }
        func isTime(_ address: UInt64) -> Bool {
            guard address > 4096, let bytes = memory(address) else { return false }
            return bytes.word(at: 0) < 1 << 40 && bytes.word(at: 8) < 1_000_000_000
        }
        // FUTEX_WAIT or FUTEX_WAIT_BITSET with their flags, on a word that still is what the task saw.
        let operation = registers.rsi & 0x7f
        if registers.rsi < 512, operation == 0 || operation == 9, isTime(registers.r10),
            memory(registers.rdi)?.half(at: 0) == UInt32(truncatingIfNeeded: registers.rdx)
        {
            return 202
        }
        if registers.rsi == 0 || registers.rsi > 1 << 24, isTime(registers.rdi) { return 35 }
        if registers.rsi <= 1 << 24, Int32(truncatingIfNeeded: registers.rdx) > 0 { return 7 }
        return nil
    }
}
