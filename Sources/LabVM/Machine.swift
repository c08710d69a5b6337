/// The QEMU to run.
public struct QEMUBinary: Sendable, Hashable {
    public var executable: String
    /// Folders with its firmware, for `-L`; empty for a QEMU that knows its own.
    public var dataFolders: [String]

    public init(executable: String, dataFolders: [String] = []) {
        self.executable = executable
        self.dataFolders = dataFolders
    }
}

/// What a guest boots from.
public struct BootImages: Sendable, Hashable {
    /// `vmlinux` or `bzImage`.
    public var kernel: String
    public var initramfs: String
    /// The userland, a raw disk image with ext4; `nil` for a guest that only has its initramfs.
    public var disk: String?
    /// Content hash of `disk`, for the fingerprint; empty when unknown.
    public var diskIdentity: String

    /// The runtimes beside the userland, a raw disk image with ext4; `nil` for the bundled engine alone.
    public var runtimeDisk: String?

    public init(
        kernel: String, initramfs: String, disk: String?, diskIdentity: String = "", runtimeDisk: String? = nil
    ) {
        self.kernel = kernel
        self.initramfs = initramfs
        self.disk = disk
        self.diskIdentity = diskIdentity
        self.runtimeDisk = runtimeDisk
    }
}

/// What executes a guest's instructions.
public enum Accelerator: String, Sendable, Hashable, CaseIterable {
    /// Translation in software: works everywhere.
    case tcg
    case kvm
}

/// What the user asks for.
public enum AcceleratorChoice: String, Sendable, Hashable, CaseIterable {
    /// KVM where a guest really boots with it, else TCG.
    case auto
    case tcg
    case kvm
}

/// A CPU as QEMU is told to build it.
public struct CPUChoice: Sendable, Hashable {
    /// As the scenario has it.
    public var requested: String
    /// For `-cpu`, without `enforce`.
    public var argument: String
    /// Features of the model that the accelerator cannot give and that crlab's table allows to take away.
    public var reducedBy: [String]

    public init(requested: String, argument: String, reducedBy: [String]) {
        self.requested = requested
        self.argument = argument
        self.reducedBy = reducedBy
    }
}
