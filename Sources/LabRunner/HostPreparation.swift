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

/// The runtimes of a scenario before any boot.
public struct RuntimePreparation: Sendable {
    /// With all that can be had; `nil` when the bundled engine is the only one.
    public let disk: RuntimeDisk?
    /// Why the others cannot be had.
    public let unavailable: [RuntimeName: LabFailure]

    /// The bundled engine alone.
    public static let nativeOnly = RuntimePreparation(disk: nil, unavailable: [:])
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
    /// - Parameters:
    ///   - runtimes: What all of them get beside their userlands.
    ///   - folder: Folder to which the scenario's relative paths refer.
    public func prepare(
        _ hosts: [HostSpec], kernels: [String: OwnKernel] = [:], userlands: [String: OwnUserland] = [:],
        runtimes: RuntimePreparation = .nativeOnly, relativeTo folder: FilePath, lab: Lab
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
            readiness[host.name] = await ready(host, boot: boot, disk: disk, runtimes: runtimes.disk, lab: lab)
        }
        return readiness
    }

    /// Prepares the runtimes that these use; one that cannot be had is left out, and it is said why.
    public func prepare(runtimes: [RuntimeSpec]) async -> RuntimePreparation {
        var names: Set<RuntimeName> = []
        var unavailable: [RuntimeName: LabFailure] = [:]
        for name in Set(runtimes.flatMap { [$0.dump.runtime, $0.restore.runtime] }).subtracting([.native]).sorted() {
            do {
                try await library.prepare(runtime: name)
                names.insert(name)
            } catch {
                unavailable[name] = LabFailure(reason: .harnessUnavailable, summary: error.explanation.line)
            }
        }
        do {
            return RuntimePreparation(disk: try await library.runtimeDisk(names), unavailable: unavailable)
        } catch {
            let failure = LabFailure(reason: .harnessUnavailable, summary: error.explanation.line)
            for name in names { unavailable[name] = failure }
            return RuntimePreparation(disk: nil, unavailable: unavailable)
        }
    }

    private func ready(
        _ host: HostSpec, boot: Result<(KernelImage, FilePath), ImagesError>, disk: Result<Userland, ImagesError>,
        runtimes: RuntimeDisk?, lab: Lab
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
            if let runtimes { packages["crlab runtimes image"] = runtimes.key }
            if let qemu = try? await library.qemu() {
                packages["QEMU build"] = qemu.buildID
                for package in qemu.packages where package.name.hasPrefix("qemu-") {
                    packages[package.name] = package.version
                }
            }
            return .ready(
                BootImages(
                    kernel: image.string, initramfs: initramfs.string, disk: userland.disk.string,
                    diskIdentity: userland.contentDigest, runtimeDisk: runtimes?.disk.string),
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
