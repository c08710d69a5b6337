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
        _ registers: Registers, isSignalDue: Bool, codeBefore: (UInt64) -> [UInt8]?
    ) -> Registers {
        guard registers.interruptedCall != nil, let code = RestartCode(rawValue: Int64(bitPattern: registers.rax))
        else {
            return registers
        }
        var settled = registers
        var call = registers.origRax
        if call == restartSystemCall {
            // Interrupted for the second time: the number of the call itself is gone from the registers.
            guard let number = number(registers, codeBefore) else {
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
        guard registers.interruptedCall != nil,
            RestartCode(rawValue: Int64(bitPattern: registers.rax)) == .restartBlock
        else { return nil }
        var kept = registers
        if kept.origRax == restartSystemCall {
            guard let number = number(registers, codeBefore) else { return nil }
            kept.origRax = number
        }
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

    /// Looks for `mov $number, %eax` before the `syscall` instruction, and checks that the arguments fit.
    private static func number(_ registers: Registers, _ codeBefore: (UInt64) -> [UInt8]?) -> UInt64? {
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
        return nil
    }
}
