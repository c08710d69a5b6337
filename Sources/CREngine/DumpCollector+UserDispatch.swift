internal import CRImage
internal import LinuxKit

/// Finds tasks whose system calls are dispatched to themselves (PR_SET_SYSCALL_USER_DISPATCH), on kernels that have that and
/// show it to nobody (5.11 to 6.3).
///
/// Where the task's selector forbids calls now, or there is none, the engine's first call comes back as SIGSYS
/// (`RemoteTask.deferSignal`). Where it allows them nothing happens, but that the kernel reads it at each call. So all
/// pages are taken for unused, the task makes a call that uses no memory, and what was used then only the kernel can
/// have used.
extension DumpCollector {
    /// Who does not catch SIGSYS would end with the first call that is dispatched.
    func suspectsDispatch(_ remote: RemoteTask, _ process: FrozenTree.Process) -> Bool {
        remote.hidesDispatch && process.status.caughtSignals & Signals.mask([Signals.badCall]) != 0
    }

    /// - Parameter rseq: The task's registration: the kernel writes there whenever the task goes on.
    func refuseHiddenDispatch(
        _ remote: RemoteTask, _ process: FrozenTree.Process, _ rseq: RseqValue
    ) throws(EngineError) {
        guard suspectsDispatch(remote, process) else { return }
        let registration = [rseq.address, UInt64(rseq.sizeBytes), 0, UInt64(rseq.signature)]
        // RSEQ_FLAG_UNREGISTER
        if rseq.address != 0 {
            try remote.call(
                .rseq, registration[0], registration[1], 1, registration[3], doing: "suspend its restartable sequences")
        }
        var failure: EngineError?
        var isDispatched = false
        do throws(EngineError) {
            isDispatched = try readsSelector(remote, process.subject)
        } catch {
            failure = error
        }
        if rseq.address != 0, let errno = Kernel.errno(of: try remote.attempt(.rseq, registration)) {
            throw .remote(call: "rseq", task: remote.task, errno, doing: "go on with its restartable sequences")
        }
        if let failure { throw failure }
        if isDispatched { throw remote.hiddenDispatch() }
    }

    private func readsSelector(_ remote: RemoteTask, _ process: Int32) throws(EngineError) -> Bool {
        // A call of a page of its own: syscall, and a jump to itself, so that the CPU guesses at no memory behind it.
        // PROT_READ|PROT_WRITE|PROT_EXEC, MAP_PRIVATE|MAP_ANONYMOUS
        let code = try remote.call(.mmap, 0, 4096, 7, 0x22, UInt64.max, 0, doing: "map code")
        try remote.write(RemoteInstruction.systemCall + [0xeb, 0xfe], at: code)
        var failure: EngineError?
        var suspects: Set<UInt64> = []
        do throws(EngineError) {
            suspects = try used(by: remote, process, code: code)
            // What others do to the pages of a file that they share may look alike once.
            for _ in 1..<4 where !suspects.isEmpty {
                suspects.formIntersection(try used(by: remote, process, code: code))
            }
        } catch {
            failure = error
        }
        try remote.call(.munmap, code, 4096, doing: "unmap code")
        if let failure { throw failure }
        return !suspects.isEmpty
    }

    /// Where the mappings start of which the kernel uses a page when the task makes a call.
    ///
    /// - Parameter code: Where it makes it.
    private func used(by remote: RemoteTask, _ process: Int32, code: UInt64) throws(EngineError) -> Set<UInt64> {
        // Unmapping so many pages (more than tlb_single_page_flush_ceiling, 33) makes the CPU forget all that it knows of
        // this memory; else it would not note that a page is used.
        // PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_POPULATE
        let size: UInt64 = 64 * 4096
        let pages = try remote.call(.mmap, 0, size, 3, 0x8022, UInt64.max, 0, doing: "map memory")
        try EngineError.wrap("take all pages for unused", task: process) { () throws(LinuxError) in
            try Procfs.forgetReferences(of: process)
        }
        try remote.call(.munmap, pages, size, doing: "unmap memory")
        let usual = remote.systemCallAddress
        let home = remote.home
        remote.systemCallAddress = code
        remote.home = nil
        defer { (remote.systemCallAddress, remote.home) = (usual, home) }
        _ = try remote.attempt(.getpid, [])
        let mappings = try EngineError.wrap("read which pages were used", task: process) { () throws(LinuxError) in
            try Procfs.mappings(process)
        }
        return Set(
            mappings.lazy.filter {
                $0.isReferenced && !($0.start..<$0.end).contains(code)
                    && ($0.file == nil || $0.protection.contains(.write)) && !$0.name.hasPrefix("[v")
            }.map(\.start))
    }
}

extension RemoteTask {
    func hiddenDispatch() -> EngineError {
        .refused(
            .unsupported(
                task: task, object: "task \(task)",
                "its system calls are dispatched to itself (PR_SET_SYSCALL_USER_DISPATCH), and only kernels since 6.4 tell how"
            ))
    }
}
