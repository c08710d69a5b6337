internal import CRImage
internal import LinuxKit

/// What comes between a whole image and the end of the workload.
extension DumpCollector {
    /// Makes every parent of the tree let its children go without a trace, so that no PID stays in use by a zombie that
    /// only the system's first process could reap, and a restore right after the dump finds them all free.
    ///
    /// Errors do not matter: the tree ends anyway, and then somebody else reaps.
    ///
    /// - Precondition: The tree ends with the engine.
    func disownChildren() {
        let parents = Set(tree.processes.map(\.parent))
        for process in tree.processes where !process.isZombie && parents.contains(process.pid) {
            try? disownChildren(of: process.subject)
        }
    }

    private func disownChildren(of pid: Int32) throws(EngineError) {
        let mappings = try EngineError.wrap("read the mappings", task: pid) { () throws(LinuxError) in
            try Procfs.mappingsWithoutFlags(pid)
        }
        let code = mappings.filter { $0.protection.contains(.execute) && $0.name != "[vsyscall]" }
            .sorted { a, b in a.name == "[vdso]" && b.name != "[vdso]" }
            .map { RemoteMemory.Range(start: $0.start, count: Int($0.sizeBytes)) }
        guard let instruction = try RemoteInstruction.findSystemCall(pid, in: code) else { return }
        let remote = try RemoteTask(resting: pid, nil, systemCallAddress: instruction)
        let scratch = try remote.scratch()
        try remote.write(words: [1, 0, 0, 0], at: scratch)  // SIG_IGN
        try remote.call(.rt_sigaction, UInt64(Signals.child), scratch, 0, 8, doing: "ignore SIGCHLD")
        // -1, WNOHANG|__WALL: the zombies that are already there.
        while try remote.attempt(.wait4, [.max, 0, 0x4000_0001, 0]) > 0 {}
    }
}
