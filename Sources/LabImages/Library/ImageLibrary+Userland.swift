import CRModel
public import SystemPackage

extension ImageLibrary {
    /// Where workloads lie in every userland.
    public static let workloadsPath = "opt/crlab/workloads"

    /// A userland as a disk image, with the workloads in it.
    ///
    /// - Parameter workloads: A folder whose content is copied to ``workloadsPath``; `nil` for none.
    /// - Throws: `ImagesError`; `.suiteUnavailable` and `.packageUnavailable` mean that the mirror does not hold it.
    public func userland(named name: String, workloads: FilePath?) async throws(ImagesError) -> Userland {
        try await userland(recipes.userland(named: name), workloads: workloads)
    }

    /// A userland by a recipe that need not be a file.
    public func userland(_ recipe: UserlandRecipe, workloads: FilePath?) async throws(ImagesError) -> Userland {
        let name = recipe.name
        var plan = Plan(kind: .userland, name: name, identity: recipe.identity)
        if let workloads { plan.inputs["workloads"] = try await contentDigest(of: workloads) }
        let entry: ImageCache.Entry
        switch recipe.source {
        case .packages(let suites, let packages, let alone):
            plan.suites = suites
            entry = try await self.entry(plan) { () async throws(ImagesError) in
                let archive = try await self.updatedArchive(suites)
                return alone ? try await archive.records(of: packages) : try await archive.closure(of: packages)
            } build: { (folder, records) async throws(ImagesError) in
                let files = try await self.archive(suites).fetch(records)
                return try await self.buildUserland(recipe, workloads, in: folder) { root throws(ImagesError) in
                    try await self.unpack(files, into: root)
                }
            }
        case .root(let path):
            plan.inputs["root"] = try await ownRootDigest(FilePath(path))
            entry = try await self.entry(plan) { () async throws(ImagesError) in
                []
            } build: { (folder, _) async throws(ImagesError) in
                try await self.buildUserland(recipe, workloads, in: folder) { root throws(ImagesError) in
                    try await self.takeOwnRoot(FilePath(path), into: root)
                }
            }
        }
        let manifest = entry.manifest
        return Userland(
            name: name, disk: entry.path("root.ext4"), contents: entry.path("contents.tsv"),
            contentDigest: manifest.facts["contentDigest"] ?? "", packages: manifest.packages, key: manifest.key)
    }

    /// Digest of a folder by content, for small ones.
    private func contentDigest(of folder: FilePath) async throws(ImagesError) -> String {
        guard Files.isFolder(folder) else {
            throw .inputUnreadable(path: folder.string, why: "there is no such folder")
        }
        return SHA256.hex(try await ContentsList.text(of: folder, digests: FileDigests(tools: tools)))
    }

    /// A tar file is taken by content; a folder, which may be large, by path, mode, size and time.
    private func ownRootDigest(_ path: FilePath) async throws(ImagesError) -> String {
        guard Files.exists(path) else {
            throw .inputUnreadable(path: path.string, why: "there is no such folder or file")
        }
        return Files.isFolder(path)
            ? SHA256.hex(try Self.listing(of: path)) : try await FileDigests(tools: tools).digest(of: path)
    }

    private func takeOwnRoot(_ path: FilePath, into root: FilePath) async throws(ImagesError) {
        if Files.isFolder(path) {
            try await tools.run(
                .copy, ["-a", "--no-preserve=ownership", "--", "\(path)/.", "\(root)/"], purpose: "copy the root folder"
            )
        } else {
            // Device nodes need root, and the guest mounts its own /dev.
            try await tools.run(
                .tar,
                [
                    "-xf", path.string, "-C", root.string, "--no-same-owner", "--exclude=./dev/*", "--exclude=dev/*",
                ], seconds: 1800, purpose: "unpack the root tar file")
        }
    }

    private func buildUserland(
        _ recipe: UserlandRecipe, _ workloads: FilePath?, in folder: FilePath,
        fill: (FilePath) async throws(ImagesError) -> Void
    ) async throws(ImagesError) -> ImageCache.Content {
        report(.building(.userland, name: recipe.name, step: "unpack"))
        let root = StagedRoot(folder: try cache.makeScratch())
        try await fill(root.folder)
        try await root.mergeUsr(tools)
        for path in recipe.exclude { try root.remove(path) }
        for (path, destination) in recipe.links.sorted(by: { $0.key < $1.key }) {
            try root.link(path, to: destination)
        }
        for (path, text) in recipe.files.sorted(by: { $0.key < $1.key }) { try root.write(text, to: path) }
        // What the agent mounts on.
        for path in ["dev", "proc", "sys", "run", "tmp", "mnt", "root"] + recipe.folders { try root.makeFolder(path) }
        try root.makeFolder(Self.workloadsPath)
        if let workloads {
            let target = try root.path(Self.workloadsPath)
            try await tools.run(
                .copy, ["-a", "--no-preserve=ownership", "--", "\(workloads)/.", "\(target)/"],
                purpose: "copy the workloads")
        }
        let linkerCache = try await makeLinkerCache(root)
        // Own files must be readable to be copied into the disk (some systems give /etc/shadow no mode at all), and
        // nothing in a guest, where all run as root, needs set-uid bits.
        try await tools.run(.changeMode, ["-R", "u+rX,ug-s", root.folder.string], purpose: "set the modes of files")

        report(.building(.userland, name: recipe.name, step: "list contents"))
        let contents = try await ContentsList.text(of: root.folder, digests: FileDigests(tools: tools))
        try Files.write(contents, to: folder.appending("contents.tsv"))
        report(.building(.userland, name: recipe.name, step: "make the disk"))
        try await Ext4Disk(tools: tools).make(
            from: root.folder, to: folder.appending("root.ext4"), label: "crlab", identity: contents,
            slackMiB: recipe.slackMiB)
        try Files.removeTree(root.folder)
        return ImageCache.Content(facts: ["contentDigest": SHA256.hex(contents), "linkerCache": linkerCache])
    }

    /// The dynamic linker works without its cache, only slower; so a lab machine whose `ldconfig` cannot do another
    /// root is no reason to fail, but it is recorded.
    private func makeLinkerCache(_ root: StagedRoot) async throws(ImagesError) -> String {
        guard Files.exists(try root.path("etc/ld.so.conf")) else { return "none: the root has no /etc/ld.so.conf" }
        let outcome = try await tools.attempt(
            .ldconfig, ["-X", "-r", root.folder.string], purpose: "make the linker cache")
        // Its own notes about the libraries; only root's run leaves them, and they hold times.
        try root.remove("var/cache/ldconfig")
        if outcome.succeeded { return "made" }
        try root.remove("etc/ld.so.cache")
        return "none: \(outcome.lastWords)"
    }
}
