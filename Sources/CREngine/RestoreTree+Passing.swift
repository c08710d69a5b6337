internal import CRImage
internal import LinuxKit

/// Tasks that are there for a moment only.
extension RestoreTree {
    /// Runs `body` while a task exists that is gone, and reaped, afterwards.
    ///
    /// - Parameters:
    ///   - wanted: Its PID where that is free; 0 for any.
    ///   - status: How it ends, in the form of wait4(2).
    ///   - body: Gets the task's ID as the engine sees it.
    func withPassingTask(
        _ wanted: Int32, endingWith status: Int32, _ body: (Int32) throws(EngineError) -> Void
    ) throws(EngineError) {
        let root = try process(contents.header.root)
        for pid in freeNumbers(wanted) {
            let task: RestoreStub
            do {
                // CLONE_VM, CLONE_FS, CLONE_FILES: it costs nothing, and takes nothing with it.
                task = try fork(root, child: pid, flags: 0x700, exitSignal: 0)
            } catch .busy {
                continue
            }
            holders[pid] = task
            try body(task.outer)
            holders[pid] = nil
            // Only what wait4(2) can have said ends a task.
            try end(task, status: status & 0x7f == 0x7f ? 0 : status)
            // __WALL
            try root.call(.wait4, [UInt64(pid), 0, 0x4000_0000, 0], doing: "reap a passing child")
            return
        }
        throw .busy("no PID is free", task: nil, next: "end some tasks and repeat")
    }

    /// PIDs that the image leaves free, `wanted` first; whether they are free here shows when one is taken.
    func freeNumbers(_ wanted: Int32 = 0) -> [Int32] {
        let taken = Set(
            contents.processes.flatMap { [$0.pid, $0.processGroup, $0.session] } + contents.tasks.map(\.tid))
        let candidates = (300..<32768).lazy.filter { !taken.contains($0) }.prefix(1000)
        return (wanted > 0 && !taken.contains(wanted) ? [wanted] : []) + candidates
    }
}
