import CRModel

/// CRIU. Source of the texts: strings of Debian's criu 3.17.1 and public issue threads.
extension LogPattern {
    static let criu: [LogPattern] = cpu + kernel + image + spec + files + workload

    private static func line(
        _ name: String, _ needles: [String], _ reason: Reason, _ meaning: String, object: (String, String)? = nil
    ) -> LogPattern {
        LogPattern("criu-\(name)", "criu", needles, reason, meaning, object: object)
    }

    private static let cpu: [LogPattern] = [
        line(
            "cpu-fpu", ["cpu: FPU feature required by image is not supported on host"], .cpuFeaturesRefused,
            "CRIU compared CPUs and refused on @: its floating-point features are fewer"),
        line(
            "cpu-instructions", ["cpu: CPU instruction capabilities do not match run time"], .cpuFeaturesRefused,
            "CRIU compared CPU feature lists and refused on @"),
        line(
            "cpu-all", ["cpu: CPU capabilities do not match run time"], .cpuFeaturesRefused,
            "CRIU compared CPU feature lists and refused on @"),
        line(
            "cpu-xfeatures", ["cpu: CPU xfeatures has unsupported bits"], .cpuXstateMissing,
            "CRIU found state components in the dump that @ has not enabled"),
        line(
            "cpu-xsave-size", ["cpu: CPU xsave", "size mismatch"], .cpuXstateSize,
            "CRIU found another extended-state size on @ than in the dump {}", object: ("size mismatch ", "\n")),
        line(
            "cpu-xsave-area", ["FPU xsave area present, but host cpu doesn't support it"], .cpuXstateMissing,
            "the dump holds extended state (XSAVE), which @ does not have at all"),
        line("cpu-vendor", ["cpu: Unknown cpu vendor"], .cpuVendor, "CRIU does not know the CPU vendor on @"),
        line(
            "cpu-capability-version", ["cpu: Image carries"], .runtimeImageVersion,
            "the CPU record in the image has a format that CRIU on @ does not read"),
        line(
            "cpu-fpu-registers", ["Can't set FPU registers for"], .cpuXstateSize,
            "CRIU could not set the extended state of a task on @"),
    ]

    private static let kernel: [LogPattern] = [
        line(
            "rseq-conf", ["has rseq but kernel lacks get_rseq_conf feature"], .kernelFeatureMissing,
            "the kernel on @ cannot tell a task's rseq configuration"),
        line(
            "suspend-seccomp", ["Kernel doesn't support PTRACE_O_SUSPEND_SECCOMP"], .kernelFeatureMissing,
            "the kernel on @ cannot suspend seccomp (PTRACE_O_SUSPEND_SECCOMP)"),
        line(
            "seccomp-dump", ["Dumping seccomp filters not supported"], .kernelFeatureMissing,
            "the kernel on @ cannot give out seccomp filters"),
        line("timens", ["Time namespaces are not supported"], .kernelFeatureMissing, "@ has no time namespaces"),
        line("uffd", ["UFFD is not supported"], .kernelFeatureMissing, "the kernel on @ has no userfaultfd"),
        line("kcmp", ["System call kcmp is not supported"], .kernelSyscallMissing, "the kernel on @ has no kcmp"),
        line(
            "prctl", ["prctl: ", " is not supported"], .kernelFeatureMissing, "the kernel on @ lacks the prctl {}",
            object: ("prctl: ", " is not")),
        line(
            "sysctl", [" sysctl is inaccessible"], .kernelFeatureMissing, "the kernel on @ lacks the sysctl {}",
            object: ("): ", " sysctl is")),
        line(
            "proc-children", ["Can't open ", "/children on procfs"], .kernelFeatureMissing,
            "the kernel on @ has no children file in /proc (CONFIG_PROC_CHILDREN)"),
        line(
            "map-files", ["/map_files is inaccessible"], .kernelFeatureMissing,
            "the kernel on @ has no map_files in /proc (CONFIG_CHECKPOINT_RESTORE)"),
        line("ifindex", ["IFLA_NEW_IFINDEX isn't supported"], .kernelFeatureMissing, "@ cannot keep interface numbers"),
        line(
            "mremap-special", ["probably lacks the support for mremapping special mappings"], .kernelFeatureMissing,
            "the kernel on @ cannot move its vDSO"),
        line(
            "apparmor-off", ["apparmor LSM specified but apparmor not supported by kernel"], .kernelFeatureMissing,
            "the kernel on @ runs without AppArmor"),
        line("diag", ["Diag module missing"], .kernelFeatureMissing, "the kernel on @ lacks a socket diag module"),
        line(
            "iptables-mark", ["disabled CONFIG_NETFILTER_XT_MARK kernel"], .kernelFeatureMissing,
            "the kernel on @ lacks the netfilter mark match"),
        // Since Linux 6.16 only UNIX sockets answer SO_PASSCRED and SO_PASSSEC (1:16, 1:34).
        line(
            "socket-option", ["sockets: Can't get ", " opt: Operation not supported"], .kernelABIChanged,
            "the kernel on @ no longer answers socket option {}, which CRIU asks of every socket",
            object: ("Can't get ", " opt")),
        line(
            "stat-format", ["stat failed (#fields do not match)"], .kernelABIChanged,
            "/proc/PID/stat on @ has a shape that CRIU does not know"),
        line(
            "maps-format", ["Bad maps format"], .kernelABIChanged,
            "/proc/PID/maps on @ has a shape that CRIU does not know"),
        line(
            "mountinfo-format", ["mountinfo: '"], .kernelABIChanged,
            "/proc/PID/mountinfo on @ has a shape that CRIU does not know"),
        line(
            "mountinfo-parse", ["Failed to parse mountinfo line"], .kernelABIChanged,
            "/proc/PID/mountinfo on @ has a shape that CRIU does not know"),
        line(
            "timer-ids", ["Can't create timers, kernel don't give them consequently"], .kernelABIChanged,
            "the kernel on @ numbers POSIX timers in another way"),
        line(
            "vdso-bounds", ["vdso: Unexpected rt vDSO area bounds"], .kernelABIChanged,
            "the kernel on @ lays out its vDSO in a way that CRIU does not know"),
        line(
            "kerndat", ["kerndat_", " failed when initializing kerndat"], .kernelFeatureMissing,
            "CRIU could not find out about the kernel on @: {} failed", object: ("): ", " failed")),
        line("vdso-map", ["Failed to map vdso"], .kernelVDSO, "CRIU could not map the vDSO on @"),
        line("vdso-area", ["vdso: Can't find vDSO area"], .kernelVDSO, "CRIU could not match the vDSO on @"),
        line("vdso-symbols", ["vdso: ", "vdso symtable"], .kernelVDSO, "CRIU could not read the vDSO's symbols on @"),
        line("vdso-vmas", ["Can't fixup vdso VMAs"], .kernelVDSO, "CRIU could not place the vDSO on @"),
    ]

    private static let image: [LogPattern] = [
        line(
            "image-version", ["Not supported images version"], .runtimeImageVersion,
            "CRIU on @ does not read image version {}", object: ("images version ", "\n")),
        line("image-old", ["Too old image, no longer supported"], .runtimeImageVersion, "the image is too old for @"),
        line(
            "image-old-writer", ["Images corrupted or too old criu was used for dump"], .runtimeImageVersion,
            "CRIU on @ takes the image for one of a too old version"),
        line("image-magic", ["agic doesn't match for"], .runtimeImageVersion, "CRIU on @ does not know the image type"),
        line(
            "helper-missing", ["execvp(\"", "failed: No such file or directory"], .runtimeDependency,
            "the tool {} is not there on @", object: ("execvp(\"", "\"")),
    ]

    private static let spec: [LogPattern] = [
        line(
            "capset", ["Unable to restore capabilities"], .specCapabilities,
            "the capabilities of the dump cannot be set on @"),
        line(
            "capdrop", ["Unable to drop capability"], .specCapabilities, "capability {} cannot be dropped on @",
            object: ("drop capability ", ":")),
        line("capsize", ["Caps size mismatch"], .specCapabilities, "@ knows another number of capabilities"),
        line("rlimit", ["rlimit: Can't"], .specRlimits, "a resource limit of the dump cannot be set on @"),
        line(
            "seccomp-set", ["seccomp: ", " returned "], .specSeccomp, "the seccomp filter cannot be installed on @"),
        line(
            "lsm-type", ["mismatched lsm types"], .specProcess,
            "the security label of the dump belongs to another security module than @ runs"),
        line("lsm-write", ["can't write lsm profile"], .specProcess, "the security label cannot be set on @"),
        line("cgroup", [": cg: "], .specCgroup, "the cgroup of the dump cannot be set up on @"),
        line(
            "netns", ["Unable create a network namespace"], .specNamespaces, "a network namespace cannot be made on @"),
        line(
            "pidns", ["can only be restored in a new pid namespace"], .specNamespaces,
            "the dump needs a PID namespace of its own on @"),
        line(
            "nested-ns", ["Can't dump nested "], .specNamespaces, "CRIU cannot dump a nested {} namespace",
            object: ("nested ", " namespace")),
        line(
            "mount-mapping", ["mnt: No mapping for "], .specMounts, "the mount {} of the dump was not given on @",
            object: ("No mapping for ", " mountpoint")),
        line("mount-external", ["mnt: Can't restore ext mount"], .specMounts, "an external mount was not given on @"),
        line(
            "mount-sharing", ["mnt: Mount ", "has unreachable sharing"], .specMounts,
            "a mount shares propagation with one outside of the container"),
        line(
            "mount-lookup", ["Can't lookup mount="], .specMounts,
            "an open file lies on a mount that is not part of "
                + "the container: {}", object: ("path=", "\n")),
        line("device", ["Can't mknod"], .specDevices, "a device node cannot be made on @"),
    ]

    private static let files: [LogPattern] = [
        line(
            "file-build-id", ["File ", " has bad build-ID"], .filesystemChanged,
            "{} on @ has another build-id than at dump", object: ("File ", " has bad")),
        line(
            "file-size", ["File ", " has bad size "], .filesystemChanged, "{} on @ has another size than at dump",
            object: ("File ", " has bad")),
        line(
            "file-mode", ["File ", " has bad mode "], .filesystemChanged, "{} on @ has another mode than at dump",
            object: ("File ", " has bad")),
        line(
            "file-missing-on-restore", ["Can't open file ", " on restore: No such file or directory"],
            .filesystemMissing, "{} is not there on @", object: ("Can't open file ", " on restore")),
        line(
            "file-missing", ["files-reg.c", "Can't open file ", "No such file or directory"], .filesystemMissing,
            "{} is not there on @", object: ("Can't open file ", ":")),
        line(
            "mount-no-device", ["mnt: ", "ount", "No such device"], .filesystemType,
            "the kernel on @ does not know the filesystem type of a mount"),
        line(
            "mount-missing", ["mnt: ", "ount", "No such file or directory"], .filesystemMountMissing,
            "a mount point of the dump is not there on @"),
        line(
            "mount-fuse", [" is a fuse mount but not external"], .filesystemType,
            "{} is a FUSE mount, which CRIU cannot carry", object: ("): ", " is a fuse")),
        line("mount-fstype", ["mnt: FS mnt ", "unsupported id"], .filesystemType, "CRIU cannot carry a mount's type"),
        line("read-only", ["Read-only file system"], .filesystemReadOnly, "a file to be written is read-only on @"),
    ]

    private static let workload: [LogPattern] = [
        line(
            "unknown-file", ["Can't dump file ", " of that type "], .workloadUnsupported,
            "CRIU cannot dump an open file of that type: {}", object: ("of that type ", "\n")),
        line(
            "tcp", ["inet: Connected TCP socket"], .workloadUnsupported,
            "the workload has a connected TCP socket, which CRIU dumps only when told to"),
        line("inet-proto", ["inet: Unsupported proto"], .workloadUnsupported, "CRIU cannot dump a socket's protocol"),
        line("inet-kind", ["inet: Can't dump "], .workloadUnsupported, "CRIU cannot dump a kind of socket"),
        line(
            "unix-half", ["Can't dump half of stream unix connection"], .workloadUnsupported,
            "a UNIX socket is connected to a process outside of the dump"),
        line(
            "session", ["A session leader of ", "is outside of its pid namespace"], .workloadUnsupported,
            "the workload's session leader is outside of the dump"),
        line("tty", ["tty: Found "], .workloadUnsupported, "the workload has a terminal of a session outside"),
        line("mode32", ["running in 32-bit mode"], .workloadUnsupported, "CRIU here cannot dump 32-bit tasks"),
        line("mapping", ["Unsupported mapping found"], .workloadUnsupported, "CRIU cannot dump a memory mapping"),
        // CRIU 4.3 on every kernel: its helper for such mappings has no socket to be asked through.
        line(
            "fdstore", ["Unable to get a file descriptor with the "], .workloadUnsupported,
            "CRIU did not find a descriptor of its own that it needs for a mapping, such as one of a memfd"),
        line("ghost", ["Can't dump ghost file "], .workloadUnsupported, "an unlinked open file is too big for CRIU"),
        line(
            "sysv", ["SysVIPC shmem map", "doesn't live in IPC ns"], .workloadUnsupported,
            "the workload uses System V shared memory without an IPC namespace"),
        line(
            "zombie-threads", ["Zombies with threads are not supported"], .workloadUnsupported,
            "CRIU cannot dump a zombie with threads"),
    ]
}
