internal import CRImage
internal import LinuxKit

/// What a dump refuses before it asks the tasks anything: a remote call in such a task could harm it.
extension DumpCollector {
    private static let namespaces = ["user", "mnt", "net", "ipc", "uts", "time", "cgroup", "pid"]

    func checkSupported() throws(EngineError) {
        guard let root = tree.processes.first else { return }
        let own = Int32(Kernel.attempt(.getpid))
        let expected = links(root.pid)
        if let engine = links(own)["user"], let workload = expected["user"], engine != workload {
            throw refuse(root.pid, "namespace \(workload)", "it runs in a user namespace of its own")
        }
        let mine = links(own)
        // A time namespace is carried as what it adds to the clocks.
        for name in ["net", "ipc", "uts", "cgroup"] where mine[name] != expected[name] {
            throw refuse(
                root.pid, "namespace \(expected[name] ?? name)", "it is not the engine's own, and is not carried")
        }
        for process in tree.processes where !process.isZombie {
            for task in process.tasks {
                let status = try status(of: task)
                try admitSeccomp(task, status)
                if Ptrace.debugControl(task) & 0xff != 0 {
                    throw refuse(task, "hardware breakpoint", "debug registers are not carried")
                }
                let registers = try EngineError.wrap("read the registers", task: task) { () throws(LinuxError) in
                    try Ptrace.registers(task)
                }
                if !registers.is64Bit {
                    throw refuse(task, "code segment 0x\(String(registers.cs, radix: 16))", "it runs 32-bit code")
                }
                if task != process.pid { try checkTables(of: task, in: process.pid) }
            }
            let found = links(process.pid)
            for name in Self.namespaces where found[name] != expected[name] {
                throw refuse(
                    process.pid, "namespace \(found[name] ?? name)", "it is in another namespace than the root process")
            }
            // The link cannot be read while the namespace for the children has no process yet.
            let children = try? Files.link("/proc/\(process.pid)/ns/pid_for_children")
            if children != found["pid"] {
                throw refuse(
                    process.pid, "namespace \(children ?? "pid_for_children")",
                    "its children go to another PID namespace")
            }
            if let children = try? Files.link("/proc/\(process.pid)/ns/time_for_children"), children != found["time"] {
                throw refuse(process.pid, "namespace \(children)", "its children go to another time namespace")
            }
        }
    }

    /// The descriptors of a thread's own table can only be fetched through a pidfd of the thread.
    private func checkTables(of task: Int32, in process: Int32) throws(EngineError) {
        let same = try EngineError.wrap("compare with task \(task)", task: task) { () throws(LinuxError) in
            try Kcmp.same(.files, process, task)
        }
        if same { return }
        do throws(LinuxError) {
            Files.close(try Pidfd.open(task))
        } catch {
            throw refuse(
                task, "descriptor table",
                "this thread does not share it with its process, and only kernels since 6.9 let others look into it")
        }
    }

    private func links(_ pid: Int32) -> [String: String] {
        var links: [String: String] = [:]
        for name in Self.namespaces {
            if let link = try? Files.link("/proc/\(pid)/ns/\(name)") { links[name] = link }
        }
        return links
    }
}
