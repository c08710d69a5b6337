public import CRModel

/// Looks at a real machine, with nothing installed on it and without changing anything.
public enum MachineProbe {
    /// Options of the kernel's build that dump, restore or a container depend on.
    static let options = [
        "CHECKPOINT_RESTORE", "MEM_SOFT_DIRTY", "USERFAULTFD", "IO_URING", "RSEQ", "TIME_NS", "USER_NS", "PID_NS",
        "NET_NS",
        "SECCOMP_FILTER", "UNIX_DIAG", "INET_DIAG", "PACKET_DIAG", "NETLINK_DIAG", "FHANDLE", "EPOLL", "INOTIFY_USER",
        "FANOTIFY", "AIO", "SYSVIPC", "POSIX_MQUEUE", "BPF_SYSCALL", "X86_USER_SHADOW_STACK", "X86_X32_ABI",
        "IA32_EMULATION", "LEGACY_VSYSCALL_NONE", "LEGACY_VSYSCALL_XONLY", "TRANSPARENT_HUGEPAGE_ALWAYS",
        "TRANSPARENT_HUGEPAGE_MADVISE", "HZ", "PREEMPT_DYNAMIC", "CGROUPS", "MEMCG", "OVERLAY_FS", "MODULE_SIG_FORCE",
        "STRICT_DEVMEM", "X86_5LEVEL", "ADDRESS_MASKING", "NR_CPUS",
    ]

    /// Settings that a lab's host can be given too.
    static let settings = [
        "kernel.pid_max", "kernel.randomize_va_space", "kernel.yama.ptrace_scope", "kernel.unprivileged_userns_clone",
        "kernel.io_uring_disabled", "fs.pipe-max-size", "fs.nr_open", "vm.max_map_count", "vm.overcommit_memory",
        "vm.mmap_min_addr", "vm.legacy_va_layout", "vm.unprivileged_userfaultfd",
    ]

    /// - Parameter runtimes: Runtime to version, as the caller found them.
    public static func fingerprint(runtimes: [String: String]) -> MachineFingerprint {
        let state = (2..<UInt32(63)).compactMap { number -> MachineFingerprint.State? in
            guard CPUID.xcr0 >> UInt64(number) & 1 != 0, let place = CPUID.component(number) else { return nil }
            return .init(component: Int(number), offset: place.offset, bytes: place.sizeBytes)
        }
        let groups = cgroups()
        return MachineFingerprint(
            host: Host.fingerprint(runtimes: runtimes), cpuid: CPUID.leaves, state: state,
            kernelConfiguration: configuration(release: Host.kernelName().release),
            sysctl: Dictionary(
                uniqueKeysWithValues: settings.compactMap { name in Sysctl.value(name).map { (name, $0) } }),
            cgroups: groups.version, cgroupControllers: groups.controllers,
            securityModules: text("/sys/kernel/security/lsm").split { $0 == "," || $0 == "\n" }.map(String.init))
    }

    /// The kernel's configuration as distributions install it. `/proc/config.gz` would need an unpacker.
    private static func configuration(release: String) -> [String: String] {
        for path in [
            "/boot/config-\(release)", "/usr/lib/modules/\(release)/config", "/lib/modules/\(release)/config",
            "/lib/modules/\(release)/build/.config",
        ] {
            let found = values(in: text(path))
            if !found.isEmpty { return found }
        }
        return [:]
    }

    /// Options and their values in the text of a kernel's `.config`; one that is not set is `n`.
    static func values(in text: String) -> [String: String] {
        guard text.contains("CONFIG_") else { return [:] }
        var found = Dictionary(uniqueKeysWithValues: options.map { ($0, "n") })
        for line in text.split(separator: "\n") where line.hasPrefix("CONFIG_") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let name = String(line[..<equals].dropFirst("CONFIG_".count))
            if found[name] != nil { found[name] = String(line[line.index(after: equals)...]) }
        }
        return found
    }

    private static func cgroups() -> (version: String, controllers: [String]) {
        let own = text("/proc/self/cgroup").split(separator: "\n")
        let hasUnified = own.contains { $0.hasPrefix("0::") }
        let others = own.filter { !$0.hasPrefix("0::") }.flatMap { line in
            line.split(separator: ":", omittingEmptySubsequences: false).dropFirst().prefix(1)
                .flatMap { $0.split(separator: ",") }.map(String.init)
        }
        let unified = text("/sys/fs/cgroup/cgroup.controllers").split { $0 == " " || $0 == "\n" }.map(String.init)
        let controllers = Set(unified + others.filter { !$0.hasPrefix("name=") }).sorted()
        if others.isEmpty { return (hasUnified ? "v2" : "", controllers) }
        return (hasUnified && !unified.isEmpty ? "mixed" : "v1", controllers)
    }

    private static func text(_ path: String) -> String { (try? Files.text(of: path)) ?? "" }
}
