import CRModel
import SystemPackage

extension ImageLibrary {
    /// A kernel, fetched and taken apart when that was not done before.
    ///
    /// - Throws: `ImagesError`; `.suiteUnavailable` and `.packageUnavailable` mean that the mirror does not hold it.
    public func kernel(named name: String) async throws(ImagesError) -> KernelImage {
        try await kernel(recipes.kernel(named: name))
    }

    /// A kernel by a recipe that need not be a file.
    public func kernel(_ recipe: KernelRecipe) async throws(ImagesError) -> KernelImage {
        let name = recipe.name
        let wish: ModuleWish
        if let own = recipe.modules { wish = own } else { wish = try recipes.modules.get() }
        var plan = Plan(kind: .kernel, name: name, identity: recipe.identity(wish))
        let entry: ImageCache.Entry
        switch recipe.source {
        case .packages(let suites, let package, let version):
            plan.suites = suites
            entry = try await self.entry(plan) { () async throws(ImagesError) in
                try await self.resolveKernel(suites, package, version)
            } build: { (folder, packages) async throws(ImagesError) in
                let files = try await self.archive(suites).fetch(packages)
                return try await self.buildKernel(name, wish, packages: files, in: folder)
            }
        case .member(let family, let choice):
            plan.suites = family.suites
            entry = try await self.entry(plan) { () async throws(ImagesError) in
                try await self.resolve(choice, of: family, named: name)
            } build: { (folder, packages) async throws(ImagesError) in
                let files = try await self.archive([packages.first?.suite ?? family.suites[0]]).fetch(packages)
                return try await self.buildKernel(name, wish, packages: files, in: folder)
            }
        case .files(let bzImage, let modules, let config):
            plan.inputs = try await ownInputs(bzImage, modules, config)
            entry = try await self.entry(plan) { () async throws(ImagesError) in
                []
            } build: { (folder, _) async throws(ImagesError) in
                try await self.buildKernel(
                    name, wish, bzImage: FilePath(bzImage), modules: modules.map { FilePath($0) },
                    config: config.map { FilePath($0) }, in: folder)
            }
        }
        return Self.kernelImage(name, entry)
    }

    private static func kernelImage(_ name: String, _ entry: ImageCache.Entry) -> KernelImage {
        func there(_ file: String) -> FilePath? {
            entry.manifest.files.contains { $0.path == file } ? entry.path(file) : nil
        }
        return KernelImage(
            name: name, release: entry.manifest.facts["release"] ?? "", packages: entry.manifest.packages,
            vmlinuz: entry.path("vmlinuz"), vmlinux: there("vmlinux"), config: there("config"),
            modulesFolder: entry.path("modules"),
            modules: entry.manifest.modules ?? ModulePlan(boot: [], extra: [], absent: []), key: entry.manifest.key)
    }

    private func resolveKernel(
        _ suites: [String], _ package: String, _ version: String?
    ) async throws(ImagesError) -> [PackageRecord] {
        let archive = try await updatedArchive(suites)
        let found = try await archive.paragraphs(matching: NamePattern(package))
        guard let image = KernelPackages.newest(of: found, version: version), let name = image["Package"],
            let exact = image["Version"]
        else {
            let wanted = version.map { "\(package) in version \($0)" } ?? package
            throw .packageUnavailable(
                package: wanted, suite: suites.joined(separator: ", "), mirror: archive.mirror.uri(for: suites[0]),
                why: found.isEmpty ? "no package there has such a name" : "none of the \(found.count) versions matches")
        }
        return try await archive.records(of: ([name] + KernelPackages.siblings(of: image)).map { "\($0)=\(exact)" })
    }

    /// Digests that stand for a user's own kernel. The modules are taken by path, size and time: hashing the content
    /// of some thousand files at every start would cost more than it finds.
    private func ownInputs(
        _ bzImage: String, _ modules: String?, _ config: String?
    ) async throws(ImagesError) -> [String: String] {
        var inputs: [String: String] = [:]
        let digests = FileDigests(tools: tools)
        for (what, path) in [("bzImage", bzImage), ("config", config ?? "")] where !path.isEmpty {
            guard Files.exists(FilePath(path)) else { throw .inputUnreadable(path: path, why: "there is no such file") }
            inputs[what] = try await digests.digest(of: FilePath(path))
        }
        if let modules { inputs["modules"] = SHA256.hex(try Self.listing(of: FilePath(modules))) }
        return inputs
    }

    /// Paths, sizes and times of a tree.
    static func listing(of folder: FilePath) throws(ImagesError) -> String {
        try Files.tree(folder).map { "\($0.path) \($0.mode) \($0.size) \($0.modified.timeIntervalSince1970)" }
            .joined(separator: "\n")
    }

    private func buildKernel(
        _ name: String, _ wish: ModuleWish, packages: [FilePath], in folder: FilePath
    ) async throws(ImagesError) -> ImageCache.Content {
        report(.building(.kernel, name: name, step: "unpack packages"))
        let tree = try cache.makeScratch()
        try await unpack(packages, into: tree)
        let found = try Self.locate(in: tree, name: name)
        let content = try await buildKernel(
            name, wish, bzImage: found.bzImage, modules: found.modules, config: found.config, in: folder)
        try Files.removeTree(tree)
        return content
    }

    /// Where a Debian package keeps its parts: vmlinuz and config in `/boot` up to 7.1, beside the modules from 7.2.
    private static func locate(
        in tree: FilePath, name: String
    ) throws(ImagesError) -> (bzImage: FilePath, modules: FilePath?, config: FilePath?) {
        let boot = tree.appending("boot")
        var bzImage = Files.names(in: boot).first { $0.hasPrefix("vmlinuz") }.map { boot.appending($0) }
        var config = Files.names(in: boot).first { $0.hasPrefix("config-") }.map { boot.appending($0) }
        var modules: FilePath?
        for parent in ["usr/lib/modules", "lib/modules"] {
            for release in Files.names(in: tree.appending(parent)) {
                let folder = tree.appending(parent).appending(release)
                if Files.isFolder(folder.appending("kernel")) { modules = folder }
                if Files.exists(folder.appending("vmlinuz")) { bzImage = folder.appending("vmlinuz") }
                if Files.exists(folder.appending("config")) { config = folder.appending("config") }
            }
        }
        guard let bzImage else {
            throw .kernelUnusable(name: name, path: tree.string, why: "its packages hold no vmlinuz")
        }
        return (bzImage, modules, config)
    }

    private func buildKernel(
        _ name: String, _ wish: ModuleWish, bzImage: FilePath, modules: FilePath?, config: FilePath?,
        in folder: FilePath
    ) async throws(ImagesError) -> ImageCache.Content {
        let bytes = try Files.bytes(bzImage)
        guard let image = BzImage(bytes) else {
            throw .kernelUnusable(
                name: name, path: bzImage.string, why: "it is no x86 bzImage of boot protocol 2.08 or later")
        }
        guard let release = image.release else {
            throw .kernelUnusable(name: name, path: bzImage.string, why: "its header names no release")
        }
        try Files.write(bytes, to: folder.appending("vmlinuz"))
        if let config { try Files.copy(config, to: folder.appending("config")) }
        report(.building(.kernel, name: name, step: "extract the ELF"))
        try await extract(image, of: bytes, to: folder.appending("vmlinux"))
        report(.building(.kernel, name: name, step: "order modules"))
        let plan = try await takeModules(wish, release: release, from: modules, to: folder.appending("modules"))
        return ImageCache.Content(facts: ["release": release], modules: plan)
    }

    private func extract(_ image: BzImage, of bytes: [UInt8], to path: FilePath) async throws(ImagesError) {
        let tool: HostTool
        switch image.compression {
        case .gzip: tool = .gzip
        case .xz: tool = .xz
        case .lz4: tool = .lz4
        case .zstd: tool = .zstd
        case .none:
            try Files.write(Array(bytes[image.payload]), to: path)
            return
        }
        let program = try tools.require(tool, for: "unpack the kernel")
        let scratch = try cache.makeScratch()
        let packed = scratch.appending("payload")
        try Files.write(Array(bytes[image.payload]), to: packed)
        // lz4 and xz write only beside their input or to stdout, so a shell opens the file.
        try await tools.run(
            .shell, ["-c", "exec \"$1\" -dc < \"$2\" > \"$3\"", "sh", program.string, packed.string, path.string],
            purpose: "unpack the kernel")
        try Files.removeTree(scratch)
    }

    private func takeModules(
        _ wish: ModuleWish, release: String, from folder: FilePath?, to target: FilePath
    ) async throws(ImagesError) -> ModulePlan {
        try Files.makeFolder(target)
        // Without a folder everything must be built in, and nobody can tell whether it is: the boot will show.
        guard let folder else { return ModulePlan(boot: [], extra: [], absent: wish.boot + wish.extra) }
        let tree = try ModuleTree(folder: folder, tools: tools)
        var order = ModuleOrder()
        let lookup = { (name: String) async throws(ImagesError) -> ModuleInfo? in try await tree.info(name) }
        try await order.add(wish.boot, builtin: tree.builtin, kernel: release, lookup: lookup)
        if let missing = order.absent.first {
            throw .moduleMissing(module: missing, kernel: release, neededBy: "the guest's start")
        }
        let boot = order.order
        try await order.add(wish.extra, builtin: tree.builtin, kernel: release, lookup: lookup)
        for name in order.order {
            guard let object = try await tree.object(name) else { continue }
            try Files.write(object, to: target.appending("\(name).ko"))
        }
        return ModulePlan(boot: boot, extra: Array(order.order.dropFirst(boot.count)), absent: order.absent)
    }
}
