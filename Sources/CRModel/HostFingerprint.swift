/// What a host really is, told by the host itself: its own CPUID, kernel and userland, never the model's name.
public struct HostFingerprint: Codable, Hashable, Sendable {
    public var cpu: CPUFingerprint
    public var kernel: KernelFingerprint
    public var userland: UserlandFingerprint
    /// Runtime to version, for each that this host has: `["native": "0.1.0", "criu": "4.1.1"]`.
    public var runtimes: [String: String]
    public var memoryBytes: UInt64

    public init(
        cpu: CPUFingerprint, kernel: KernelFingerprint, userland: UserlandFingerprint, runtimes: [String: String],
        memoryBytes: UInt64
    ) {
        self.cpu = cpu
        self.kernel = kernel
        self.userland = userland
        self.runtimes = runtimes
        self.memoryBytes = memoryBytes
    }
}

/// The CPU as user space sees it.
public struct CPUFingerprint: Codable, Hashable, Sendable {
    /// CPUID vendor string: `GenuineIntel`, `AuthenticAMD`.
    public var vendor: String
    public var brand: String
    public var family: Int
    public var model: Int
    public var stepping: Int
    /// Feature names in the kernel's spelling (`/proc/cpuinfo`), sorted, user-visible instruction sets and all others.
    public var features: [String]
    /// State components that the kernel enabled (XCR0); 0 without XSAVE.
    public var xcr0: UInt64
    /// Size of the extended-state area for `xcr0`, in bytes (CPUID 0xD, EBX); 0 without XSAVE.
    public var xstateBytes: Int
    public var physicalAddressBits: Int
    public var virtualAddressBits: Int
    /// TSC frequency that the kernel uses, in kHz; 0 when unknown.
    public var tscKilohertz: Int

    public init(
        vendor: String, brand: String, family: Int, model: Int, stepping: Int, features: [String], xcr0: UInt64,
        xstateBytes: Int, physicalAddressBits: Int, virtualAddressBits: Int, tscKilohertz: Int
    ) {
        self.vendor = vendor
        self.brand = brand
        self.family = family
        self.model = model
        self.stepping = stepping
        self.features = features.sorted()
        self.xcr0 = xcr0
        self.xstateBytes = xstateBytes
        self.physicalAddressBits = physicalAddressBits
        self.virtualAddressBits = virtualAddressBits
        self.tscKilohertz = tscKilohertz
    }

    /// Features of this CPU that `other` lacks, sorted.
    public func features(missingOn other: CPUFingerprint) -> [String] {
        Set(features).subtracting(other.features).sorted()
    }
}

/// The kernel, and what it was tried and found to do.
public struct KernelFingerprint: Codable, Hashable, Sendable {
    /// `uname -r`.
    public var release: String
    /// `uname -v`.
    public var version: String
    public var commandLine: String
    /// Probe name to what the kernel answered: `ok`, or the errno name (`ENOSYS`), or a value.
    public var probe: [String: String]
    /// Hash of the vDSO's bytes, hexadecimal; two hosts with equal values have the same vDSO. Empty without a vDSO.
    public var vdso: String
    /// Symbols that the vDSO offers, sorted.
    public var vdsoSymbols: [String]
    /// Settings that the scenario asks for, as the kernel says they are; `nil` when it asks for none.
    public var sysctl: [String: String]?

    public init(
        release: String, version: String, commandLine: String, probe: [String: String], vdso: String,
        vdsoSymbols: [String]
    ) {
        self.release = release
        self.version = version
        self.commandLine = commandLine
        self.probe = probe
        self.vdso = vdso
        self.vdsoSymbols = vdsoSymbols.sorted()
    }
}

/// The root file system.
public struct UserlandFingerprint: Codable, Hashable, Sendable {
    /// `PRETTY_NAME` of `/etc/os-release`.
    public var name: String
    /// Version of the C library; empty when unknown.
    public var libc: String
    /// Identity of the root disk image: its content hash; empty when it was not built by crlab.
    public var diskImage: String

    public init(name: String, libc: String, diskImage: String) {
        self.name = name
        self.libc = libc
        self.diskImage = diskImage
    }
}
