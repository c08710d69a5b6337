internal import CRImage
internal import LinuxKit

/// Puts the tasks of a process under seccomp again.
///
/// PTRACE_O_SUSPEND_SECCOMP keeps filters away from the engine's own last calls; the kernel drops it when it detaches.
/// Filters that all threads have in common are installed once for all of them, so that a later filter with
/// SECCOMP_FILTER_FLAG_TSYNC finds one chain, as it did before.
struct RestoreSeccomp {
    private static let log: UInt64 = 2
    private static let synchronize: UInt64 = 1
    /// The kernel's default would change speculation control, which is set by itself.
    private static let speculate: UInt64 = 4

    let stubs: [RestoreStub]
    let states: [TaskStateValue]
    let filters: [UInt64: SeccompFilterRecord]
    /// The first task, where it is about to end: it gets what is installed for all.
    private let bystander: RestoreStub?

    /// - Parameter tasks: Stubs and records of the live tasks of one process.
    init(
        _ tasks: [(stub: RestoreStub, record: TaskRecord)], _ contents: ImageContents, beside: RestoreStub? = nil
    ) {
        stubs = tasks.map(\.stub)
        bystander = beside
        states = tasks.map(\.record.state)
        filters = Dictionary(
            contents.seccompFilters.map { (UInt64($0.number), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// - Precondition: The stubs still have CAP_SYS_ADMIN: a task without it may have been put under filters by one.
    func install() throws(EngineError) {
        guard states.contains(where: { $0.seccompMode != 0 }), let leader = stubs.first else { return }
        for stub in stubs + (bystander.map { [$0] } ?? []) {
            try stub.stand()
            try EngineError.wrap("suspend seccomp, which takes CAP_SYS_ADMIN", task: stub.tid) {
                () throws(LinuxError) in
                try Ptrace.setOptions(stub.outer, RestoreTree.options.union(.suspendSeccomp))
            }
        }
        let bytes = UInt64(40960)
        // PROT_READ|PROT_WRITE; MAP_PRIVATE|MAP_ANONYMOUS
        let room = try leader.call(.mmap, [0, bytes, 3, 0x22, .max, 0], doing: "make room for a seccomp filter")
        let common = Self.common(states.map(\.seccompFilters))
        for number in common {
            try install(number, in: leader, room, flags: stubs.count > 1 ? Self.synchronize : 0)
        }
        for (stub, state) in zip(stubs, states) {
            for number in state.seccompFilters.dropFirst(common.count) { try install(number, in: stub, room, flags: 0) }
            // PR_SET_SECCOMP, SECCOMP_MODE_STRICT
            if state.seccompMode == 1 { try stub.call(.prctl, [22, 1, 0, 0, 0], doing: "enter seccomp strict mode") }
        }
        try leader.call(.munmap, [room, bytes], doing: "give back the room of a seccomp filter")
    }

    /// The filters with which all lists begin.
    static func common(_ lists: [[UInt64]]) -> ArraySlice<UInt64> {
        guard let first = lists.first else { return [] }
        var count = first.count
        for list in lists {
            count = min(count, list.count)
            while count > 0, list[..<count] != first[..<count] { count -= 1 }
        }
        return first[..<count]
    }

    private func install(
        _ number: UInt64, in stub: RestoreStub, _ room: UInt64, flags: UInt64
    ) throws(EngineError) {
        guard let filter = filters[number] else { throw .image("seccomp filter \(number)", why: "it is missing") }
        // struct sock_fprog, then the program.
        try stub.remote.write(words: [UInt64(filter.program.count / 8), room + 64], at: room)
        try stub.remote.write(filter.program, at: room + 64)
        let wanted = flags | (filter.isLogged ? Self.log : 0)
        // SECCOMP_SET_MODE_FILTER; kernels before 4.17 know no SPEC_ALLOW.
        if try stub.attempt(.seccomp, [1, wanted | Self.speculate, room]) == nil { return }
        try stub.call(.seccomp, [1, wanted, room], doing: "install a seccomp filter")
    }
}
