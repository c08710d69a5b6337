/// A host as a scenario asks for it; what the guest really is, its ``HostFingerprint`` says.
public struct HostSpec: Codable, Hashable, Sendable {
    public var name: HostName
    /// QEMU CPU model with optional feature changes: `Haswell`, `Haswell,-avx2`, `qemu64,+ssse3`.
    public var cpu: String
    /// Kernel recipe (`debian-6.1`), or the name that the scenario gives a user's own kernel.
    public var kernel: String
    /// Userland recipe (`debian-12`), or the name that the scenario gives a user's own root.
    public var userland: String
    /// Guest memory, in MiB.
    public var memoryMebibytes: Int
    /// Extra words for the kernel's command line; empty for none.
    public var kernelArguments: [String]
    /// QEMU machine type: `q35` or `microvm`.
    public var machine: String
    /// QEMU recipe that emulates it (`qemu-11`); `nil` for the one that this lab machine uses by itself.
    public var qemu: String?
    /// Settings of the running kernel by name (`kernel.pid_max`); `nil` for none.
    public var sysctl: [String: String]?

    public init(
        name: HostName, cpu: String, kernel: String, userland: String = "debian-12", memoryMebibytes: Int = 512,
        kernelArguments: [String] = [], machine: String = "q35", qemu: String? = nil, sysctl: [String: String]? = nil
    ) {
        self.name = name
        self.cpu = cpu
        self.kernel = kernel
        self.userland = userland
        self.memoryMebibytes = memoryMebibytes
        self.kernelArguments = kernelArguments
        self.machine = machine
        self.qemu = qemu
        self.sysctl = sysctl
    }
}
