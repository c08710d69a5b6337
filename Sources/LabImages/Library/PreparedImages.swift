public import CRModel
public import SystemPackage

/// A QEMU that can be run.
public struct QEMUInstallation: Sendable, Equatable {
    /// Start this. For an unpacked QEMU it is a script beside it that replaces itself by the program (same PID), run
    /// through the dynamic loader and libraries it came with; nothing need be set in the environment.
    public let executable: FilePath
    /// Folders to give with `-L`, in this order; empty for a QEMU that knows its own.
    public let dataDirectories: [FilePath]
    /// Such as `10.0.2`.
    public let version: String
    /// Digest of the program: what a template is tied to.
    public let buildID: String
    /// Whether the lab machine had it.
    public let isSystem: Bool
    /// Packages it was unpacked from; empty for one of the lab machine.
    public let packages: [PackageRecord]
}

/// A kernel that can be booted.
public struct KernelImage: Sendable, Equatable {
    /// Name in scenarios.
    public let name: String
    /// What `uname -r` will say.
    public let release: String
    /// Packages it comes from; empty for a kernel of the user.
    public let packages: [PackageRecord]
    /// The bzImage.
    public let vmlinuz: FilePath
    /// The ELF inside, which q35 boots up to a second sooner; `nil` when it could not be taken out.
    public let vmlinux: FilePath?
    /// Its build configuration; `nil` when there is none.
    public let config: FilePath?
    /// Uncompressed modules as `NAME.ko`.
    public let modulesFolder: FilePath
    /// Which modules, in load order.
    public let modules: ModulePlan
    /// Key of the cache entry: equal for equal content.
    public let key: String
}

/// An initramfs for one kernel.
public struct InitramfsImage: Sendable, Equatable {
    public let path: FilePath
    /// The kernel's name.
    public let kernel: String
    /// Key of the cache entry: equal for equal content.
    public let key: String
}

/// A userland as a disk.
public struct Userland: Sendable, Equatable {
    /// Name in scenarios.
    public let name: String
    /// An ext4 file system without partition table, to be attached read-only.
    public let disk: FilePath
    /// Every object in the disk with type, mode, size and SHA-256, one in each line.
    public let contents: FilePath
    /// Digest of `contents`: equal when two disks hold the same files.
    public let contentDigest: String
    /// Packages it comes from; empty for a root of the user.
    public let packages: [PackageRecord]
    /// Key of the cache entry.
    public let key: String
}

/// Runtimes as a disk, one folder for each.
public struct RuntimeDisk: Sendable, Equatable {
    /// Sorted.
    public let runtimes: [RuntimeName]
    /// An ext4 file system without partition table, to be attached read-only.
    public let disk: FilePath
    /// Packages that the runtimes come from.
    public let packages: [PackageRecord]
    /// Key of the cache entry: equal for equal content.
    public let key: String
}

/// One entry of the image cache.
public struct ImageEntry: Sendable, Equatable {
    public let kind: ImageKind
    public let name: String
    /// Name of the entry's folder.
    public let entry: String
    public let folder: FilePath
    public let bytes: Int
    /// Whether a recipe stands for it now; `prune` removes the others.
    public let isReferenced: Bool
    /// `nil` when its manifest cannot be read.
    public let manifest: ImageManifest?
}

/// What came of preparing one recipe.
public struct Preparation: Sendable, Equatable {
    public let kind: ImageKind
    public let name: String
    /// The entry's key, or why there is none.
    public let result: Result<String, ImagesError>
}

/// What `verify` found in one entry.
public struct EntryCheck: Sendable, Equatable {
    public let entry: String
    /// One sentence for each deviation; empty when the entry is as it was built.
    public let deviations: [String]
}
