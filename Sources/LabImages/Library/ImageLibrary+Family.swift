import CRModel
import Foundation

extension ImageLibrary {
    /// Names of all families of kernels, sorted.
    public nonisolated var families: [String] { recipes.families.keys.sorted() }

    /// Members of all families by name as last seen on the mirror, without asking it.
    public static func membersSeen(_ configuration: LibraryConfiguration, _ recipes: RecipeBook) -> [String: [String]] {
        recipes.families.compactMapValues { result in
            guard let family = try? result.get() else { return nil }
            return family.members(of: ImageCache.familyIndex(family.name, in: configuration.cache)?.releases ?? [])
                .map(\.name)
        }
    }

    /// What a family offers now, oldest series first; asks the mirror when what is known is old.
    ///
    /// - Throws: `ImagesError` when none of its suites can be had and nothing is known from before.
    public func members(of name: String) async throws(ImagesError) -> [KernelMember] {
        guard let family = try recipes.families[name]?.get() else {
            throw .recipeUnknown(kind: .kernel, name: name, known: families)
        }
        if let known = cache.familyIndex(name), isFresh(known, family) { return family.members(of: known.releases) }
        let lock = try await cache.lockForBuilding(seconds: configuration.lockSeconds)
        defer { withExtendedLifetime(lock) {} }
        return family.members(of: try await releases(of: family))
    }

    /// All point releases that can be had, each under its own name (`debian-6.12.95`).
    ///
    /// - Throws: As ``members(of:)``.
    public func pointReleases(of name: String) async throws(ImagesError) -> [KernelMember] {
        guard let family = try recipes.families[name]?.get() else { return [] }
        _ = try await members(of: name)
        return (cache.familyIndex(name)?.releases ?? []).filter(\.missing.isEmpty)
            .map { KernelMember(name: "\(name)-\($0.release)", release: $0) }
            .filter { family.choice(of: $0.name) != nil }
    }

    /// Names of kernels for patterns: `debian-*` stands for recipes and members, other names for themselves.
    ///
    /// - Throws: `ImagesError` when a pattern matches nothing, or a family cannot be looked up.
    public func kernels(matching patterns: [String]) async throws(ImagesError) -> [String] {
        var names: [String] = []
        for text in patterns {
            guard text.contains("*") else {
                names.append(text)
                continue
            }
            var known = recipes.kernels.keys.sorted()
            for family in families where text.hasPrefix(family) || family.hasPrefix(NamePattern(text).prefix) {
                known += try await members(of: family).map(\.name)
            }
            let matching = known.filter(NamePattern(text).matches)
            guard !matching.isEmpty else { throw .recipeUnknown(kind: .kernel, name: text, known: known) }
            names += matching
        }
        return names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// The packages of a member.
    ///
    /// - Precondition: The lock for building is held.
    func resolve(
        _ choice: KernelChoice, of family: KernelFamily, named name: String
    ) async throws(ImagesError) -> [PackageRecord] {
        let releases = try await releases(of: family)
        let mirror = try mirror()
        guard let release = family.pick(choice, of: releases) else {
            let offered = family.members(of: releases).map(\.name).joined(separator: ", ")
            throw .packageUnavailable(
                package: "for \(name)", suite: family.suites.joined(separator: ", "),
                mirror: mirror.uri(for: family.suites[0]), why: "these are to be had: \(offered)")
        }
        guard release.missing.isEmpty else {
            throw .packageUnavailable(
                package: release.missing.joined(separator: ", "), suite: release.suite,
                mirror: mirror.uri(for: release.suite),
                why: "it has left the index, and \(family.file) pins no digest of what may lie in the pool")
        }
        return release.packages
    }

    /// - Precondition: The lock for building is held.
    private func releases(of family: KernelFamily) async throws(ImagesError) -> [KernelRelease] {
        let before = cache.familyIndex(family.name)
        if let before, isFresh(before, family) { return before.releases }
        report(.resolving(.kernel, name: "\(family.name)-*", suites: family.suites))
        var index = ImageCache.FamilyIndex(
            recipe: family.digest, resolvedAt: Date().timeIntervalSince1970.rounded(), releases: [], absent: [:])
        var failure: ImagesError?
        for suite in family.suites {
            do {
                index.releases += try await releases(of: family, in: suite)
            } catch {
                // A suite that is gone or out of reach: what it held before may still lie in the pool.
                index.absent[suite] = error.explanation.line
                index.releases += before?.releases.filter { $0.suite == suite } ?? []
                failure = failure ?? error
            }
        }
        if let failure, index.releases.isEmpty { throw failure }
        refreshed.insert(family.digest)
        try cache.keep(index, of: family.name)
        return index.releases
    }

    private func releases(of family: KernelFamily, in suite: String) async throws(ImagesError) -> [KernelRelease] {
        let archive = try await updatedArchive([suite])
        let pattern = NamePattern(family.package)
        var found = try await archive.paragraphs(matching: pattern)
        let there = Set(found.compactMap { $0["Package"] })
        let siblings = Set(found.flatMap(KernelPackages.siblings)).subtracting(there)
        found += try await archive.paragraphs(named: siblings.sorted())
        return KernelRelease.find(in: found, matching: pattern, suite: suite, pins: family.pins)
    }

    private func isFresh(_ index: ImageCache.FamilyIndex, _ family: KernelFamily) -> Bool {
        guard index.recipe == family.digest else { return false }
        if configuration.refresh { return refreshed.contains(family.digest) }
        let age = Date().timeIntervalSince1970 - index.resolvedAt
        return age >= 0 && age < configuration.resolutionLife / .seconds(1)
    }
}

extension KernelFamily {
    /// Changes when what the recipe looks for does.
    var digest: String {
        SHA256.hex(
            (["family", name, package] + suites + pins.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })
                .joined(separator: "\n"))
    }
}

extension ImageCache {
    /// Which point releases a family's suites held.
    struct FamilyIndex: Codable, Sendable {
        /// Digest of the recipe.
        let recipe: String
        /// Seconds since 1970.
        let resolvedAt: Double
        var releases: [KernelRelease]
        /// Why a suite was not to be had.
        var absent: [String: String]
    }
}
