internal import CRImage
internal import LinuxKit

/// What a dump refuses before it asks the tasks anything: a remote call in such a task could harm it.
extension DumpCollector {
    func checkSupported() throws(EngineError) {
        for process in tree.processes where !process.isZombie {
            if process.leaderHasEnded { try checkLeaderless(process) }
            for task in process.tasks {
                let status = try status(of: task)
                try admitSeccomp(task, status)
                if Ptrace.debugControl(task) & 0xff != 0 {
                    throw refuse(task, "hardware breakpoint", "debug registers are not carried")
                }
                let registers = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
                    if let known = tree.registers[task] { return known }
                    return try Ptrace.registers(task)
                }
                if !registers.is64Bit {
                    throw refuse(task, "code segment 0x\(String(registers.cs, radix: 16))", "it runs 32-bit code")
                }
                if task != process.subject { try checkTables(of: task, in: process.subject) }
            }
        }
    }

    /// What has to be asked of another task when the first one has ended.
    private func checkLeaderless(_ process: FrozenTree.Process) throws(EngineError) {
        do throws(LinuxError) {
            Files.close(try Pidfd.open(process.subject))
        } catch {
            throw refuse(
                process.pid, "process \(process.pid)",
                "its first thread has ended, and only kernels since 6.9 let others look into the descriptors of the rest"
            )
        }
    }

    /// The descriptors of a thread's own table can only be fetched through a pidfd of the thread.
    private func checkTables(of task: Int32, in process: Int32) throws(EngineError) {
        if ahead[task]?.sharesFiles == true { return }
        let same = try EngineError.wrap("compare with task \(task)", task: task) { () throws(LinuxError) in
            try Kcmp.same(.files, process, task)
        }
        if same { return }
        partedTables.insert(task)
        do throws(LinuxError) {
            Files.close(try Pidfd.open(task))
        } catch {
            throw refuse(
                task, "descriptor table",
                "this thread does not share it with its process, and only kernels since 6.9 let others look into it")
        }
    }
}
