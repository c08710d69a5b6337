internal import CRImage
internal import LinuxKit

/// Lets a task go on with a sleep that had begun before the dump, for the time that was left of it.
///
/// The kernel keeps that time in a place that nobody can write. So the task begins the call once more, with the time that
/// is left, and is interrupted in it at once: then it stands as it stood when it was dumped.
struct RestoreSleep {
    static let poll: UInt64 = 7
    static let nanosleep: UInt64 = 35
    static let futex: UInt64 = 202
    static let clockNanosleep: UInt64 = 230

    let stub: RestoreStub
    let record: TaskRecord

    /// - Precondition: Nothing but ``RemoteTask/park()`` follows in this task.
    func begin() throws(EngineError) {
        guard record.state.sleepNanoseconds != 0, let registers = Registers(words: record.registers),
            RestartCode(rawValue: Int64(bitPattern: registers.rax)) == .restartBlock
        else { return }
        var rewound = registers
        rewound.rip &-= 2
        rewound.rax = registers.origRax
        rewound.origRax = .max
        // Whatever goes wrong: the call starts again from its beginning.
        stub.remote.original = rewound
        let code = try? RemoteMemory.read(stub.outer, at: rewound.rip, count: 2)
        guard code == RemoteInstruction.systemCall else { return }
        // Below the red zone nothing is kept: a signal handler would write there.
        let place = (registers.rsp &- 512) & ~15
        let needsMemory = registers.origRax != Self.poll
        var before: [UInt8] = []
        if needsMemory {
            guard let bytes = try? RemoteMemory.read(stub.outer, at: place, count: 16) else { return }
            before = bytes
            let left = record.state.sleepNanoseconds
            let time = [left / 1_000_000_000, left % 1_000_000_000].littleEndianBytes
            do throws(LinuxError) { try RemoteMemory.write(stub.outer, at: place, time) } catch { return }
        }
        var call = rewound
        switch registers.origRax {
        case Self.poll: call.rdx = min((record.state.sleepNanoseconds + 999_999) / 1_000_000, UInt64(Int32.max))
        case Self.nanosleep: call.rdi = place
        case Self.futex: call.r10 = place
        case Self.clockNanosleep: call.rdx = place
        default: return
        }
        let answer = try stub.remote.begin(call)
        if needsMemory { try stub.remote.write(before, at: place) }
        switch RestartCode(rawValue: answer) {
        case .restartBlock: stub.remote.original = registers
        case nil:
            // It has ended: something was ready, or the time was up.
            var done = registers
            done.rax = UInt64(bitPattern: answer)
            done.origRax = .max
            stub.remote.original = done
        default: break
        }
    }
}
