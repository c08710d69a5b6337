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

    init(_ entries: ArraySlice<Entry> = []) { self.entries = Array(entries) }

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

    /// Throws for the first call that failed and must not.
    ///
    /// - Returns: The failures of calls that might fail, in words.
    @discardableResult
    func check(_ answers: [Int64], task: Int32) throws(EngineError) -> [String] {
        var failures: [String] = []
        for (entry, answer) in zip(entries, answers) {
            guard let errno = Kernel.errno(of: answer) else { continue }
            guard let doing = entry.doing else {
                failures.append("\(entry.call.name): \(errno)")
                continue
            }
            throw .remote(call: entry.call.name, task: task, errno, doing: doing())
        }
        return failures
    }
}

/// Code that makes the calls of a table one after the other, and the table.
enum RemoteProgram {
    /// Number, six arguments, answer.
    static let entryBytes = 64
    /// What no call answers, in the place of an answer that has not come.
    static let unanswered: UInt64 = 1 << 63 | 0x5eed

    /// rbx: table, r12: calls left; both survive a system call.
    private static let loop: [UInt8] = [
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
    ]

    /// The loop with a trap at its end: for stubs, which end with the engine.
    static let trapping = loop + [0xcc]  // int3

    /// The loop, and behind it the way home for a task without its tracer: rt_sigreturn(2) with the frame in rbp.
    static let homeward =
        loop + [
            0x48, 0x89, 0xec,  // mov rsp, rbp
            0xb8, 0x0f, 0x00, 0x00, 0x00,  // mov eax, 15
            0x0f, 0x05,  // syscall
        ]

    static func table(_ entries: [RemoteBatch.Entry]) -> [UInt64] {
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
