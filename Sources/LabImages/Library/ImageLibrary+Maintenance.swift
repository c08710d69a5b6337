extension ImageLibrary {
    /// All entries of the cache, sorted by name.
    public func list() -> [ImageEntry] {
        let referenced = cache.referencedEntries()
        return cache.entryNames().map { name in
            let manifest = try? cache.manifest(of: name)
            let parts = name.split(separator: "-")
            let kind = manifest?.kind ?? parts.first.flatMap { ImageKind(rawValue: String($0)) } ?? .kernel
            return ImageEntry(
                kind: kind, name: manifest?.name ?? name, entry: name, folder: cache.entryFolder(name),
                bytes: manifest?.files.reduce(0) { $0 + $1.size } ?? 0, isReferenced: referenced.contains(name),
                manifest: manifest)
        }
    }

    /// Hashes every file of every entry again. A damaged entry is withdrawn: the next use builds it anew.
    ///
    /// - Returns: One check for each entry, sorted by name; one with deviations must be built again.
    /// - Throws: `ImagesError` when hashing itself fails.
    public func verify() async throws(ImagesError) -> [EntryCheck] {
        var checks: [EntryCheck] = []
        for name in cache.entryNames() {
            let deviations = try await cache.deviations(of: name)
            if !deviations.isEmpty { try cache.withdraw(name) }
            checks.append(EntryCheck(entry: name, deviations: deviations))
        }
        return checks
    }

    /// Removes entries that no recipe stands for, damaged ones, what killed builds left, and fetched packages, which
    /// can be fetched again.
    ///
    /// - Returns: What was removed, sorted: entries by name, and `packages` when there were any.
    /// - Throws: `ImagesError.cacheBusy` while another crlab uses the cache.
    public func prune() async throws(ImagesError) -> [String] {
        // Our own use would keep us out too.
        useLock = nil
        let removal = try await cache.lockForRemoval()
        let lock = try await cache.lockForBuilding(seconds: configuration.lockSeconds)
        defer { withExtendedLifetime((lock, removal)) {} }
        try cache.dropReferences { kind, name in
            switch kind {
            case .qemu: recipes.qemus[name] == nil
            case .kernel, .initramfs: recipes.kernels[name] == nil && !recipes.mayBeMember(name)
            case .userland: recipes.userlands[name] == nil
            case .runtime: recipes.runtimes[name] == nil
            // Made again from its runtimes in a second.
            case .runtimes: true
            }
        }
        let referenced = cache.referencedEntries()
        var removed: [String] = []
        for name in cache.entryNames() {
            let isWhole = cache.entry(named: name) != nil
            let isWanted = isWhole && referenced.contains(name)
            if isWanted { continue }
            try Files.removeTree(cache.entryFolder(name))
            removed.append(name)
        }
        let packages = cache.folder.appending("packages")
        if !Files.names(in: packages).isEmpty {
            try Files.removeTree(packages)
            try Files.makeFolder(packages)
            removed.append("packages")
        }
        return removed.sorted()
    }
}
