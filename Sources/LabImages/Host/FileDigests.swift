import SystemPackage

/// SHA-256 of files, through `sha256sum` in batches.
struct FileDigests: Sendable {
    private let tools: ToolRunner

    /// Far below the limit for one command line of any Linux.
    private static let batch = 500

    init(tools: ToolRunner) { self.tools = tools }

    func digest(of path: FilePath) async throws(ImagesError) -> String {
        guard let digest = try await digests(of: [path])[path.string] else {
            throw .fileFailed(path: path.string, action: "compute the SHA-256", why: "sha256sum did not name it")
        }
        return digest
    }

    /// Digests by path, as given.
    func digests(of paths: [FilePath]) async throws(ImagesError) -> [String: String] {
        var found: [String: String] = [:]
        var rest = paths[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.batch)
            rest = rest.dropFirst(Self.batch)
            // -z: names are written as they are, ended by NUL, so that no name needs unquoting.
            let outcome = try await tools.run(
                .sha256sum, ["-z", "--"] + batch.map(\.string), purpose: "compute checksums")
            found.merge(Self.parse(outcome.text)) { first, _ in first }
        }
        return found
    }

    static func parse(_ text: String) -> [String: String] {
        var found: [String: String] = [:]
        for line in text.split(separator: "\0") {
            let digest = line.prefix { $0.isHexDigit }
            guard digest.count == 64, line.count > 66 else { continue }
            found[String(line.dropFirst(66))] = String(digest)
        }
        return found
    }
}
