public import CRModel
public import LabImages
public import LabScenario
public import LabVM
public import SystemPackage

/// A host of a scenario before any boot: what to boot, or why it cannot be had.
public enum HostReadiness: Sendable {
    /// - Parameter lab: The lab with the QEMU that this host asks for.
    case ready(BootImages, packages: [String: String], lab: Lab)
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
    private let labs = LabsByQEMU()

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
            readiness[host.name] = await ready(host, boot: boot, disk: disk, runtimes: runtimes.disk, standard: lab)
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
        runtimes: RuntimeDisk?, standard: Lab
    ) async -> HostReadiness {
        let qemu: QEMUInstallation
        let lab: Lab
        do {
            (qemu, lab) = try await self.lab(for: host, standard)
            _ = try lab.resolve(cpu: host.cpu)
        } catch let error as VMError {
            return .unavailable(error.labFailure)
        } catch {
            let why = (error as? any Explained)?.explanation.line ?? "\(error)"
            return .unavailable(LabFailure(reason: .harnessUnavailable, summary: why))
        }
        switch (boot, disk) {
        case (.success((let kernel, let initramfs)), .success(let userland)):
            // Machines without ACPI tables from firmware cannot start the bare ELF (facts: microvm on QEMU 10).
            let image = host.machine == "microvm" ? kernel.vmlinuz : kernel.vmlinux ?? kernel.vmlinuz
            var packages = ["crlab kernel image": kernel.key, "crlab userland image": userland.key]
            for package in kernel.packages + userland.packages { packages[package.name] = package.version }
            if let runtimes { packages["crlab runtimes image"] = runtimes.key }
            packages["QEMU"] = qemu.version
            packages["QEMU build"] = qemu.buildID
            for package in qemu.packages where package.name.hasPrefix("qemu-") {
                packages[package.name] = package.version
            }
            return .ready(
                BootImages(
                    kernel: image.string, initramfs: initramfs.string, disk: userland.disk.string,
                    diskIdentity: userland.contentDigest, runtimeDisk: runtimes?.disk.string),
                packages: packages, lab: lab)
        case (.failure(let error), _), (_, .failure(let error)):
            return .unavailable(LabFailure(reason: .harnessUnavailable, summary: error.explanation.line))
        }
    }

    /// The lab with the QEMU of a recipe; the one given when there is no name.
    public func lab(named name: String?, like lab: Lab) async throws -> Lab {
        guard let name else { return lab }
        return try await labs.lab(with: try await library.qemu(named: name), like: lab)
    }

    private func lab(for host: HostSpec, _ lab: Lab) async throws -> (QEMUInstallation, Lab) {
        guard let name = host.qemu else { return (try await library.qemu(), lab) }
        let qemu = try await library.qemu(named: name)
        return (qemu, try await labs.lab(with: qemu, like: lab))
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

/// Labs with other QEMUs than the lab machine's own, each opened once.
private actor LabsByQEMU {
    private var labs: [String: Lab] = [:]

    func lab(with qemu: QEMUInstallation, like standard: Lab) async throws -> Lab {
        if let lab = labs[qemu.buildID] { return lab }
        let lab = try await standard.with(
            QEMUBinary(executable: qemu.executable.string, dataFolders: qemu.dataDirectories.map(\.string)))
        labs[qemu.buildID] = lab
        return lab
    }
}
