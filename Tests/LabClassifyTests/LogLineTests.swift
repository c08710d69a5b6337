import CRModel
import Testing

@testable import LabClassify

/// One line per pattern. CRIU's are its own format strings (3.17.1) filled in, in the form in which it logs them.
@Suite("Known log lines")
struct LogLineTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let pattern: String
        let line: String
        let reason: Reason
        var testDescription: String { pattern }

        init(_ pattern: String, _ line: String, _ reason: Reason) {
            self.pattern = pattern
            self.line = line
            self.reason = reason
        }

        var runtime: RuntimeName {
            pattern.hasPrefix("criu") ? "criu-3.17.1" : pattern.hasPrefix("runsc") ? "runsc" : "native"
        }
    }

    static let cases: [Case] =
        [
            (
                "cpu-fpu",
                "cpu: FPU feature required by image is not supported on host (fpu:1 fxsr:1 osxsave:1 xsaves:0)",
                Reason.cpuFeaturesRefused
            ),
            ("cpu-instructions", "cpu: CPU instruction capabilities do not match run time", .cpuFeaturesRefused),
            ("cpu-all", "cpu: CPU capabilities do not match run time", .cpuFeaturesRefused),
            ("cpu-xfeatures", "cpu: CPU xfeatures has unsupported bits (0xe0)", .cpuXstateMissing),
            ("cpu-xsave-size", "cpu: CPU xsave size mismatch (832/2696)", .cpuXstateSize),
            (
                "cpu-xsave-area", "x86: FPU xsave area present, but host cpu doesn't support it", .cpuXstateMissing
            ),
            ("vdso-bounds", "vdso: Unexpected rt vDSO area bounds", .kernelABIChanged),
            ("kerndat", "kerndat_has_nftables_concat failed when initializing kerndat.", .kernelFeatureMissing),
            ("cpu-vendor", "cpu: Unknown cpu vendor 7", .cpuVendor),
            ("cpu-capability-version", "cpu: Image carries unknown capability version 3", .runtimeImageVersion),
            ("cpu-fpu-registers", "Can't set FPU registers for 306: Invalid argument", .cpuXstateSize),
            ("rseq-conf", "306 has rseq but kernel lacks get_rseq_conf feature", .kernelFeatureMissing),
            ("suspend-seccomp", "Kernel doesn't support PTRACE_O_SUSPEND_SECCOMP", .kernelFeatureMissing),
            ("seccomp-dump", "Dumping seccomp filters not supported: Invalid argument", .kernelFeatureMissing),
            ("timens", "Time namespaces are not supported", .kernelFeatureMissing),
            ("uffd", "UFFD is not supported", .kernelFeatureMissing),
            ("kcmp", "System call kcmp is not supported: Function not implemented", .kernelSyscallMissing),
            ("prctl", "prctl: PR_SET_MM_AUXV is not supported: Invalid argument", .kernelFeatureMissing),
            (
                "sysctl", "sys/kernel/ns_last_pid sysctl is inaccessible: No such file or directory",
                .kernelFeatureMissing
            ),
            (
                "proc-children", "Can't open 12/task/12/children on procfs: No such file or directory",
                .kernelFeatureMissing
            ),
            ("map-files", "/proc/<pid>/map_files is inaccessible: No such file or directory", .kernelFeatureMissing),
            ("ifindex", "IFLA_NEW_IFINDEX isn't supported", .kernelFeatureMissing),
            (
                "mremap-special", "Your kernel probably lacks the support for mremapping special mappings",
                .kernelFeatureMissing
            ),
            ("apparmor-off", "apparmor LSM specified but apparmor not supported by kernel", .kernelFeatureMissing),
            ("diag", "sockets: Diag module missing (-2)", .kernelFeatureMissing),
            (
                "iptables-mark",
                "Locking network failed: iptables-restore returned 2. This may be connected to disabled "
                    + "CONFIG_NETFILTER_XT_MARK kernel build config option.", .kernelFeatureMissing
            ),
            ("socket-option", "sockets: Can't get 1:16 opt: Operation not supported", .kernelABIChanged),
            ("fdstore", "Unable to get a file descriptor with the 0 id: Try again", .workloadUnsupported),
            ("stat-format", "Parsing 12's stat failed (#fields do not match)", .kernelABIChanged),
            ("maps-format", "Bad maps format 12.4 (rw-p)", .kernelABIChanged),
            ("mountinfo-format", "Bad format in 12 mountinfo: '21 1 0:5'", .kernelABIChanged),
            ("mountinfo-parse", "Failed to parse mountinfo line 21 1 0:5", .kernelABIChanged),
            ("timer-ids", "Can't create timers, kernel don't give them consequently", .kernelABIChanged),
            ("vdso-map", "Failed to map vdso -22", .kernelVDSO),
            ("vdso-area", "vdso: Can't find vDSO area in image", .kernelVDSO),
            ("vdso-symbols", "vdso: Failed to fill self vdso symtable", .kernelVDSO),
            ("vdso-vmas", "Can't fixup vdso VMAs (pid: 12)", .kernelVDSO),
            ("image-version", "Not supported images version 3", .runtimeImageVersion),
            ("image-old", "Too old image, no longer supported", .runtimeImageVersion),
            ("image-old-writer", "Images corrupted or too old criu was used for dump.", .runtimeImageVersion),
            ("image-magic", "Head magic doesn't match for core-12.img", .runtimeImageVersion),
            (
                "helper-missing", "execvp(\"iptables-restore\", ...) failed: No such file or directory",
                .runtimeDependency
            ),
            ("capset", "Unable to restore capabilities: -1", .specCapabilities),
            ("capdrop", "Unable to drop capability 24: -1", .specCapabilities),
            ("capsize", "Caps size mismatch 2 2 2 1", .specCapabilities),
            ("rlimit", "rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted", .specRlimits),
            ("seccomp-set", "seccomp: SECCOMP_SET_MODE_FILTER returned -22 on tid 12", .specSeccomp),
            ("lsm-type", "mismatched lsm types and lsm profile specified", .specProcess),
            ("lsm-write", "can't write lsm profile -22", .specProcess),
            ("cgroup", "cg: Can't move into memory/w (-1/12): No such file or directory", .specCgroup),
            ("netns", "Unable create a network namespace: Operation not permitted", .specNamespaces),
            ("pidns", "This process tree can only be restored in a new pid namespace.", .specNamespaces),
            ("nested-ns", "Can't dump nested uts namespace for 12", .specNamespaces),
            ("mount-mapping", "mnt: No mapping for 132:/etc/hosts mountpoint", .specMounts),
            ("mount-external", "mnt: Can't restore ext mount (1)", .specMounts),
            ("mount-sharing", "mnt: Mount 33 ./data (master_id: 2 shared_id: 0) has unreachable sharing.", .specMounts),
            ("mount-lookup", "Can't lookup mount=29 for fd=5 path=/data/a", .specMounts),
            ("device", "Can't mknod dev/fuse: Operation not permitted", .specDevices),
            ("file-build-id", "File usr/lib/libc.so.6 has bad build-ID", .filesystemChanged),
            ("file-size", "File run/utmp has bad size 1536 (expect 2688)", .filesystemChanged),
            ("file-mode", "File run/utmp has bad mode 0100644 (expect 0100600)", .filesystemChanged),
            (
                "file-missing-on-restore", "Can't open file data/f on restore: No such file or directory",
                .filesystemMissing
            ),
            ("mount-no-device", "mnt: Can't mount at ./data: No such device", .filesystemType),
            ("mount-missing", "mnt: Can't mount at ./data: No such file or directory", .filesystemMountMissing),
            ("mount-fuse", "/mnt/f is a fuse mount but not external", .filesystemType),
            ("mount-fstype", "mnt: FS mnt ./x dev 0x3 root / unsupported id 77", .filesystemType),
            ("read-only", "Can't open file data/log on restore: Read-only file system", .filesystemReadOnly),
            ("unknown-file", "Can't dump file 17 of that type [20660] (chr 10:229)", .workloadUnsupported),
            ("tcp", "inet: Connected TCP socket, consider using --tcp-established option.", .workloadUnsupported),
            ("inet-proto", "inet: Unsupported proto 255 for socket 10c69", .workloadUnsupported),
            (
                "inet-kind", "inet: Can't dump 5 inet socket 10c69. Only stream, dgram and raw are supported.",
                .workloadUnsupported
            ),
            ("unix-half", "sk unix: Can't dump half of stream unix connection.", .workloadUnsupported),
            ("session", "A session leader of 12(12) is outside of its pid namespace", .workloadUnsupported),
            ("tty", "tty: Found dangling tty with sid 0 pgid 12 (pts) on peer fd 0.", .workloadUnsupported),
            ("mode32", "Can't dump task 12 running in 32-bit mode", .workloadUnsupported),
            ("mapping", "Unsupported mapping found 00007f0000000000-00007f0000001000", .workloadUnsupported),
            ("ghost", "Can't dump ghost file /tmp/x of 2097152 size, increase limit", .workloadUnsupported),
            ("sysv", "Task 12 with SysVIPC shmem map @7f00 doesn't live in IPC ns", .workloadUnsupported),
            ("zombie-threads", "Zombies with threads are not supported", .workloadUnsupported),
        ].map { Case("criu-\($0.0)", "(00.029087)  12: Error (criu/x.c:1971): \($0.1)", $0.2) }
        + [
            Case(
                "criu-file-missing",
                "(00.029087)  12: Error (criu/files-reg.c:2176): Can't open file usr/bin/x: "
                    + "No such file or directory", .filesystemMissing),
            Case(
                "runsc-version",
                "runsc version does not match across checkpoint restore, checkpoint: 1 current: 2",
                .runtimeImageVersion),
            Case(
                "runsc-features-named", "restoring: incompatible FeatureSet: missing features: avx2",
                .cpuFeaturesRefused),
            Case("runsc-features", "restoring: incompatible FeatureSet: x", .cpuFeaturesRefused),
            Case("runsc-features-missing", "restoring container: missing features: avx2", .cpuFeaturesRefused),
            Case(
                "runsc-cache-line", "CPU cache line size 128 incompatible with host cache line size 64",
                .cpuFeaturesRefused),
            Case("runsc-option", "flag provided but not defined: -direct", .runtimeOptionUnknown),
            Case(
                "runsc-image-types",
                #"error decoding object ID 1 (cpuid.FeatureSet) from &wire.Struct{}: type "pkg/cpuid.FeatureSet" contains different fields: [Function hwCap] (decode) and [Function] (encode):"#,
                .runtimeImageVersion),
            Case(
                "runsc-deleted-file",
                #"{"msg":"checkpoint failed: checkpointing container \"cell\": encoding error: gofer.dentry(\"unlinked.dat\").beforeSave: deleted and invalidated dentries can't be restored:"#,
                .workloadUnsupported),
            Case(
                "runsc-connected-endpoint",
                "endpoint cannot be saved in connected state: local 10.0.0.1:80, remote 10.0.0.2:90",
                .workloadUnsupported),
            Case(
                "runsc-networking", "save rejected due to unsupported networking state: x", .workloadUnsupported),
            Case(
                "runsc-file-missing", "restoring container \"w\": opening /data: no such file or directory",
                .filesystemMissing),
            Case(
                "library-missing",
                "criu: error while loading shared libraries: libnet.so.9: cannot open shared object file",
                .runtimeDependency),
            Case(
                "libc-too-old", "criu: /lib/libc.so.6: version `GLIBC_2.34' not found (required by criu)",
                .runtimeDependency),
            Case("option-unknown-getopt", "criu: unrecognized option '--pidfd-store'", .runtimeOptionUnknown),
            Case("option-invalid-getopt", "criu: invalid option -- 'Q'", .runtimeOptionUnknown),
            Case("option-unknown-native", "crengine: unknown option --fast", .runtimeOptionUnknown),
        ]
        + [
            ("mount", "Mounts", Reason.specMounts), ("annotations", "Annotations", .specAnnotations),
            ("capabilities", "Capabilities", .specCapabilities), ("seccomp", "Seccomp", .specSeccomp),
            ("rlimits", "Rlimits", .specRlimits), ("namespace", "Namespaces", .specNamespaces),
            ("devices", "Devices", .specDevices), ("cgroup", "CgroupsPath", .specCgroup),
            ("resources", "Resources", .specCgroup), ("args", "Args", .specProcess), ("env", "Env", .specProcess),
            ("cwd", "Cwd", .specProcess), ("user", "User", .specProcess), ("terminal", "Terminal", .specProcess),
            ("process", "Process", .specProcess), ("hostname", "Hostname", .specNamespaces),
            ("sysctl", "Sysctl", .specNamespaces),
        ].map {
            Case(
                "runsc-spec-\($0.0)",
                "\($0.1) does not match across checkpoint restore for container: w, checkpoint a restore b", $0.2)
        }

    @Test("each line leads to its reason", arguments: cases)
    func line(_ c: Case) throws {
        let stage = StageEvidence(stage: .restore, ending: .failed, exitStatus: 1, log: c.line)
        let evidence = Samples.evidence(
            stage, runtime: c.runtime,
            destination: Samples.host(features: Samples.old, kernel: "6.12.0", vdso: "bb", userland: "other"))
        let finding = try #require(judge(evidence, control: .restored).finding)
        #expect(finding.reason == c.reason, "\(finding.summary)")
        #expect(finding.evidence.contains { $0.kind == "runtime-log" && $0.text == c.line })
        #expect(!finding.summary.contains("{}") && !finding.summary.contains("@"), "\(finding.summary)")
        let pattern = LogPattern.all.first {
            ($0.runtime ?? "") == "" || c.runtime.rawValue.hasPrefix($0.runtime ?? "") ? $0.matches(c.line) : false
        }
        #expect(pattern?.name == c.pattern)
    }

    @Test("each pattern has a line")
    func complete() {
        #expect(Set(LogPattern.all.map(\.name)) == Set(Self.cases.map(\.pattern)))
        #expect(LogPattern.all.count == Set(LogPattern.all.map(\.name)).count)
    }

    static let logs: [(String, String)] = [
        (
            "a task's error before one without a task",
            "Error (a.c:1): first\n(00.02)   12: Error (b.c:1): second"
        ),
        ("the restorer's too", "Error (a.c:1): first\n(00.02) pie: 12: Error (b.c:1): second"),
        (
            "consequences do not count",
            "(00.01) 12: Error (c.c:9): `- Can't open vma\n(00.02) 12: Error (b.c:1): second\n"
                + "Error (cr-restore.c:2): Restoring FAILED."
        ),
        ("a bare PID", "12: Error (b.c:1): second\nError (a.c:1): first"),
    ]

    @Test("the decisive line", arguments: logs)
    func decisive(_ name: String, _ log: String) {
        #expect(ErrorLog(log).errors.first?.hasSuffix("second") == true, "\(name)")
    }

    @Test("a CPU check that only lost harmless features is told as such")
    func harmless() throws {
        let stage = StageEvidence(
            stage: .restore, ending: .failed,
            log: "Error (criu/arch/x86/cpu.c:2): cpu: CPU instruction capabilities do not match run time")
        let evidence = Samples.evidence(
            stage, runtime: "criu", destination: Samples.host(features: Samples.new.filter { $0 != "erms" }))
        let finding = try #require(judge(evidence, control: .restored).finding)
        #expect(finding.reason == .cpuFeaturesRefused)
        #expect(finding.summary.contains("lacks only erms of s, none of which makes an instruction fault"))
    }
}
