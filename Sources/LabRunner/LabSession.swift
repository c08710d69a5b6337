import Foundation
public import LabImages
public import LabVM
public import Logging

/// What every command that boots guests needs: crlab's parts, the image library, and a QEMU that is known to be good.
public struct LabSession: Sendable {
    public let installation: Installation
    public let library: ImageLibrary
    public let lab: Lab
    public let preparation: HostPreparation

    /// Opens the lab on this machine. Fetches QEMU when the machine has none that is good.
    ///
    /// - Parameter accelerator: `auto` probes KVM by booting a guest.
    /// - Parameter cold: Boot every guest instead of cloning warm ones.
    public static func open(
        accelerator: AcceleratorChoice, cold: Bool = false, logger: Logger,
        progress: @escaping @Sendable (ImagesProgress) -> Void
    ) async throws -> LabSession {
        let installation = try Installation.find()
        let library = try ImageLibrary(
            configuration: .fromEnvironment(recipes: installation.recipes), logger: logger, progress: progress)
        let qemu = try await library.qemu()
        let cache = LibraryConfiguration.fromEnvironment(recipes: installation.recipes).cache
        var probe: BootImages?
        // Only a real boot tells whether KVM works; without a device to open there is nothing to find out.
        if accelerator == .kvm || accelerator == .auto && access("/dev/kvm", R_OK | W_OK) == 0 {
            let kernel = try await library.kernel(named: probeKernel)
            let initramfs = try await library.initramfs(
                for: kernel, agent: installation.agent, engine: installation.engine)
            probe = BootImages(
                kernel: (kernel.vmlinux ?? kernel.vmlinuz).string, initramfs: initramfs.path.string, disk: nil,
                diskIdentity: "")
        }
        let lab = try await Lab.open(
            qemu: QEMUBinary(
                executable: qemu.executable.string, dataFolders: qemu.dataDirectories.map(\.string)),
            accelerator: accelerator, probe: probe, cacheFolder: cache.appending("probes").string,
            templateFolder: cold ? "" : cache.appending("templates").string)
        return LabSession(
            installation: installation, library: library, lab: lab,
            preparation: HostPreparation(installation: installation, library: library))
    }

    /// The kernel that `auto` boots to find out whether KVM works: the one of the oldest supported lab machine.
    public static let probeKernel = "debian-6.1"
}
