/// What this kernel does, found by trying.
public enum KernelProbe {
    /// Probe name to `ok`, the errno's name, or a value.
    ///
    /// Every probe is harmless and undone at once. Two kernels with equal answers can do the same for the engine.
    public static func all() -> [String: String] {
        var answers: [String: String] = [:]
        answers["clone3-set-tid"] = cloneSetTid()
        answers["pidfd-getfd"] = pidfdGetfd()
        answers["kcmp"] = word(Kernel.attempt(.kcmp, own, own, 1, 0, 0))
        answers["rseq-configuration"] = traced { task in
            do throws(LinuxError) {
                return try Ptrace.rseqConfiguration(task) == nil ? "EIO" : "ok"
            } catch {
                return error.errno.map { "\($0)" } ?? "failed"
            }
        }
        answers["pagemap-scan"] = pagemapScan()
        answers["time-namespace"] = present("/proc/self/ns/time")
        answers["proc-timers"] = present("/proc/self/timers")
        answers["proc-children"] = present("/proc/self/task/\(ownPid)/children")
        answers["map-files"] = mapFiles()
        answers["userfaultfd"] = made(Kernel.attempt(.userfaultfd, 0o2004000))
        answers["memfd-create"] = made(Files.withPath("probe") { Kernel.attempt(.memfd_create, $0, 1) })
        answers["memfd-noexec-seal"] = made(Files.withPath("probe") { Kernel.attempt(.memfd_create, $0, 9) })
        // EINVAL to a null pointer argument of size 0 means that the call exists.
        answers["clone3"] = exists(Kernel.attempt(.clone3, 0, 0))
        answers["openat2"] = exists(Kernel.attempt(.openat2, Kernel.number(Int32(-100)), 0, 0, 0))
        answers["close-range"] = exists(Kernel.attempt(.close_range, 2_000_000_000, 1_999_999_999, 0))
        answers["mseal"] = exists(Kernel.attempt(.mseal, 0, 0, 0))
        answers["map-shadow-stack"] = exists(Kernel.attempt(.map_shadow_stack, 0, 0, 0xffff))
        answers["cachestat"] = exists(Kernel.attempt(.cachestat, Kernel.number(Int32(-1)), 0, 0, 0))
        answers["process-madvise"] = exists(Kernel.attempt(.process_madvise, Kernel.number(Int32(-1)), 0, 0, 0, 0))
        answers["epoll-pwait2"] = exists(Kernel.attempt(.epoll_pwait2, Kernel.number(Int32(-1)), 0, 0, 0, 0))
        answers["io-uring"] = exists(Kernel.attempt(.io_uring_setup, 0, 0))
        answers["membarrier"] = word(Kernel.attempt(.membarrier, 0, 0))
        answers["set-mm-map"] = setMMMap()
        answers["tid-address"] = tidAddress()
        answers["capability-sys-resource"] = capabilitySysResource()
        return answers
    }

    private static var ownPid: Int32 { Int32(Kernel.attempt(.getpid)) }
    private static var own: UInt64 { Kernel.number(ownPid) }

    private static func word(_ answer: Int64) -> String { Kernel.errno(of: answer).map { "\($0)" } ?? "ok" }

    private static func exists(_ answer: Int64) -> String {
        Kernel.errno(of: answer) == .notImplemented ? "ENOSYS" : "ok"
    }

    private static func made(_ answer: Int64) -> String {
        if Kernel.errno(of: answer) == nil { Files.close(Int32(answer)) }
        return word(answer)
    }

    private static func present(_ path: String) -> String {
        do throws(LinuxError) {
            _ = try Files.status(of: path)
            return "ok"
        } catch {
            return error.errno.map { "\($0)" } ?? "failed"
        }
    }

    /// Runs `body` with a stopped task of our own.
    private static func traced(_ body: (Int32) -> String) -> String {
        do throws(LinuxError) {
            let process = try Spawn.pausedTask()
            defer {
                try? Signals.send(Signals.kill, to: process.pid)
                _ = Kernel.attempt(.wait4, Kernel.number(process.pid), 0, 0x4000_0000, 0)
                Files.close(process.pidfd)
            }
            try Ptrace.seize(process.pid, [])
            try Ptrace.interrupt(process.pid)
            let mask = try Signals.block([Signals.child])
            defer { try? Signals.setMask(mask) }
            _ = try Wait.wait(for: process.pid, deadline: Deadline(seconds: 5))
            return body(process.pid)
        } catch {
            return error.errno.map { "\($0)" } ?? "failed"
        }
    }

    private static func cloneSetTid() -> String {
        // A free PID near the top; whoever takes it first makes this EEXIST, so a few are tried.
        var last = "failed"
        for offset in 0..<8 {
            do throws(LinuxError) {
                let process = try Spawn.pausedTask(pids: [30000 + Int32(offset) * 331])
                try? Signals.send(Signals.kill, to: process.pid)
                _ = Kernel.attempt(.wait4, Kernel.number(process.pid), 0, 0x4000_0000, 0)
                Files.close(process.pidfd)
                return "ok"
            } catch {
                last = error.errno.map { "\($0)" } ?? "failed"
                if error.errno != .exists { return last }
            }
        }
        return last
    }

    private static func pidfdGetfd() -> String {
        do throws(LinuxError) {
            let pidfd = try Pidfd.open(ownPid)
            defer { Files.close(pidfd) }
            Files.close(try Pidfd.descriptor(pidfd, pidfd))
            return "ok"
        } catch {
            return error.errno.map { "\($0)" } ?? "failed"
        }
    }

    private static func pagemapScan() -> String {
        guard let fd = try? Files.open("/proc/self/pagemap", .readOnly) else { return "ENOENT" }
        defer { Files.close(fd) }
        // struct pm_scan_arg, 96 bytes, with an empty range: succeeds where the ioctl exists.
        var argument = [UInt64](repeating: 0, count: 12)
        argument[0] = 96
        // SAFETY: the kernel reads 96 bytes and writes walk_end into them.
        let answer = argument.withUnsafeMutableBytes {
            Kernel.attempt(.ioctl, Kernel.number(fd), 0xc060_6610, Kernel.number($0.baseAddress))
        }
        return word(answer)
    }

    private static func mapFiles() -> String {
        guard let mappings = try? Procfs.mappingsWithoutFlags(ownPid),
            let mapping = mappings.first(where: { $0.inode != 0 })
        else { return "ENOENT" }
        let name = String(mapping.start, radix: 16) + "-" + String(mapping.end, radix: 16)
        do throws(LinuxError) {
            _ = try Files.status(of: "/proc/self/map_files/\(name)")
            return "ok"
        } catch {
            return error.errno.map { "\($0)" } ?? "failed"
        }
    }

    private static func setMMMap() -> String {
        var size: UInt32 = 0
        // SAFETY: PR_SET_MM_MAP_SIZE writes one unsigned int.
        let answer = withUnsafeMutablePointer(to: &size) {
            Kernel.attempt(.prctl, 35, 15, Kernel.number(UnsafeRawPointer($0)))
        }
        return word(answer)
    }

    private static func tidAddress() -> String {
        var address: UInt64 = 0
        // SAFETY: PR_GET_TID_ADDRESS writes one pointer.
        let answer = withUnsafeMutablePointer(to: &address) {
            Kernel.attempt(.prctl, 40, Kernel.number(UnsafeRawPointer($0)))
        }
        return word(answer)
    }

    private static func capabilitySysResource() -> String {
        guard let status = try? Procfs.status(ownPid) else { return "failed" }
        return status.capabilitiesEffective >> 24 & 1 != 0 ? "ok" : "EPERM"
    }
}
