public import CRModel
public import LabImages
public import LabScenario
public import LabVM
public import SystemPackage

/// A host of a scenario before any boot: what to boot, or why it cannot be had.
public enum HostReadiness: Sendable {
    case ready(BootImages, packages: [String: String])
    case unavailable(LabFailure)
}

/// Turns the hosts of a scenario into what a guest boots from.
public struct HostPreparation: Sendable {
    let installation: Installation
    let library: ImageLibrary

    public init(installation: Installation, library: ImageLibrary) {
        self.installation = installation
        self.library = library
    }

    /// Prepares every host; one that cannot be had is an answer, not an error.
    ///
    /// - Parameter folder: Folder to which the scenario's relative paths refer.
    public func prepare(
        _ hosts: [HostSpec], kernels: [String: OwnKernel] = [:], userlands: [String: OwnUserland] = [:],
        relativeTo folder: FilePath, lab: Lab
    ) async -> [HostName: HostReadiness] {
        var boots: [String: Result<(KernelImage, FilePath), ImagesError>] = [:]
        var disks: [String: Result<Userland, ImagesError>] = [:]
        var readiness: [HostName: HostReadiness] = [:]
        for host in hosts {
            if boots[host.kernel] == nil {
                boots[host.kernel] = await kernel(host.kernel, own: kernels[host.kernel], folder: folder)
            }
            if disks[host.userland] == nil {
                disks[host.userland] = await userland(host.userland, own: userlands[host.userland], folder: folder)
            }
            guard let boot = boots[host.kernel], let disk = disks[host.userland] else { continue }
            readiness[host.name] = await ready(host, boot: boot, disk: disk, lab: lab)
        }
        return readiness
    }

    private func ready(
        _ host: HostSpec, boot: Result<(KernelImage, FilePath), ImagesError>, disk: Result<Userland, ImagesError>,
        lab: Lab
    ) async -> HostReadiness {
        do {
            _ = try lab.resolve(cpu: host.cpu)
        } catch {
            return .unavailable(error.labFailure)
        }
        switch (boot, disk) {
        case (.success((let kernel, let initramfs)), .success(let userland)):
            // Machines without ACPI tables from firmware cannot start the bare ELF (facts: microvm on QEMU 10).
            let image = host.machine == "microvm" ? kernel.vmlinuz : kernel.vmlinux ?? kernel.vmlinuz
            var packages = ["crlab kernel image": kernel.key, "crlab userland image": userland.key]
            for package in kernel.packages + userland.packages { packages[package.name] = package.version }
            if let qemu = try? await library.qemu() {
                packages["QEMU build"] = qemu.buildID
                for package in qemu.packages where package.name.hasPrefix("qemu-") {
                    packages[package.name] = package.version
                }
            }
            return .ready(
                BootImages(
                    kernel: image.string, initramfs: initramfs.string, disk: userland.disk.string,
                    diskIdentity: userland.contentDigest),
                packages: packages)
        case (.failure(let error), _), (_, .failure(let error)):
            return .unavailable(LabFailure(reason: .harnessUnavailable, summary: error.explanation.line))
        }
    }

    private func kernel(
        _ name: String, own: OwnKernel?, folder: FilePath
    ) async -> Result<(KernelImage, FilePath), ImagesError> {
        do {
            let kernel =
                if let own {
                    try await library.kernel(
                        KernelRecipe(
                            name: name,
                            source: .files(
                                bzImage: folder.pushing(FilePath(own.bzImage)).string,
                                modules: own.modules.map { folder.pushing(FilePath($0)).string }, config: nil),
                            file: "the scenario"))
                } else {
                    try await library.kernel(named: name)
                }
            let initramfs = try await library.initramfs(
                for: kernel, agent: installation.agent, engine: installation.engine)
            return .success((kernel, initramfs.path))
        } catch {
            return .failure(error)
        }
    }

    private func userland(
        _ name: String, own: OwnUserland?, folder: FilePath
    ) async -> Result<Userland, ImagesError> {
        do {
            switch own {
            case .directory(let path), .tar(let path):
                let recipe = UserlandRecipe(
                    name: name, root: folder.pushing(FilePath(path)).string, file: "the scenario")
                return .success(try await library.userland(recipe, workloads: installation.workloads))
            case nil:
                return .success(try await library.userland(named: name, workloads: installation.workloads))
            }
        } catch {
            return .failure(error)
        }
    }
}
