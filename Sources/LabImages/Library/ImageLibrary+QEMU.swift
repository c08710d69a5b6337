import SystemPackage

extension ImageLibrary {
    private static let program = "qemu-system-x86_64"

    /// A QEMU whose guests can be trusted: the one the user names, else the lab machine's own when its version is known
    /// to be good, else the recipe's.
    ///
    /// - Throws: `ImagesError.qemuUnusable` for a named one that is known to be bad; otherwise why the recipe's is not
    ///   to be had.
    public func qemu() async throws(ImagesError) -> QEMUInstallation {
        if let found = foundQEMUs[""] { return found }
        let found: QEMUInstallation
        if let named = configuration.qemu {
            found = try await namedQEMU(FilePath(named))
        } else if let system = try await systemQEMU() {
            found = system
        } else {
            found = try await unpackedQEMU(try recipes.qemu())
            if case .bad(let why) = QEMUJudgement.of(version: found.version) {
                throw .qemuUnusable(path: found.executable.string, version: found.version, why: why)
            }
        }
        foundQEMUs[""] = found
        return found
    }

    /// A QEMU by its recipe's name, also one that is known to be bad: whoever names it wants it. That it is bad is
    /// reported.
    ///
    /// - Throws: `ImagesError`.
    public func qemu(named name: String) async throws(ImagesError) -> QEMUInstallation {
        if let found = foundQEMUs[name] { return found }
        let found = try await unpackedQEMU(try recipes.qemu(named: name))
        if case .bad(let why) = QEMUJudgement.of(version: found.version) {
            report(.suspect(.qemu, name: name, why: why))
        }
        foundQEMUs[name] = found
        return found
    }

    private func namedQEMU(_ path: FilePath) async throws(ImagesError) -> QEMUInstallation {
        guard Files.exists(path) else {
            throw .qemuUnusable(path: path.string, version: "", why: "there is no such program")
        }
        let version = try await version(of: path)
        if case .bad(let why) = QEMUJudgement.of(version: version) {
            throw .qemuUnusable(path: path.string, version: version, why: why)
        }
        return try await installation(path, version)
    }

    /// The lab machine's own QEMU; `nil` when there is none or it is passed over, which is reported.
    private func systemQEMU() async throws(ImagesError) -> QEMUInstallation? {
        guard let path = tools.find(Self.program) else { return nil }
        let version: String
        do {
            version = try await self.version(of: path)
        } catch {
            report(.passedOver(path: path.string, version: "", why: error.explanation.why))
            return nil
        }
        switch QEMUJudgement.of(version: version) {
        case .good: return try await installation(path, version)
        case .bad(let why): report(.passedOver(path: path.string, version: version, why: why))
        case .unmeasured:
            report(
                .passedOver(
                    path: path.string, version: version,
                    why: "nobody has measured this version; CRLAB_QEMU takes it all the same"))
        }
        return nil
    }

    private func installation(_ path: FilePath, _ version: String) async throws(ImagesError) -> QEMUInstallation {
        QEMUInstallation(
            executable: path, dataDirectories: [], version: version,
            buildID: try await FileDigests(tools: tools).digest(of: path), isSystem: true, packages: [])
    }

    private func version(of path: FilePath) async throws(ImagesError) -> String {
        let outcome = try await tools.attempt(path, ["--version"], seconds: 30, purpose: "ask QEMU for its version")
        guard outcome.succeeded, let version = QEMUJudgement.version(in: outcome.text) else {
            throw .qemuUnusable(
                path: path.string, version: "",
                why: outcome.succeeded
                    ? "it does not tell its version" : "it ended with \(outcome.status): \(outcome.lastWords)")
        }
        return version
    }

    private func unpackedQEMU(_ recipe: QEMURecipe) async throws(ImagesError) -> QEMUInstallation {
        var plan = Plan(kind: .qemu, name: recipe.name, identity: recipe.identity)
        plan.suites = recipe.suites
        let entry = try await self.entry(plan) { () async throws(ImagesError) in
            try await self.updatedArchive(recipe.suites, prefer: recipe.prefer).closure(of: recipe.packages)
        } build: { (folder, packages) async throws(ImagesError) in
            try await self.buildQEMU(recipe, packages, in: folder)
        }
        let facts = entry.manifest.facts
        return QEMUInstallation(
            executable: entry.path("bin").appending(Self.program),
            dataDirectories: recipe.dataFolders.map { entry.path("root").appending($0) },
            version: facts["version"] ?? "", buildID: facts["buildID"] ?? "", isSystem: false,
            packages: entry.manifest.packages)
    }

    private func buildQEMU(
        _ recipe: QEMURecipe, _ packages: [PackageRecord], in folder: FilePath
    ) async throws(ImagesError) -> ImageCache.Content {
        let files = try await archive(recipe.suites, prefer: recipe.prefer).fetch(packages)
        report(.building(.qemu, name: recipe.name, step: "unpack packages"))
        let tree = try cache.makeScratch()
        try await unpack(files, into: tree)
        let root = folder.appending("root")
        for path in recipe.keep where Files.exists(tree.appending(path)) {
            let target = root.appending(path)
            try Files.makeFolder(target.removingLastComponent())
            try Files.rename(tree.appending(path), to: target)
        }
        try Files.removeTree(tree)
        let program = root.appending(recipe.program)
        guard Files.exists(program) else {
            throw .qemuUnusable(
                path: recipe.file, version: "", why: "the packages or the list keep hold no \(recipe.program)")
        }
        // Debian 13 and later have all of it below /usr.
        guard
            let loader = ["usr/lib64", "lib64"].map({ "\($0)/ld-linux-x86-64.so.2" })
                .first(where: { Files.exists(root.appending($0)) })
        else {
            throw .qemuUnusable(
                path: recipe.file, version: "", why: "the packages or the list keep hold no dynamic loader")
        }
        let script = folder.appending("bin").appending(Self.program)
        try Files.makeFolder(script.removingLastComponent())
        try Files.write(Self.startScript(program: recipe.program, loader: loader), to: script)
        try Files.setMode(0o755, of: script)
        let version = try await version(of: script)
        let digest = try await FileDigests(tools: tools).digest(of: program)
        return ImageCache.Content(facts: ["version": version, "buildID": digest])
    }

    /// Runs the program through the loader and libraries it came with: the lab machine may have older ones, or a C
    /// library that does not go with them. Started that way QEMU looks for its modules beside the loader, and 7.2's TCG
    /// is a module.
    static func startScript(program: String, loader: String) -> String {
        """
        #!/bin/sh
        root=${0%/*}/../root
        export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
        exec "$root/\(loader)" --argv0 "$0" \\
            --library-path "$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu" \\
            "$root/\(program)" "$@"
        """ + "\n"
    }
}
