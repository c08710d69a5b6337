/// One package that went into an image, exactly.
public struct PackageRecord: Sendable, Codable, Equatable, Hashable {
    public let name: String
    public let version: String
    /// SHA-256 of the package file, as the signed index says and as checked after fetching.
    public let sha256: String
    /// Name of the package file.
    let file: String
    /// Size of the package file, bytes.
    let bytes: Int

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
