/// The factor that a finding blames.
public enum Category: String, Codable, Sendable, CaseIterable {
    case cpu
    case kernel
    case runtimeVersion = "runtime-version"
    case spec
    case filesystem
    /// Outside the taxonomy: the runtime cannot carry this workload on any host.
    case workload
    /// Outside the taxonomy: the lab failed.
    case harness
    case unclassified
}

/// A stable, dotted name for why something failed; `crlab explain REASON` documents each.
public enum Reason: String, Codable, Sendable, CaseIterable {
    case cpuInstructionMissing = "cpu.instruction-missing"
    case cpuXstateMissing = "cpu.xstate-missing"
    case cpuXstateSize = "cpu.xstate-size"
    case cpuFeaturesRefused = "cpu.features-refused"
    case cpuVendor = "cpu.vendor"
    case cpuTSC = "cpu.tsc"
    case cpuAddressWidth = "cpu.address-width"

    case kernelSyscallMissing = "kernel.syscall-missing"
    case kernelFeatureMissing = "kernel.feature-missing"
    case kernelVDSO = "kernel.vdso"
    case kernelABIChanged = "kernel.abi-changed"
    case kernelLimit = "kernel.limit"
    case kernelOops = "kernel.oops"

    case runtimeImageVersion = "runtime.image-version"
    case runtimeOptionUnknown = "runtime.option-unknown"
    case runtimeBehaviourChanged = "runtime.behaviour-changed"
    case runtimeDependency = "runtime.dependency"

    case specNamespaces = "spec.namespaces"
    case specMounts = "spec.mounts"
    case specCapabilities = "spec.capabilities"
    case specSeccomp = "spec.seccomp"
    case specRlimits = "spec.rlimits"
    case specCgroup = "spec.cgroup"
    case specProcess = "spec.process"
    case specAnnotations = "spec.annotations"
    case specDevices = "spec.devices"

    case filesystemMissing = "filesystem.missing"
    case filesystemChanged = "filesystem.changed"
    case filesystemMountMissing = "filesystem.mount-missing"
    case filesystemType = "filesystem.type"
    case filesystemReadOnly = "filesystem.read-only"
    case filesystemSpace = "filesystem.space"

    case workloadUnsupported = "workload-unsupported"

    case harnessBoot = "harness.boot"
    case harnessChannel = "harness.channel"
    case harnessDeadline = "harness.deadline"
    case harnessAgent = "harness.agent"
    case harnessImage = "harness.image"
    case harnessSpace = "harness.space"
    case harnessEmulation = "harness.emulation"
    case harnessUnavailable = "harness.unavailable"
    case harnessWorkload = "harness.workload"

    case unclassified

    /// The category that the name's first part stands for.
    public var category: Category {
        switch rawValue.prefix(while: { $0 != "." }) {
        case "cpu": .cpu
        case "kernel": .kernel
        case "runtime": .runtimeVersion
        case "spec": .spec
        case "filesystem": .filesystem
        case "workload-unsupported": .workload
        case "harness": .harness
        default: .unclassified
        }
    }
}
