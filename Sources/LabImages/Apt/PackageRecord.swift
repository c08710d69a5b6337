/// One package that went into an image, exactly.
public struct PackageRecord: Sendable, Codable, Equatable, Hashable {
    public let name: String
    public let version: String
    /// SHA-256 of the package file, as the signed index says and as checked after fetching.
    public let sha256: String
    /// Name of the package file.
    let file: String
    /// Size of the package file, bytes; 0 when unknown.
    let bytes: Int
    /// Where the file lies in the archive, relative to it: there it stays for years after the index has dropped it.
    var path: String?
    /// The suite whose archive holds `path`.
    var suite: String?

    /// Reads the lines that `apt-get --print-uris` writes: `'URI' FILE SIZE SHA256:DIGEST`.
    ///
    /// - Returns: `nil` when a package line has no SHA-256 or is otherwise not as expected; nothing may be fetched
    ///   unchecked.
    static func parse(printedURIs text: String) -> [PackageRecord]? {
        var records: [PackageRecord] = []
        for line in text.split(separator: "\n") where line.hasPrefix("'") {
            let words = line.split(separator: " ")
            let parts = words.count == 4 ? words[1].split(separator: "_") : []
            guard parts.count == 3, parts[2].hasSuffix(".deb"), let bytes = Int(words[2]),
                words[3].hasPrefix("SHA256:"), words[3].count == 71
            else { return nil }
            records.append(
                PackageRecord(
                    name: String(parts[0]), version: unescaped(parts[1]), sha256: String(words[3].dropFirst(7)),
                    file: String(words[1]), bytes: bytes))
        }
        return records
    }

    /// apt writes the colon of an epoch as `%3a` in file names.
    private static func unescaped(_ version: Substring) -> String {
        String(version).replacing("%3a", with: ":").replacing("%3A", with: ":")
    }
}

extension PackageRecord {
    /// Reads an index paragraph; `nil` when it lacks what fetching needs.
    init?(paragraph: [String: String], suite: String) {
        guard let name = paragraph["Package"], let version = paragraph["Version"],
            let architecture = paragraph["Architecture"], let path = paragraph["Filename"], Self.isPool(path),
            let digest = paragraph["SHA256"], digest.count == 64
        else { return nil }
        self.init(
            name: name, version: version, sha256: digest,
            file: "\(name)_\(version.replacing(":", with: "%3a"))_\(architecture).deb",
            bytes: paragraph["Size"].flatMap { Int($0) } ?? 0, path: path, suite: suite)
    }

    /// A package file named by its path in the archive: `pool/main/l/linux/NAME_VERSION_ARCHITECTURE.deb`.
    init?(pinned path: String, sha256: String, suite: String) {
        let file = path.split(separator: "/").last.map(String.init) ?? ""
        let parts = file.split(separator: "_")
        guard Self.isPool(path), file.hasSuffix(".deb"), parts.count == 3, sha256.count == 64,
            sha256.allSatisfy(\.isHexDigit)
        else { return nil }
        self.init(
            name: String(parts[0]), version: String(parts[1]), sha256: sha256.lowercased(), file: file, bytes: 0,
            path: path, suite: suite)
    }

    private static func isPool(_ path: String) -> Bool {
        path.hasPrefix("pool/") && !path.split(separator: "/").contains("..") && !path.contains { $0.isWhitespace }
    }
}
