public import CRModel
import SystemPackage

extension ImageLibrary {
    /// The disk that gives guests these runtimes; `native` needs none.
    ///
    /// - Parameter names: Recipes; order and repetition do not matter.
    /// - Returns: `nil` when none of the names needs a disk.
    /// - Throws: `ImagesError` for the first runtime that is not to be had.
    public func runtimeDisk(_ names: some Sequence<RuntimeName>) async throws(ImagesError) -> RuntimeDisk? {
        var runtimes: [ImageCache.Entry] = []
        let wanted = Set(names).subtracting([.native]).sorted()
        guard !wanted.isEmpty else { return nil }
        for name in wanted { runtimes.append(try await runtime(recipes.runtime(named: name.rawValue))) }
        // One disk for each set of runtimes that some scenario asks for.
        let label = SHA256.hex(wanted.map(\.rawValue).joined(separator: " ")).prefix(8)
        let plan = Plan(
            kind: .runtimes, name: "set-\(label)", identity: runtimes.map { "runtime \($0.manifest.key)" })
        let built = runtimes
        let entry = try await self.entry(plan) { () async throws(ImagesError) in
            []
        } build: { (folder, _) async throws(ImagesError) in
            try await self.buildRuntimeDisk(built, in: folder)
        }
        return RuntimeDisk(
            runtimes: wanted, disk: entry.path("runtimes.ext4"), packages: runtimes.flatMap { $0.manifest.packages },
            key: entry.manifest.key)
    }

    /// Builds one runtime when that was not done before.
    ///
    /// - Throws: `ImagesError`; `.suiteUnavailable` and `.packageUnavailable` mean that the mirror does not hold it.
    public func prepare(runtime name: RuntimeName) async throws(ImagesError) {
        _ = try await runtime(recipes.runtime(named: name.rawValue))
    }

    /// One runtime, unpacked with the libraries that it needs and nothing else.
    func runtime(_ recipe: RuntimeRecipe) async throws(ImagesError) -> ImageCache.Entry {
        var plan = Plan(kind: .runtime, name: recipe.name.rawValue, identity: recipe.identity)
        switch recipe.source {
        case .packages(let suites, let packages):
            plan.suites = suites
            return try await entry(plan) { () async throws(ImagesError) in
                try await self.updatedArchive(suites).closure(of: packages)
            } build: { (folder, records) async throws(ImagesError) in
                let files = try await self.archive(suites).fetch(records)
                self.report(.building(.runtime, name: recipe.name.rawValue, step: "unpack packages"))
                let tree = StagedRoot(folder: try self.cache.makeScratch())
                try await self.unpack(files, into: tree.folder)
                try await tree.mergeUsr(self.tools)
                var content = try await self.buildRuntime(
                    recipe, program: try tree.path(recipe.program ?? ""), loaders: [tree.folder], in: folder)
                try Files.removeTree(tree.folder)
                let asked = packages.first?.split(separator: "=").first ?? ""
                content.facts["version"] = records.first { $0.name == asked }?.version
                return content
            }
        case .path(let path):
            let own = FilePath(path)
            plan.inputs["path"] = try await ownDigest(own)
            return try await entry(plan) { () async throws(ImagesError) in
                []
            } build: { (folder, _) async throws(ImagesError) in
                let program = recipe.program.map { own.appending($0) } ?? own
                // A folder may bring libraries of its own; otherwise they are the lab machine's.
                return try await self.buildRuntime(recipe, program: program, loaders: [own, FilePath("/")], in: folder)
            }
        }
    }

    private func ownDigest(_ path: FilePath) async throws(ImagesError) -> String {
        guard Files.exists(path) else {
            throw .inputUnreadable(path: path.string, why: "there is no such file or folder")
        }
        return Files.isFolder(path)
            ? SHA256.hex(try Self.listing(of: path)) : try await FileDigests(tools: tools).digest(of: path)
    }

    /// - Parameter loaders: Roots in which a dynamic loader is looked for, with the libraries beside it.
    private func buildRuntime(
        _ recipe: RuntimeRecipe, program: FilePath, loaders: [FilePath], in folder: FilePath
    ) async throws(ImagesError) -> ImageCache.Content {
        guard Files.exists(program), !Files.isFolder(program) else {
            throw .inputUnreadable(
                path: program.string, why: "the recipe \(recipe.file) names this program, and there is no such file")
        }
        let name = program.lastComponent?.string ?? recipe.name.rawValue
        let root = folder.appending(recipe.name.rawValue)
        try Files.makeFolder(root.appending("bin"))
        try Files.copy(program, to: root.appending("bin").appending(name))
        try Files.setMode(0o755, of: root.appending("bin").appending(name))
        var installation = RuntimeInstallation(name: recipe.name, program: "bin/\(name)")
        if ELFObject(try Files.bytes(program))?.section(named: ".interp") != nil {
            let libraries = try await libraries(of: program, recipe, loaders: loaders)
            try Files.makeFolder(root.appending("lib"))
            for library in libraries {
                let target = root.appending("lib").appending(library.lastComponent?.string ?? "")
                try Files.copy(Files.resolvingLinks(library), to: target)
                try Files.setMode(0o755, of: target)
            }
            installation.loader = "lib/\(Self.loaderName)"
            installation.libraries = "lib"
        }
        guard let text = try? JSONCoder.text(of: installation, pretty: true) else {
            throw .fileFailed(path: root.string, action: "describe the runtime", why: "it cannot be written as JSON")
        }
        try Files.write(text + "\n", to: root.appending(RuntimeInstallation.fileName))
        return ImageCache.Content()
    }

    private static let loaderName = "ld-linux-x86-64.so.2"

    /// The shared libraries of a program with their loader, as that loader itself finds them.
    private func libraries(
        of program: FilePath, _ recipe: RuntimeRecipe, loaders roots: [FilePath]
    ) async throws(ImagesError) -> [FilePath] {
        // The link in lib64 may be absolute, and lead out of the tree.
        let folders = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64", "lib"]
        guard
            let (root, loader) = roots.lazy.compactMap({ root in
                folders.lazy.map { root.appending($0).appending(Self.loaderName) }.first { Files.exists($0) }
                    .map { (root, $0) }
            }).first
        else { throw .inputUnreadable(path: program.string, why: "no dynamic loader is there to start it") }
        var arguments: [String] = []
        if root != FilePath("/") {
            arguments = ["--library-path", folders.map { root.appending($0).string }.joined(separator: ":")]
        }
        let outcome = try await tools.attempt(
            loader, arguments + ["--list", program.string], seconds: 60,
            purpose: "find the libraries of \(recipe.name)")
        let lines = outcome.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        // `NAME => PATH (ADDRESS)`; `NAME => not found`; the vDSO and the loader itself have no arrow.
        let missing = lines.filter { $0.count > 2 && $0[1] == "=>" && !$0[2].hasPrefix("/") }
        guard outcome.succeeded, missing.isEmpty else {
            throw .inputUnreadable(
                path: program.string,
                why: missing.isEmpty
                    ? "its libraries cannot be listed: \(outcome.lastWords)"
                    : "it needs \(missing.map { $0[0].trimming }.joined(separator: ", ")), which is not there")
        }
        // The program's own name for its loader has an arrow where it is not the path of this one.
        let found = lines.filter { $0.count > 2 && $0[1] == "=>" }.map { FilePath($0[2]) }
        return [loader] + found.filter { $0.lastComponent?.string != Self.loaderName }
    }

    private func buildRuntimeDisk(
        _ runtimes: [ImageCache.Entry], in folder: FilePath
    ) async throws(ImagesError) -> ImageCache.Content {
        report(.building(.runtimes, name: "\(runtimes.count)", step: "make the disk"))
        let root = StagedRoot(folder: try cache.makeScratch())
        for runtime in runtimes {
            for name in Files.names(in: runtime.folder) where Files.isFolder(runtime.folder.appending(name)) {
                try await tools.run(
                    .copy, ["-a", "--", runtime.folder.appending(name).string, root.folder.string],
                    purpose: "copy the runtime \(name)")
            }
        }
        let contents = try await ContentsList.text(of: root.folder, digests: FileDigests(tools: tools))
        try await Ext4Disk(tools: tools).make(
            from: root.folder, to: folder.appending("runtimes.ext4"), label: "crlab-runtimes", identity: contents,
            slackMiB: 1)
        try Files.removeTree(root.folder)
        return ImageCache.Content()
    }
}

extension String {
    fileprivate var trimming: String { String(drop { $0 == "\t" }) }
}
