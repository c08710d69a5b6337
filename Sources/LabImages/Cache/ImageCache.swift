import CRModel
import Foundation
import SystemPackage

/// The folder of prepared images: entries named by kind, recipe and key, and references that say which entry a recipe
/// stands for now.
struct ImageCache: Sendable {
    let folder: FilePath
    private let tools: ToolRunner

    init(folder: FilePath, tools: ToolRunner) throws(ImagesError) {
        self.folder = folder
        self.tools = tools
        for name in ["entries", "references", "resolutions", "packages", "apt", "tmp"] {
            try Files.makeFolder(folder.appending(name))
        }
    }

    private var entries: FilePath { folder.appending("entries") }
    private var references: FilePath { folder.appending("references") }
    private var resolutions: FilePath { folder.appending("resolutions") }
    private var temporary: FilePath { folder.appending("tmp") }

    static func entryName(_ kind: ImageKind, _ name: String, key: String) -> String {
        "\(kind.rawValue)-\(name)-\(key.prefix(16))"
    }

    /// An entry that is there and whole.
    struct Entry: Sendable {
        let folder: FilePath
        let manifest: ImageManifest

        /// Name of the entry's folder.
        var name: String { folder.lastComponent?.string ?? "" }

        func path(_ name: String) -> FilePath { folder.appending(name) }
    }

    /// Which entry a recipe stands for.
    struct Reference: Codable, Sendable, Equatable {
        let entry: String
    }

    /// Which packages were found for a recipe.
    struct Resolution: Codable, Sendable {
        /// Digest of the recipe.
        let recipe: String
        /// Seconds since 1970.
        let resolvedAt: Double
        let packages: [PackageRecord]
    }

    /// One builder at a time; what earlier builders left half done is removed.
    func lockForBuilding(seconds: Int64) async throws(ImagesError) -> CacheLock {
        let lock = try await CacheLock.acquire(folder.appending("lock"), exclusive: true, seconds: seconds)
        // What a dying child of a killed builder still writes there is taken away next time.
        for name in Files.names(in: temporary) { try? Files.removeTree(temporary.appending(name)) }
        return lock
    }

    /// Keeps `prune` away while entries are in use.
    func lockForUse(seconds: Int64) async throws(ImagesError) -> CacheLock {
        try await CacheLock.acquire(folder.appending("in-use"), exclusive: false, seconds: seconds)
    }

    /// Keeps users away while entries are removed.
    ///
    /// It waits a moment: a program that is just being started holds what its parent has given up until its exec closes it.
    ///
    /// - Throws: `ImagesError.cacheBusy` when some are in use.
    func lockForRemoval() async throws(ImagesError) -> CacheLock {
        do throws(ImagesError) {
            return try await CacheLock.acquire(folder.appending("in-use"), exclusive: true, seconds: 1)
        } catch .cacheBusy(_, _, let seconds) {
            throw .cacheBusy(path: folder.string, holder: "a run that uses these images", seconds: seconds)
        }
    }

    func resolution(_ kind: ImageKind, _ name: String) -> Resolution? {
        read(resolutions.appending("\(kind.rawValue)-\(name).json"))
    }

    func keep(_ resolution: Resolution, _ kind: ImageKind, _ name: String) throws(ImagesError) {
        try write(resolution, to: resolutions.appending("\(kind.rawValue)-\(name).json"))
    }

    func familyIndex(_ name: String) -> FamilyIndex? { Self.familyIndex(name, in: folder) }

    static func familyIndex(_ name: String, in cache: FilePath) -> FamilyIndex? {
        read(cache.appending("resolutions").appending("family-\(name).json"))
    }

    func keep(_ index: FamilyIndex, of name: String) throws(ImagesError) {
        try write(index, to: resolutions.appending("family-\(name).json"))
    }

    /// Makes an entry the one that a recipe stands for.
    func refer(_ kind: ImageKind, _ name: String, to entry: Entry) throws(ImagesError) {
        let path = references.appending("\(kind.rawValue)-\(name).json")
        let reference = Reference(entry: entry.name)
        if read(path) != reference { try write(reference, to: path) }
    }

    /// Name of the entry that a recipe stands for; `nil` when none was built.
    func reference(_ kind: ImageKind, _ name: String) -> String? {
        let reference: Reference? = read(references.appending("\(kind.rawValue)-\(name).json"))
        return reference?.entry
    }

    private func read<Value: Decodable>(_ path: FilePath) -> Value? { Self.read(path) }

    private static func read<Value: Decodable>(_ path: FilePath) -> Value? {
        (try? Files.text(path)).flatMap { try? JSONCoder.decode(Value.self, from: $0) }
    }

    private func write(_ value: some Encodable, to path: FilePath) throws(ImagesError) {
        let text: String
        do {
            text = try JSONCoder.text(of: value, pretty: true) + "\n"
        } catch {
            throw .fileFailed(path: path.string, action: "write", why: "\(error)")
        }
        try Files.write(text, to: path)
    }

    /// Removes references whose recipes are gone.
    func dropReferences(where isGone: (ImageKind, String) -> Bool) throws(ImagesError) {
        for file in Files.names(in: references) where file.hasSuffix(".json") {
            let parts = file.dropLast(5).split(separator: "-", maxSplits: 1)
            guard parts.count == 2, let kind = ImageKind(rawValue: String(parts[0])) else { continue }
            if isGone(kind, String(parts[1])) { try Files.removeTree(references.appending(file)) }
        }
    }

    /// Makes an entry count as not there; its files stay for whoever uses them now.
    func withdraw(_ name: String) throws(ImagesError) {
        try Files.removeTree(entries.appending(name).appending("manifest.json"))
    }

    /// All entries that a reference points at.
    func referencedEntries() -> Set<String> {
        Set(
            Files.names(in: references).compactMap { name in
                let reference: Reference? = read(references.appending(name))
                return reference?.entry
            })
    }

    func entryNames() -> [String] { Files.names(in: entries) }

    func entryFolder(_ name: String) -> FilePath { entries.appending(name) }

    /// Opens an entry and checks that its files are there with the right sizes. Contents are `verify`'s business.
    ///
    /// - Returns: `nil` when there is no such entry or it is not whole.
    func entry(named name: String) -> Entry? {
        guard !name.isEmpty, let manifest = try? manifest(of: name) else { return nil }
        let folder = entries.appending(name)
        let whole = manifest.files.allSatisfy { file in
            file.link != nil || Files.size(folder.appending(file.path)) == file.size
        }
        return whole ? Entry(folder: folder, manifest: manifest) : nil
    }

    func manifest(of name: String) throws(ImagesError) -> ImageManifest {
        let path = entries.appending(name).appending("manifest.json")
        return try ImageManifest.parse(try Files.text(path), path: path.string)
    }

    /// What a builder reports beside the files it has written.
    struct Content: Sendable {
        var facts: [String: String] = [:]
        var modules: ModulePlan?
    }

    /// Makes an entry: the body fills a temporary folder, which is then checksummed and renamed, so that a killed
    /// build leaves no entry. The caller holds the lock for building.
    nonisolated(nonsending) func build(
        _ kind: ImageKind, _ name: String, key: String, packages: [PackageRecord], inputs: [String: String],
        _ body: (FilePath) async throws(ImagesError) -> Content
    ) async throws(ImagesError) -> Entry {
        let work = temporary.appending(UUID().uuidString)
        try Files.makeFolder(work)
        do {
            let content = try await body(work)
            let manifest = ImageManifest(
                kind: kind, name: name, key: key, packages: packages, inputs: inputs,
                files: try await records(of: work), facts: content.facts, modules: content.modules)
            let manifestPath = work.appending("manifest.json")
            try Files.write(try manifest.text(path: manifestPath.string), to: manifestPath)
            let final = entries.appending(Self.entryName(kind, name, key: key))
            try Files.removeTree(final)
            try Files.rename(work, to: final)
            return Entry(folder: final, manifest: manifest)
        } catch {
            try? Files.removeTree(work)
            throw error
        }
    }

    /// A scratch folder for a build; removed by the next build when this one is killed.
    func makeScratch() throws(ImagesError) -> FilePath {
        let path = temporary.appending(UUID().uuidString)
        try Files.makeFolder(path)
        return path
    }

    func records(of folder: FilePath) async throws(ImagesError) -> [ManifestFile] {
        let items = try Files.tree(folder).filter { $0.type != .folder && $0.path != "manifest.json" }
        let plain = items.filter { $0.type == .file }.map { folder.appending($0.path) }
        let digests = plain.isEmpty ? [:] : try await FileDigests(tools: tools).digests(of: plain)
        return items.map { item in
            let path = folder.appending(item.path)
            guard item.type == .link else {
                return ManifestFile(path: item.path, size: item.size, sha256: digests[path.string] ?? "", link: nil)
            }
            return ManifestFile(path: item.path, size: 0, sha256: "", link: Files.linkTarget(path) ?? "")
        }
    }

    /// Hashes every file of an entry again.
    ///
    /// - Returns: One sentence for each deviation; empty when the entry is as it was built.
    func deviations(of name: String) async throws(ImagesError) -> [String] {
        let manifest: ImageManifest
        do {
            manifest = try self.manifest(of: name)
        } catch {
            return ["\(error.explanation.line)"]
        }
        return Self.deviations(expected: manifest.files, found: try await records(of: entries.appending(name)))
    }

    static func deviations(expected: [ManifestFile], found: [ManifestFile]) -> [String] {
        let there = Dictionary(found.map { ($0.path, $0) }) { first, _ in first }
        var deviations: [String] = []
        for file in expected {
            guard let now = there[file.path] else {
                deviations.append("\(file.path) is missing")
                continue
            }
            if now.link != file.link {
                deviations.append("\(file.path) is another link")
            } else if now.size != file.size {
                deviations.append("\(file.path) has \(now.size) bytes, expected \(file.size)")
            } else if now.sha256 != file.sha256 {
                deviations.append("\(file.path) has SHA-256 \(now.sha256), expected \(file.sha256)")
            }
        }
        let known = Set(expected.map(\.path))
        deviations += found.filter { !known.contains($0.path) }.map { "\($0.path) does not belong there" }
        return deviations
    }
}
