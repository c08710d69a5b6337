public import SystemPackage

extension ImageLibrary {
    /// The initramfs of a kernel: the agent as `/init`, the engine as `/bin/crengine`, modules in load order.
    ///
    /// - Parameters:
    ///   - agent: A static executable; a stripped copy goes in.
    ///   - engine: The same; `nil` leaves it out.
    /// - Throws: `ImagesError`.
    public func initramfs(
        for kernel: KernelImage, agent: FilePath, engine: FilePath?
    ) async throws(ImagesError) -> InitramfsImage {
        let digests = FileDigests(tools: tools)
        var plan = Plan(kind: .initramfs, name: kernel.name, identity: ["kernel \(kernel.key)"])
        for (what, path) in [("agent", agent), ("engine", engine)] {
            guard let path else { continue }
            guard Files.exists(path) else {
                throw .inputUnreadable(path: path.string, why: "there is no such file; build it first")
            }
            plan.inputs[what] = try await digests.digest(of: path)
        }
        let entry = try await self.entry(plan) { () async throws(ImagesError) in
            []
        } build: { (folder, _) async throws(ImagesError) in
            try await self.buildInitramfs(kernel, agent: agent, engine: engine, in: folder)
        }
        return InitramfsImage(
            path: entry.path(entry.manifest.facts["file"] ?? "initramfs"), kernel: kernel.name, key: entry.manifest.key)
    }

    private func buildInitramfs(
        _ kernel: KernelImage, agent: FilePath, engine: FilePath?, in folder: FilePath
    ) async throws(ImagesError) -> ImageCache.Content {
        var archive = CPIOWriter()
        for name in [
            "bin", "dev", "etc", "etc/crlab", "lib", "lib/modules", "lib/modules/extra", "mnt", "proc", "root", "run",
            "sys", "tmp",
        ] {
            archive.addFolder(name)
        }
        // The kernel opens /dev/console for init before anything is mounted.
        archive.addCharacterDevice("dev/console", mode: 0o600, major: 5, minor: 1)
        archive.addCharacterDevice("dev/null", mode: 0o666, major: 1, minor: 3)
        archive.addCharacterDevice("dev/kmsg", mode: 0o644, major: 1, minor: 11)
        for name in kernel.modules.boot {
            archive.addFile("lib/modules/\(name).ko", content: try Files.bytes(module(name, kernel)))
        }
        for name in kernel.modules.extra {
            archive.addFile("lib/modules/extra/\(name).ko", content: try Files.bytes(module(name, kernel)))
        }
        archive.addFile("etc/crlab/modules", content: Self.list(kernel.modules.boot, in: "/lib/modules"))
        archive.addFile("etc/crlab/modules-extra", content: Self.list(kernel.modules.extra, in: "/lib/modules/extra"))
        archive.addFile("init", mode: 0o755, content: try await stripped(agent))
        if let engine { archive.addFile("bin/crengine", mode: 0o755, content: try await stripped(engine)) }
        archive.finish()

        let config = try kernel.config.map { path throws(ImagesError) in try Files.text(path) } ?? ""
        let plain = folder.appending("initramfs")
        try Files.write(archive.bytes, to: plain)
        // Unpacking costs guest time under TCG: lz4 is as quick as no compression; gzip where a kernel lacks it.
        let choice: (tool: HostTool, arguments: String, suffix: String)?
        if config.contains("CONFIG_RD_LZ4=y\n") {
            choice = (.lz4, "-l -9", "lz4")
        } else if config.contains("CONFIG_RD_GZIP=y\n") {
            choice = (.gzip, "-9 -n", "gz")
        } else {
            choice = nil
        }
        guard let choice else { return ImageCache.Content(facts: ["file": "initramfs"]) }
        let file = "initramfs.\(choice.suffix)"
        let program = try tools.require(choice.tool, for: "pack the initramfs")
        try await tools.run(
            .shell,
            [
                "-c", "exec \"$1\" \(choice.arguments) -c < \"$2\" > \"$3\"", "sh", program.string, plain.string,
                folder.appending(file).string,
            ], purpose: "pack the initramfs")
        try Files.removeTree(plain)
        return ImageCache.Content(facts: ["file": file])
    }

    private func module(_ name: String, _ kernel: KernelImage) -> FilePath {
        kernel.modulesFolder.appending("\(name).ko")
    }

    private static func list(_ names: [String], in folder: String) -> [UInt8] {
        Array(names.map { "\(folder)/\($0).ko\n" }.joined().utf8)
    }

    private func stripped(_ path: FilePath) async throws(ImagesError) -> [UInt8] {
        let scratch = try cache.makeScratch()
        let target = scratch.appending("stripped")
        try await tools.run(.strip, ["-o", target.string, path.string], purpose: "strip \(path)")
        let bytes = try Files.bytes(target)
        try Files.removeTree(scratch)
        return bytes
    }
}
