/// What `crlab explain REASON` prints.
public struct ReasonGuide: Sendable, Equatable {
    /// What it means, one or two sentences.
    public let meaning: String
    /// What evidence leads to it.
    public let evidence: String
    /// What usually helps.
    public let remedy: String
}

extension Reason {
    /// What usually helps, one sentence.
    public var remedy: String { guide.remedy }

    /// The reason's documentation.
    public var guide: ReasonGuide {
        switch category {
        case .cpu: cpuGuide
        case .kernel: kernelGuide
        case .runtimeVersion: runtimeGuide
        case .spec: specGuide
        case .filesystem: filesystemGuide
        case .harness: harnessGuide
        case .workload, .unclassified: otherGuide
        }
    }

    private var cpuGuide: ReasonGuide {
        switch self {
        case .cpuXstateMissing:
            ReasonGuide(
                meaning: "The dump holds register state (AVX, AVX-512, PKRU…) whose component is not enabled on the "
                    + "destination host, so it cannot be put back.",
                evidence: "The runtime names the state component, or a vector instruction faults although the CPU "
                    + "lists its feature; XCR0 of both hosts differ.",
                remedy: "Restore on a host whose XCR0 has the component, or start the workload so that it never uses "
                    + "it (GLIBC_TUNABLES, or a host with the state disabled).")
        case .cpuXstateSize:
            ReasonGuide(
                meaning: "Both CPUs know the state that is used, but their extended-state areas have different sizes, "
                    + "and the workload or the runtime had sized a buffer for the source host's.",
                evidence: "The runtime reports an xsave size mismatch, or the workload faults in an XSAVE or XRSTOR "
                    + "instruction; the two hosts report different area sizes.",
                remedy: "Restore where the extended-state area is no larger than on the source host, or mask the "
                    + "larger components with the kernel's clearcpuid or noxsave boot options.")
        case .cpuFeaturesRefused:
            ReasonGuide(
                meaning: "The runtime compared the CPU feature lists of both hosts and said no. Whether the workload "
                    + "would really have used a missing feature is not established by the refusal.",
                evidence: "The runtime's CPU check in its log or refusal; the features that the destination host "
                    + "lacks are listed.",
                remedy: "Restore on a host with these features, dump on the host with the smallest common set, or "
                    + "override the check if the listed features cannot matter to the workload.")
        case .cpuVendor:
            ReasonGuide(
                meaning: "Source and destination CPU come from different vendors, and that itself is what failed.",
                evidence: "The runtime names the vendor, and the CPUID vendor strings of both hosts differ.",
                remedy: "Keep dumps within one CPU vendor.")
        case .cpuTSC:
            ReasonGuide(
                meaning: "The workload or runtime relies on the time stamp counter, whose frequency or continuity "
                    + "differs on the destination host.",
                evidence: "The runtime names the TSC, or a time check of the workload fails; the TSC frequencies of "
                    + "both hosts differ.",
                remedy: "Restore on a host with the same TSC frequency, use TSC scaling, or let the workload read "
                    + "clocks through the kernel only.")
        case .cpuAddressWidth:
            ReasonGuide(
                meaning: "The dump uses addresses that the destination host's CPU cannot form (five-level paging).",
                evidence: "The runtime names an address beyond the limit; the hosts differ in virtual address bits.",
                remedy: "Restore on a host with as many virtual address bits, or start the workload without hints "
                    + "above 47 bits.")
        default:
            ReasonGuide(
                meaning: "After the restore the workload ran an instruction that the source host's CPU has and the "
                    + "destination host's lacks: it had chosen that code path before the dump.",
                evidence: "SIGILL with the faulting bytes decoded: instruction, ISA extension, mapped file and "
                    + "nearest symbol, and the features of both hosts. lzcnt and tzcnt do not fault on older CPUs: "
                    + "they run as bsr and bsf and give wrong results, so a wrong answer is only a suspicion.",
                remedy: "Restore on a host that has the extension, or start the workload levelled to the destination "
                    + "(GLIBC_TUNABLES, or a dump on the older CPU).")
        }
    }

    private var kernelGuide: ReasonGuide {
        switch self {
        case .kernelFeatureMissing:
            ReasonGuide(
                meaning: "The kernel has the system call but not the feature, configuration, module or boot option "
                    + "that the runtime or workload needs.",
                evidence: "The runtime's log names the feature, and a kernel probe of that host answers with an error.",
                remedy: "Load the module, add the boot option, or use a kernel built with the feature.")
        case .kernelVDSO:
            ReasonGuide(
                meaning: "The workload keeps pointers into the source kernel's vDSO, and the destination kernel's "
                    + "vDSO is another one.",
                evidence: "A fault inside [vdso], or a vDSO message of the runtime; kernels and vDSO hashes differ. "
                    + "The hash alone says little: one kernel patches its vDSO for the CPU that it boots on.",
                remedy: "Use a runtime that keeps the old vDSO mapped and forwards its entry points, or the same "
                    + "kernel on both hosts.")
        case .kernelABIChanged:
            ReasonGuide(
                meaning: "The kernel answers in another shape than the runtime understands: /proc formats, netlink, "
                    + "prctl, the mount interface.",
                evidence: "The runtime's log says that it could not parse or did not expect an answer; the kernels "
                    + "differ.",
                remedy: "Use a runtime version that knows this kernel; report it to the runtime, or to the kernel if "
                    + "the old interface was promised.")
        case .kernelLimit:
            ReasonGuide(
                meaning: "A system-wide limit (sysctl) of the destination host is lower than what the workload holds.",
                evidence: "An error that stands for a limit (ENFILE, inotify watches, pid_max, max_map_count) in the "
                    + "log.",
                remedy: "Raise the sysctl on the destination host to at least the source host's value.")
        case .kernelOops:
            ReasonGuide(
                meaning: "The guest kernel itself failed (oops, BUG, panic) during the stage, and the guest could "
                    + "still tell.",
                evidence: "Kernel messages of the stage, with the first line of the oops.",
                remedy: "Report the trace with the two host fingerprints to the kernel's maintainers; try the next "
                    + "point release.")
        default:
            ReasonGuide(
                meaning: "The runtime or the workload uses a system call that this kernel does not have.",
                evidence: "ENOSYS in the log or in the workload's output, and a kernel probe that answers ENOSYS.",
                remedy: "Use a kernel at least as new as the source host's, or a runtime that falls back.")
        }
    }

    private var runtimeGuide: ReasonGuide {
        switch self {
        case .runtimeOptionUnknown:
            ReasonGuide(
                meaning: "The runtime on this host does not know an option that it was started with.",
                evidence: "The usage error of its command line, and the runtime versions of both hosts.",
                remedy: "Install the same runtime version on both hosts, or leave the option out.")
        case .runtimeBehaviourChanged:
            ReasonGuide(
                meaning: "Both versions read the image, yet the newer or older one treats it differently.",
                evidence: "Only experiments lead here: with the source host's runtime version on the destination "
                    + "host the same image restores.",
                remedy: "Keep dump and restore on one runtime version, and report the change.")
        case .runtimeDependency:
            ReasonGuide(
                meaning: "The runtime needs a library or tool that this host does not have.",
                evidence: "The dynamic linker's message, or a helper program that could not be executed.",
                remedy: "Install the named library or tool on that host.")
        default:
            ReasonGuide(
                meaning: "The image was written by a runtime version whose format this host's version does not read.",
                evidence: "The runtime's version check in its log or refusal, and the versions of both hosts.",
                remedy: "Restore with the version that wrote the image, or dump again with the destination's.")
        }
    }

    private var specGuide: ReasonGuide {
        let (field, example): (String, String) =
            switch self {
            case .specNamespaces: ("namespaces", "a namespace that the dump has and the restore is not given")
            case .specMounts: ("mounts", "a mount whose source, options or number differ")
            case .specCapabilities: ("capabilities", "a capability outside the bounding set of the restore")
            case .specSeccomp: ("the seccomp filter", "a filter that cannot be installed again")
            case .specRlimits: ("resource limits", "a hard limit below the value in the dump")
            case .specCgroup: ("the cgroup", "a controller, path or limit that the destination does not have")
            case .specProcess: ("the process section", "other arguments, environment, directory, user or label")
            case .specAnnotations: ("annotations", "an annotation that changes how the runtime builds the sandbox")
            default: ("devices", "a device node that the destination spec does not allow")
            }
        return ReasonGuide(
            meaning: "The container spec at the destination differs from the source's in \(field), and the runtime "
                + "or the workload depends on it.",
            evidence: "The runtime's message about \(field), for instance \(example).",
            remedy: "Give the restore the same value of \(field) as the dump had.")
    }

    private var filesystemGuide: ReasonGuide {
        switch self {
        case .filesystemChanged:
            ReasonGuide(
                meaning: "A file that the workload has open or mapped is there, but not the same: build-id, size, "
                    + "mode or content.",
                evidence: "The runtime names the file and what differs; the root disk images of both hosts differ.",
                remedy: "Put the same file (usually the same package version) on the destination host.")
        case .filesystemMountMissing:
            ReasonGuide(
                meaning: "A mount point that the dump refers to cannot be made or found on the destination host.",
                evidence: "The runtime names the mount point in a mount error.",
                remedy: "Create the mount point, or provide the mount before the restore.")
        case .filesystemType:
            ReasonGuide(
                meaning: "The filesystem type behind a mount is not one that the destination kernel or the runtime "
                    + "can handle.",
                evidence: "A mount error that names an unknown or unsupported filesystem type.",
                remedy: "Use the same filesystem type on both hosts, or load its module.")
        case .filesystemReadOnly:
            ReasonGuide(
                meaning: "A file that must be written at the destination lies on a filesystem mounted read-only.",
                evidence: "EROFS in the runtime's log or from the workload, while the source host could write.",
                remedy: "Mount it writable on the destination host, or keep the file elsewhere.")
        case .filesystemSpace:
            ReasonGuide(
                meaning: "A filesystem of the experiment on the destination host has no space left for what the dump "
                    + "brings. Where the lab's own disks are full, the reason is harness.space.",
                evidence: "ENOSPC from the workload, or from the runtime for a path outside the image folder.",
                remedy: "Give that filesystem at least as much free space as on the source host.")
        default:
            ReasonGuide(
                meaning: "A file that the workload has open, mapped or needs is not there on the destination host.",
                evidence: "The runtime or the workload names a file with ENOENT; the source host had it.",
                remedy: "Provide the file at the same path, or carry it with the image.")
        }
    }

    private var harnessGuide: ReasonGuide {
        let about = "The lab failed, so this attempt says nothing about compatibility. "
        return switch self {
        case .harnessBoot:
            ReasonGuide(
                meaning: about + "A guest did not boot, or its kernel panicked.",
                evidence: "The console ended without the agent's greeting, or with a panic.",
                remedy: "Read the console tail; run `crlab probe`; try the cell again.")
        case .harnessChannel:
            ReasonGuide(
                meaning: about + "The channel between lab and guest broke or carried a damaged frame.",
                evidence: "A read or write error, or a frame that failed its check.",
                remedy: "Try the cell again; if it repeats, keep the console and report it as a bug of crlab.")
        case .harnessDeadline:
            ReasonGuide(
                meaning: about + "The lab's own deadline passed while it, not the workload, was at work.",
                evidence: "The step that was running and how long it was given.",
                remedy: "Run with less in parallel, or raise the timeouts in the scenario.")
        case .harnessAgent:
            ReasonGuide(
                meaning: about + "The guest agent died, answered wrongly, or did not prepare the cell (a PID in use).",
                evidence: "A missing heartbeat, an incomplete record, or a runtime that found its PIDs taken.",
                remedy: "Try the cell again in a fresh guest; report it as a bug of crlab if it repeats.")
        case .harnessImage:
            ReasonGuide(
                meaning: about + "A disk image, kernel or dump image of the lab is missing or damaged.",
                evidence: "A checksum that does not fit, or a truncated image.",
                remedy: "Run `crlab images verify`, then `crlab images build`.")
        case .harnessSpace:
            ReasonGuide(
                meaning: about + "Disk or memory of the lab machine, or of the lab's own part of a guest, ran out.",
                evidence: "ENOSPC while the lab or a dump wrote, or an out-of-memory kill in the guest.",
                remedy: "Free space, run `crlab images prune`, or give the hosts more memory in the scenario.")
        case .harnessEmulation:
            ReasonGuide(
                meaning: about + "The accelerator cannot give the CPU model that was asked for.",
                evidence: "QEMU's list of features that are unavailable under this accelerator.",
                remedy: "Write the reduced model explicitly, use a model of crlab's table, or a machine with KVM.")
        case .harnessUnavailable:
            ReasonGuide(
                meaning: about + "A kernel, package or host of the scenario could not be had.",
                evidence: "The suite or package that the mirror does not hold, by name.",
                remedy: "Choose another suite, or provide the kernel or root yourself.")
        default:
            ReasonGuide(
                meaning: about + "The workload did not get ready on its source host before anything was dumped.",
                evidence: "Its output, exit status and the seconds it was given.",
                remedy: "Run the workload alone with `crlab shell`; raise readySeconds in its workload.json.")
        }
    }

    private var otherGuide: ReasonGuide {
        switch self {
        case .workloadUnsupported:
            ReasonGuide(
                meaning: "The runtime cannot carry this workload at all: it refuses to dump something the workload "
                    + "uses, or the workload does not survive being restored on its own host.",
                evidence: "A refusal that names the kernel object, or a control cell (same host) that did not "
                    + "restore.",
                remedy: "Use another runtime or version for this workload, or leave out what the runtime names.")
        default:
            ReasonGuide(
                meaning: "The attempt failed in a way that no rule knows. The text is kept; nothing is guessed.",
                evidence: "Whatever was left behind: the first error of the log, signal, kernel messages, host "
                    + "differences.",
                remedy: "Read the evidence; export the attempt to the corpus with the true cause, so that the next "
                    + "one is recognised.")
        }
    }
}
