import CRModel
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
    /// By recipe; the default one under the empty name.
    var foundQEMUs: [String: QEMUInstallation] = [:]
    /// Plans resolved anew by this library, so that `refresh` resolves each once and not at every use.
    var refreshed: Set<String> = []

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

    /// Names of the kernels, userlands and runtimes that recipes describe, sorted; also those whose recipes are damaged.
    public nonisolated var known: (kernels: [String], userlands: [String], runtimes: [String]) {
        (recipes.kernels.keys.sorted(), recipes.userlands.keys.sorted(), recipes.runtimes.keys.sorted())
    }

    /// Prepares QEMU, kernels, userlands and runtimes; one that is not to be had does not stop the others.
    ///
    /// - Parameters:
    ///   - kernels: Names and patterns; `nil` means all recipes, but no family: that would be a dozen kernels.
    ///   - userlands: Names; `nil` means all recipes that are not `on-demand`.
    ///   - runtimes: Names; `nil` means all recipes.
    ///   - qemus: Names of QEMUs beside the one that hosts have by themselves, which is always prepared.
    ///   - workloads: The folder copied into every userland; `nil` for none.
    /// - Returns: One result for each recipe, QEMU first.
    public func prepare(
        qemus: [String] = [], kernels: [String]? = nil, userlands: [String]? = nil, runtimes: [String]? = nil,
        workloads: FilePath? = nil
    ) async -> [Preparation] {
        var results = [
            await attempt(.qemu, "qemu") { () async throws(ImagesError) in try await self.qemu().buildID }
        ]
        for name in qemus {
            results.append(
                await attempt(.qemu, name) { () async throws(ImagesError) in
                    try await self.qemu(named: name).buildID
                })
        }
        let names: [String]
        do {
            names = try await self.kernels(matching: kernels ?? known.kernels)
        } catch {
            names = []
            results.append(
                Preparation(kind: .kernel, name: kernels?.joined(separator: " ") ?? "", result: .failure(error)))
        }
        for name in names {
            results.append(
                await attempt(.kernel, name) { () async throws(ImagesError) in
                    try await self.kernel(named: name).key
                })
        }
        let usual = known.userlands.filter { (try? recipes.userland(named: $0))?.isOnDemand != true }
        for name in userlands ?? usual {
            results.append(
                await attempt(.userland, name) { () async throws(ImagesError) in
                    try await self.userland(named: name, workloads: workloads).key
                })
        }
        for name in runtimes ?? known.runtimes {
            results.append(
                await attempt(.runtime, name) { () async throws(ImagesError) in
                    try await self.runtime(recipes.runtime(named: name)).manifest.key
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
        /// Where packages are looked for; empty when none are needed.
        var suites: [String] = []

        /// Digest of the recipe alone: as long as it is the same, versions resolved for it may serve again.
        var recipeDigest: String {
            SHA256.hex((["\(kind.rawValue) \(name) \(ImageLibrary.builderVersion)"] + identity).joined(separator: "\n"))
        }

        func key(_ packages: [PackageRecord]) -> String {
            SHA256.hex(
                ([recipeDigest] + inputs.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                    + packages.map { "\($0.name) \($0.version) \($0.sha256)" }).joined(separator: "\n"))
        }
    }

    /// The entry a plan stands for: one built before from the same packages and inputs, or a new one.
    ///
    /// - Parameters:
    ///   - resolve: Which packages there are now; not called while known versions are good enough.
    ///   - build: Fills a folder.
    func entry(
        _ plan: Plan, resolve: () async throws(ImagesError) -> [PackageRecord],
        build: (FilePath, [PackageRecord]) async throws(ImagesError) -> ImageCache.Content
    ) async throws(ImagesError) -> ImageCache.Entry {
        if useLock == nil { useLock = try await cache.lockForUse(seconds: configuration.lockSeconds) }
        if let packages = resolved(plan), let entry = try ready(plan, packages) { return entry }
        let lock = try await cache.lockForBuilding(seconds: configuration.lockSeconds)
        defer { withExtendedLifetime(lock) {} }

        let start = ContinuousClock.now
        let packages: [PackageRecord]
        if let known = resolved(plan) { packages = known } else { packages = try await resolveAnew(plan, resolve) }
        // Whoever held the lock before may have built it.
        if let entry = try ready(plan, packages) { return entry }
        if !packages.isEmpty {
            report(
                .fetching(
                    plan.kind, name: plan.name, packages: packages.count, bytes: packages.reduce(0) { $0 + $1.bytes }))
        }
        let entry = try await cache.build(
            plan.kind, plan.name, key: plan.key(packages), packages: packages, inputs: plan.inputs
        ) { (folder) async throws(ImagesError) in try await build(folder, packages) }
        try cache.refer(plan.kind, plan.name, to: entry)
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        report(.built(plan.kind, name: plan.name, entry: entry.name, milliseconds: milliseconds))
        logger.debug(
            "image built",
            metadata: ["kind": "\(plan.kind.rawValue)", "name": "\(plan.name)", "milliseconds": "\(milliseconds)"])
        return entry
    }

    private func ready(_ plan: Plan, _ packages: [PackageRecord]) throws(ImagesError) -> ImageCache.Entry? {
        let name = ImageCache.entryName(plan.kind, plan.name, key: plan.key(packages))
        guard let entry = cache.entry(named: name) else { return nil }
        try cache.refer(plan.kind, plan.name, to: entry)
        report(.reused(plan.kind, name: plan.name, entry: name))
        return entry
    }

    /// Packages that may serve without asking the mirror; `nil` when it must be asked.
    private func resolved(_ plan: Plan) -> [PackageRecord]? {
        guard !plan.suites.isEmpty else { return [] }
        guard let known = cache.resolution(plan.kind, plan.name), known.recipe == plan.recipeDigest else { return nil }
        if configuration.refresh { return refreshed.contains(plan.recipeDigest) ? known.packages : nil }
        let age = Date().timeIntervalSince1970 - known.resolvedAt
        return age >= 0 && age < configuration.resolutionLife / .seconds(1) ? known.packages : nil
    }

    private func resolveAnew(
        _ plan: Plan, _ resolve: () async throws(ImagesError) -> [PackageRecord]
    ) async throws(ImagesError) -> [PackageRecord] {
        report(.resolving(plan.kind, name: plan.name, suites: plan.suites))
        do {
            let packages = try await resolve()
            refreshed.insert(plan.recipeDigest)
            try cache.keep(
                ImageCache.Resolution(
                    recipe: plan.recipeDigest, resolvedAt: Date().timeIntervalSince1970.rounded(), packages: packages),
                plan.kind, plan.name)
            return packages
        } catch {
            // Versions that were good before are better than none, unless the user asked for new ones.
            if !configuration.refresh, let known = cache.resolution(plan.kind, plan.name),
                known.recipe == plan.recipeDigest
            {
                report(.stale(plan.kind, name: plan.name, error: error))
                return known.packages
            }
            throw error
        }
    }

    /// The mirror, read when it is first needed: with everything in the cache none need be known.
    func mirror() throws(ImagesError) -> DebianMirror {
        try DebianMirror.ofMachine(override: configuration.mirror, keyring: configuration.keyring)
    }

    /// The archive of some suites with its indexes as they are.
    func archive(_ suites: [String], prefer: String? = nil) throws(ImagesError) -> AptArchive {
        AptArchive(suites: suites, prefer: prefer, mirror: try mirror(), cache: configuration.cache, tools: tools)
    }

    /// The archive of some suites with its indexes brought up to date.
    func updatedArchive(_ suites: [String], prefer: String? = nil) async throws(ImagesError) -> AptArchive {
        let archive = try archive(suites, prefer: prefer)
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
