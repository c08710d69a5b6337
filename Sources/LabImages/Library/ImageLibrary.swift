import Foundation
public import Logging
public import SystemPackage

/// Prepared images: looked up in the cache, built when they are not there.
///
/// Nothing needs root. An image is identified by a key over its recipe, the exact packages and all other inputs; the
/// same key always means the same content.
public actor ImageLibrary {
    /// Goes into every key, so that a change in how images are built makes new ones.
    static let builderVersion = 1

    let configuration: LibraryConfiguration
    let recipes: RecipeBook
    let cache: ImageCache
    let tools = ToolRunner()
    let logger: Logger
    let report: @Sendable (ImagesProgress) -> Void
    /// Held as long as the library lives, so that `prune` of another crlab takes nothing away from under a guest.
    var useLock: CacheLock?
    var foundQEMU: QEMUInstallation?
    /// Plans resolved anew by this library, so that `refresh` resolves each once and not at every use.
    private var refreshed: Set<String> = []

    /// Opens the cache and reads the recipes.
    ///
    /// - Throws: `ImagesError` when the cache cannot be made or there is no folder of recipes.
    public init(
        configuration: LibraryConfiguration, logger: Logger,
        progress: @escaping @Sendable (ImagesProgress) -> Void = { _ in }
    ) throws(ImagesError) {
        self.configuration = configuration
        self.logger = logger
        report = progress
        recipes = try RecipeBook(folder: configuration.recipes)
        cache = try ImageCache(folder: configuration.cache, tools: tools)
    }

    /// Names of the kernels and userlands that recipes describe, sorted; also those whose recipes are damaged.
    public nonisolated var known: (kernels: [String], userlands: [String]) {
        (recipes.kernels.keys.sorted(), recipes.userlands.keys.sorted())
    }

    /// Prepares QEMU, kernels and userlands; one that is not to be had does not stop the others.
    ///
    /// - Parameters:
    ///   - kernels: Names; `nil` means all recipes.
    ///   - userlands: Names; `nil` means all recipes.
    ///   - workloads: The folder copied into every userland; `nil` for none.
    /// - Returns: One result for each recipe, QEMU first.
    public func prepare(
        kernels: [String]? = nil, userlands: [String]? = nil, workloads: FilePath? = nil
    ) async -> [Preparation] {
        var results = [
            await attempt(.qemu, "qemu") { () async throws(ImagesError) in try await self.qemu().buildID }
        ]
        for name in kernels ?? known.kernels {
            results.append(
                await attempt(.kernel, name) { () async throws(ImagesError) in
                    try await self.kernel(named: name).key
                })
        }
        for name in userlands ?? known.userlands {
            results.append(
                await attempt(.userland, name) { () async throws(ImagesError) in
                    try await self.userland(named: name, workloads: workloads).key
                })
        }
        return results
    }

    private func attempt(
        _ kind: ImageKind, _ name: String, _ body: () async throws(ImagesError) -> String
    ) async -> Preparation {
        do {
            return Preparation(kind: kind, name: name, result: .success(try await body()))
        } catch {
            report(.unavailable(kind, name: name, error: error))
            return Preparation(kind: kind, name: name, result: .failure(error))
        }
    }

    /// What an entry is to be made from, known before anything is fetched or built.
    struct Plan: Sendable {
        let kind: ImageKind
        let name: String
        /// What the recipe says, in a fixed order.
        let identity: [String]
        /// Digests of inputs that are no packages.
        var inputs: [String: String] = [:]
        var suites: [String] = []

        /// Digest of recipe and inputs: when it is as it was, the versions resolved then may serve again.
        var digest: String {
            SHA256.hex(
                (["\(kind.rawValue) \(name) \(ImageLibrary.builderVersion)"] + identity
                    + inputs.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }).joined(separator: "\n"))
        }

        func key(_ packages: [PackageRecord]) -> String {
            packages.isEmpty
                ? digest
                : SHA256.hex(
                    ([digest] + packages.map { "\($0.name) \($0.version) \($0.sha256)" }).joined(separator: "\n"))
        }
    }

    /// The entry a plan stands for: the one known, one built before from the same packages, or a new one.
    ///
    /// - Parameters:
    ///   - resolve: Which packages there are now; not called while known versions are good enough.
    ///   - build: Fills a folder.
    func entry(
        _ plan: Plan, resolve: () async throws(ImagesError) -> [PackageRecord],
        build: (FilePath, [PackageRecord]) async throws(ImagesError) -> ImageCache.Content
    ) async throws(ImagesError) -> ImageCache.Entry {
        if useLock == nil { useLock = try await cache.lockForUse(seconds: configuration.lockSeconds) }
        if let entry = known(plan) { return entry }
        let lock = try await cache.lockForBuilding(seconds: configuration.lockSeconds)
        defer { withExtendedLifetime(lock) {} }
        // Whoever held the lock before may have built it.
        if let entry = known(plan) { return entry }

        let start = ContinuousClock.now
        let packages: [PackageRecord]
        do {
            if !plan.suites.isEmpty { report(.resolving(plan.kind, name: plan.name, suites: plan.suites)) }
            packages = try await resolve()
            refreshed.insert(plan.digest)
        } catch {
            // Versions that were good before are better than none, unless the user asked for new ones.
            if !configuration.refresh, let entry = known(plan, anyAge: true) {
                report(.stale(plan.kind, name: plan.name, error: error))
                return entry
            }
            throw error
        }
        let key = plan.key(packages)
        if let entry = cache.entry(named: ImageCache.entryName(plan.kind, plan.name, key: key)) {
            try cache.refer(plan.kind, plan.name, recipe: plan.digest, to: entry)
            report(.reused(plan.kind, name: plan.name, entry: entry.folder.lastComponent?.string ?? ""))
            return entry
        }
        if !packages.isEmpty {
            report(
                .fetching(
                    plan.kind, name: plan.name, packages: packages.count, bytes: packages.reduce(0) { $0 + $1.bytes }))
        }
        let entry = try await cache.build(
            plan.kind, plan.name, key: key, packages: packages, inputs: plan.inputs
        ) { (folder) async throws(ImagesError) in try await build(folder, packages) }
        try cache.refer(plan.kind, plan.name, recipe: plan.digest, to: entry)
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        report(
            .built(
                plan.kind, name: plan.name, entry: entry.folder.lastComponent?.string ?? "", milliseconds: milliseconds))
        logger.debug(
            "image built",
            metadata: ["kind": "\(plan.kind.rawValue)", "name": "\(plan.name)", "milliseconds": "\(milliseconds)"])
        return entry
    }

    /// The entry the recipe's reference points at, when recipe and inputs are as they were and it is young enough.
    private func known(_ plan: Plan, anyAge: Bool = false) -> ImageCache.Entry? {
        guard let reference = cache.reference(plan.kind, plan.name), reference.recipe == plan.digest else { return nil }
        if !plan.suites.isEmpty && !anyAge {
            let age = Date().timeIntervalSince1970 - reference.resolvedAt
            let life = configuration.resolutionLife / .seconds(1)
            guard !(configuration.refresh && !refreshed.contains(plan.digest)), age >= 0, age < life else { return nil }
        }
        guard let entry = cache.entry(named: reference.entry) else { return nil }
        report(.reused(plan.kind, name: plan.name, entry: reference.entry))
        return entry
    }

    /// The mirror, read when it is first needed: with everything in the cache none need be known.
    func mirror() throws(ImagesError) -> DebianMirror {
        try DebianMirror.ofMachine(override: configuration.mirror, keyring: configuration.keyring)
    }

    func archive(_ suites: [String], prefer: String? = nil) async throws(ImagesError) -> AptArchive {
        let archive = AptArchive(
            suites: suites, prefer: prefer, mirror: try mirror(), cache: configuration.cache, tools: tools)
        try await archive.update(force: configuration.refresh)
        return archive
    }

    func unpack(_ packages: [FilePath], into folder: FilePath) async throws(ImagesError) {
        try Files.makeFolder(folder)
        for package in packages {
            try await tools.run(
                .dpkgDeb, ["-x", package.string, folder.string],
                purpose: "unpack \(package.lastComponent?.string ?? package.string)")
        }
    }
}
