internal import LinuxKit

/// System calls to make in a task one after the other.
struct RemoteBatch {
    struct Entry {
        var call: SystemCall
        /// At most six; missing ones are 0.
        var arguments: [UInt64]
        /// What the engine is doing, for an error; `nil` when the call may fail.
        var doing: (() -> String)?
    }

    private(set) var entries: [Entry] = []
    var count: Int { entries.count }

    /// Adds a call that must succeed.
    mutating func add(_ call: SystemCall, _ arguments: UInt64..., doing: @autoclosure @escaping () -> String) {
        entries.append(Entry(call: call, arguments: arguments, doing: doing))
    }

    /// Adds a call that must succeed, with its arguments in an array.
    mutating func add(_ call: SystemCall, _ arguments: [UInt64], doing: @escaping () -> String) {
        entries.append(Entry(call: call, arguments: arguments, doing: doing))
    }

    /// Adds a call that may fail, with its arguments in an array.
    mutating func ask(_ call: SystemCall, _ arguments: [UInt64]) {
        entries.append(Entry(call: call, arguments: arguments, doing: nil))
    }

    /// Adds a call that may fail.
    ///
    /// - Returns: The index of its answer.
    @discardableResult
    mutating func ask(_ call: SystemCall, _ arguments: UInt64...) -> Int {
        entries.append(Entry(call: call, arguments: arguments, doing: nil))
        return entries.count - 1
    }
}

/// Memory of a task in which it makes many calls in one stop: a loop over a table of calls, with a trap at its end.
///
/// The trap is a forced SIGTRAP, which leaves the signal's action alone only while SIGTRAP is neither blocked nor ignored:
/// whoever gives a task a bench has made sure that it does not ignore it and that none is pending.
struct RemoteBench: Hashable {
    /// Address of ``program``, in executable memory.
    var code: UInt64
    /// Address of the table, in writable memory.
    var table: UInt64
    /// Calls that the table holds.
    var capacity: Int

    /// Number, six arguments, answer.
    static let entryBytes = 64

    /// Behind the trap.
    var end: UInt64 { code + UInt64(Self.program.count) }

    /// rbx: table, r12: calls left. Both survive a system call; the engine restores them with the other registers.
    static let program: [UInt8] = [
        0x48, 0x8b, 0x03,  // again: mov rax, [rbx]
        0x48, 0x8b, 0x7b, 0x08,  // mov rdi, [rbx + 8]
        0x48, 0x8b, 0x73, 0x10,  // mov rsi, [rbx + 16]
        0x48, 0x8b, 0x53, 0x18,  // mov rdx, [rbx + 24]
        0x4c, 0x8b, 0x53, 0x20,  // mov r10, [rbx + 32]
        0x4c, 0x8b, 0x43, 0x28,  // mov r8, [rbx + 40]
        0x4c, 0x8b, 0x4b, 0x30,  // mov r9, [rbx + 48]
        0x0f, 0x05,  // syscall
        0x48, 0x89, 0x43, 0x38,  // mov [rbx + 56], rax
        0x48, 0x83, 0xc3, 0x40,  // add rbx, 64
        0x49, 0xff, 0xcc,  // dec r12
        0x75, 0xd6,  // jnz again
        0xcc,  // int3
    ]

    static func table(_ entries: ArraySlice<RemoteBatch.Entry>, unanswered: UInt64 = 0) -> [UInt64] {
        var words: [UInt64] = []
        words.reserveCapacity(entries.count * 8)
        for entry in entries {
            words.append(entry.call.rawValue)
            for index in 0..<6 { words.append(index < entry.arguments.count ? entry.arguments[index] : 0) }
            words.append(unanswered)
        }
        return words
    }
}
