import CRModel

/// What an entry of the image cache holds, file by file, and what it was made from.
///
/// Written as `manifest.json` in the entry, last of all files, so an entry with a manifest is whole.
public struct ImageManifest: Sendable, Codable, Equatable {
    /// The form of this file; a later one is not read.
    public static let schema = "crlab.image/1"

    public let schema: String
    public let kind: ImageKind
    /// The recipe's name.
    public let name: String
    /// Digest of all that went in: recipe, packages, inputs, and the builder's own version.
    public let key: String
    /// Packages that went in, exactly; empty for what the user brought.
    public let packages: [PackageRecord]
    /// Digests of inputs that are no packages, by what they are.
    public let inputs: [String: String]
    /// Every file and link of the entry but the manifest, sorted by path.
    public let files: [ManifestFile]
    /// Facts about the content by name, such as `release` or `version`.
    public let facts: [String: String]
    /// Modules in load order, for kernels.
    public let modules: ModulePlan?

    init(
        kind: ImageKind, name: String, key: String, packages: [PackageRecord], inputs: [String: String],
        files: [ManifestFile], facts: [String: String], modules: ModulePlan?
    ) {
        schema = Self.schema
        self.kind = kind
        self.name = name
        self.key = key
        self.packages = packages
        self.inputs = inputs
        self.files = files
        self.facts = facts
        self.modules = modules
    }

    /// Reads manifest text.
    ///
    /// - Throws: `ImagesError.manifestUnreadable` when it is damaged or of another schema.
    static func parse(_ text: String, path: String) throws(ImagesError) -> ImageManifest {
        let manifest: ImageManifest
        do {
            manifest = try JSONCoder.decode(ImageManifest.self, from: text)
        } catch {
            throw .manifestUnreadable(path: path, why: "\(error)")
        }
        guard manifest.schema == Self.schema else {
            throw .manifestUnreadable(path: path, why: "it is \(manifest.schema); this build reads \(Self.schema)")
        }
        return manifest
    }

    func text(path: String) throws(ImagesError) -> String {
        do {
            return try JSONCoder.text(of: self, pretty: true) + "\n"
        } catch {
            throw .manifestUnreadable(path: path, why: "\(error)")
        }
    }
}

/// One file of an entry.
public struct ManifestFile: Sendable, Codable, Equatable {
    /// Relative to the entry.
    public let path: String
    /// Size in bytes; 0 for a link.
    public let size: Int
    /// Digest of the content; empty for a link.
    public let sha256: String
    /// Where a symbolic link points; `nil` for a file.
    public let link: String?
}

/// Which module files a kernel entry holds, in load order.
public struct ModulePlan: Sendable, Codable, Equatable {
    /// Loaded at start, in this order.
    public let boot: [String]
    /// Ready for loading on demand, in an order in which all could be loaded after `boot`.
    public let extra: [String]
    /// Wanted on demand, but the kernel has none of that name.
    public let absent: [String]
}
